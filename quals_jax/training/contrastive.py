"""The loss of ConSeq's training: likelihood of S+ and unlikelihood of S-, both against one encoding of their document."""

from __future__ import annotations

from jaxtyping import Array, Float

from quals_jax.conseq import likelihood_sum, unlikelihood_sum
from quals_jax.models.teacher_forcing import reduce_logits, target_states
from quals_jax.training.losses import Batch, Loss, Sums

LOGITS_AT_ONCE = 2**25  # elements; the unlikelihood needs several arrays of that size
POSITIVE, NEGATIVE = 0, 1  # places on the pair axis


def contrastive_training_loss(label_smoothing: float = 0.1) -> Loss:
    """A loss of (model, batch, dropout key, devices): the sum in nats, the number of target tokens of both parts, sums to report.

    A batch is {"rows": {`source_ids` [batch, source], `target_ids` [batch, 2, target]}}: on the pair axis S+, then S-.
    fairseq encodes the document twice, with other dropout for each; here both share one encoding.
    """

    def loss(model, batch: Batch, dropout_key=None, devices: int = 1):
        at_once = devices * LOGITS_AT_ONCE
        part = batch["rows"]
        ids = part["target_ids"]
        states = target_states(model, part["source_ids"], ids, dropout_key=dropout_key)
        positive, tokens = _total(
            model, likelihood_sum, states[:, POSITIVE], ids[:, POSITIVE], label_smoothing, at_once
        )
        negative, others = _total(
            model, unlikelihood_sum, states[:, NEGATIVE], ids[:, NEGATIVE], label_smoothing, at_once
        )
        sums = {"likelihood/positive": (positive, tokens), "unlikelihood/negative": (negative, others)}
        return positive + negative, tokens + others, sums

    return loss


def contrastive_sums(model, batch: Batch) -> Sums:
    """What is held out: `nll`, -log p of a token of S+ and -log(1 - p) of one of S-, without smoothing, and both apart."""
    total, tokens, sums = contrastive_training_loss(0.0)(model, batch)
    return {"nll": (total, tokens), **sums}


def _total(
    model, part_sum, states, ids, label_smoothing: float, at_once: int
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """`part_sum` over all tokens, and their number."""

    def reduce(logits, ids):
        total, tokens = part_sum(logits, ids, label_smoothing, model.config.pad_token_id)
        return total, tokens.astype(total.dtype)

    totals, tokens = reduce_logits(model, states, ids, reduce, at_once=at_once)
    return totals.sum(), tokens.sum()
