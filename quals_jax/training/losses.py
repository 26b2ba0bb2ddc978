"""Likelihood of targets given their sources, with the sums from which means over many batches are made.

A batch is a dict of parts, each a dict of `source_ids` [batch, source] and `target_ids` [batch, pair, target]: all
targets of a text against one encoding of it. Padding (id 1) counts nothing, and a row of padding alone is no row. A part
may have `prompt_lengths` [batch, pair]: so many tokens at the start of a target are given, not learnt.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quals_jax.models.bart import Bart

LOGITS_AT_ONCE = 2**26  # elements: 256 MB in float32; above it they are made, reduced and forgotten in slices

# name -> (numerator, denominator), to be added up before they are divided
Sums = dict[str, tuple[Array, Array]]
Batch = dict[str, dict[str, Array]]
Loss = Callable[[Bart, Batch, Array | None], tuple[Array, Array, Sums]]


def decoder_input(target_ids: Int[Array, "... target"], start_id: int = 2) -> Int[Array, "... target"]:
    """The targets moved one place to the right, the start token in front.

    fairseq: the start token is `</s>`.
    """
    start = jnp.full_like(target_ids[..., :1], start_id)
    return jnp.concatenate([start, target_ids[..., :-1]], axis=-1)


def counted_tokens(part: dict[str, Array], pad_id: int = 1) -> Float[Array, "batch pair target"]:
    """1 at every target token that counts, 0 at padding and at what is given."""
    counted = part["target_ids"] != pad_id
    if "prompt_lengths" in part:
        counted &= jnp.arange(counted.shape[-1]) >= part["prompt_lengths"][..., None]
    return counted.astype(jnp.float32)


def target_states(model: Bart, part: dict[str, Array], dropout_key=None) -> Float[Array, "batch pair target model"]:
    """The decoder's states at every target token; each source is encoded once for all its targets."""
    config = model.config
    encoder_key, decoder_key = (None, None) if dropout_key is None else jax.random.split(dropout_key)
    mask = part["source_ids"] != config.pad_token_id
    memory = model.memory(model.encode(part["source_ids"], mask, dropout_key=encoder_key), mask)
    inputs = decoder_input(part["target_ids"], config.decoder_start_token_id)
    return model.decode(inputs, memory, dropout_key=decoder_key)[0]


def token_losses(
    model: Bart, states: Float[Array, "batch pair target model"], target_ids: Int[Array, "batch pair target"]
) -> dict[str, Float[Array, "batch pair target"]]:
    """Of every target token: `nll`, -log p of it; `smooth`, the sum of -log p over the vocabulary; `right`, whether it
    is the likeliest.

    In nats, float32; the numbers at padding mean nothing.
    """
    batch, pair, target = target_ids.shape
    length = pair * target
    slices = -(-batch * length * model.config.vocab_size // LOGITS_AT_ONCE)
    width = -(-length // slices)

    def reduce(states, ids):
        logits = model.logits(states)
        total = jax.nn.logsumexp(logits, axis=-1)
        nll = total - jnp.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]
        smooth = logits.shape[-1] * total - logits.sum(axis=-1)
        return {"nll": nll, "smooth": smooth, "right": (logits.argmax(axis=-1) == ids).astype(logits.dtype)}

    if slices == 1:
        return reduce(states, target_ids)
    missing = width * slices - length
    states = jnp.pad(states.reshape(batch, length, -1), ((0, 0), (0, missing), (0, 0)))
    ids = jnp.pad(target_ids.reshape(batch, length), ((0, 0), (0, missing)))
    # Cut along the targets and not along the batch, which lies on different devices.
    states = states.reshape(batch, slices, width, -1).swapaxes(0, 1)
    ids = ids.reshape(batch, slices, width).swapaxes(0, 1)
    losses = jax.lax.map(jax.checkpoint(lambda arrays: reduce(*arrays)), (states, ids))  # [slices, batch, width]
    return jax.tree.map(lambda a: a.swapaxes(0, 1).reshape(batch, -1)[:, :length].reshape(target_ids.shape), losses)


def likelihood_loss(label_smoothing: float = 0.0) -> Loss:
    """A loss of (model, batch, dropout key): the sum over target tokens in nats, their number, and sums to report.

    fairseq: smoothing gives eps / vocabulary to every token, the right one included, and 1 - eps to the right one
    beside it.
    """

    def loss(model: Bart, batch: Batch, dropout_key=None):
        total, size, sums = 0.0, 0.0, {}
        for number, (name, part) in enumerate(sorted(batch.items())):
            key = None if dropout_key is None else jax.random.fold_in(dropout_key, number)
            losses = token_losses(model, target_states(model, part, key), part["target_ids"])
            counted = counted_tokens(part, model.config.pad_token_id)
            nll, tokens = (losses["nll"] * counted).sum(), counted.sum()
            sums[f"nll/{name}"] = (nll, tokens)
            spread = (losses["smooth"] * counted).sum() / model.config.vocab_size
            total += (1 - label_smoothing) * nll + label_smoothing * spread if label_smoothing else nll
            size += tokens
        return total, size, sums

    return loss


def likelihood_sums(model: Bart, batch: Batch) -> Sums:
    """What validation reports: `nll` over everything, and loss and accuracy of every part."""
    sums: Sums = {}
    totals = [jnp.zeros(()), jnp.zeros(())]
    for name, part in sorted(batch.items()):
        losses = token_losses(model, target_states(model, part), part["target_ids"])
        counted = counted_tokens(part, model.config.pad_token_id)
        nll, tokens = (losses["nll"] * counted).sum(), counted.sum()
        sums[f"nll/{name}"] = (nll, tokens)
        sums[f"accuracy/{name}"] = ((losses["right"] * counted).sum(), tokens)
        totals = [totals[0] + nll, totals[1] + tokens]
    return sums | {"nll": tuple(totals)}


def answer_sums(connector_id: int, types: tuple[str, ...]) -> Callable[[Bart, Batch], Sums]:
    """Like `likelihood_sums`, with loss and accuracy of the **first token of the answer** by type of answer.

    Whether a QAGen has understood who did what shows there first, and last of all in persons. A part may have
    `type_ids` [batch, pair], numbers in `types`; pairs without a connector count nowhere.
    """

    def sums(model: Bart, batch: Batch) -> Sums:
        result: Sums = {}
        totals = [jnp.zeros(()), jnp.zeros(())]
        for name, part in sorted(batch.items()):
            ids = part["target_ids"]
            losses = token_losses(model, target_states(model, part), ids)
            counted = counted_tokens(part, model.config.pad_token_id)
            result[f"nll/{name}"] = ((losses["nll"] * counted).sum(), counted.sum())
            totals = [total + value for total, value in zip(totals, result[f"nll/{name}"], strict=True)]
            # One where the token before is the connector: the first token of the answer.
            first = jnp.pad(ids[..., :-1] == connector_id, ((0, 0), (0, 0), (1, 0))) & (counted > 0)
            for number, type_name in enumerate(types):
                of_type = first & (part["type_ids"] == number)[..., None] if "type_ids" in part else first
                count = of_type.sum().astype(jnp.float32)
                result[f"first_nll/{name}/{type_name}"] = ((losses["nll"] * of_type).sum(), count)
                result[f"first_accuracy/{name}/{type_name}"] = ((losses["right"] * of_type).sum(), count)
        return result | {"nll": tuple(totals)}

    return sums
