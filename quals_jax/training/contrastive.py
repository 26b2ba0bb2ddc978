"""The loss of ConSeq's training: likelihood of S+ and unlikelihood of S-, both against one encoding of their document."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quals_jax.conseq import likelihood_sum, unlikelihood_sum
from quals_jax.models.bart import Bart
from quals_jax.training.losses import Batch, Loss, target_states

LOGITS_AT_ONCE = 2**25  # elements; the unlikelihood needs several arrays of that size
POSITIVE, NEGATIVE = 0, 1  # places on the pair axis


def contrastive_training_loss(label_smoothing: float = 0.1) -> Loss:
    """A loss of (model, batch, dropout key): the sum in nats, the number of target tokens of both parts, sums to report.

    A batch is {"rows": {`source_ids` [batch, source], `target_ids` [batch, 2, target]}}: on the pair axis S+, then S-.
    fairseq encodes the document twice, with other dropout for each; here both share one encoding.
    """

    def loss(model: Bart, batch: Batch, dropout_key=None):
        part = batch["rows"]
        states = target_states(model, part, dropout_key)
        ids = part["target_ids"]
        positive, tokens = _in_slices(
            model, likelihood_sum, states[:, POSITIVE], ids[:, POSITIVE], label_smoothing=label_smoothing
        )
        negative, others = _in_slices(
            model, unlikelihood_sum, states[:, NEGATIVE], ids[:, NEGATIVE], label_smoothing=label_smoothing
        )
        sums = {"likelihood/positive": (positive, tokens), "unlikelihood/negative": (negative, others)}
        return positive + negative, tokens + others, sums

    return loss


def _in_slices(
    model: Bart,
    part_sum,
    states: Float[Array, "batch target model"],
    ids: Int[Array, "batch target"],
    *,
    label_smoothing: float,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """`part_sum` over all tokens; where their logits would be too many, in slices that the backward pass makes anew."""
    batch, target = ids.shape

    def reduce(states, ids):
        total, tokens = part_sum(model.logits(states), ids, label_smoothing)
        return total, tokens.astype(total.dtype)

    slices = -(-batch * target * model.config.vocab_size // LOGITS_AT_ONCE)
    if slices <= 1:
        return reduce(states, ids)
    width = -(-target // slices)
    missing = -target % width
    # Cut along the targets and not along the batch, which lies on different devices.
    states = jnp.pad(states, ((0, 0), (0, missing), (0, 0))).reshape(batch, -1, width, states.shape[-1]).swapaxes(0, 1)
    ids = jnp.pad(ids, ((0, 0), (0, missing)), constant_values=model.config.pad_token_id)
    ids = ids.reshape(batch, -1, width).swapaxes(0, 1)
    totals, tokens = jax.lax.map(jax.checkpoint(lambda arrays: reduce(*arrays)), (states, ids))
    return totals.sum(), tokens.sum()
