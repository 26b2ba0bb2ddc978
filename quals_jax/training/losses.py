"""Likelihood of targets given their sources, with the sums from which means over many batches are made.

A batch is a dict of parts, each a dict of `source_ids` [batch, source] and `target_ids` [batch, pair, target]: all
targets of a text against one encoding of it. Padding (id 1) counts nothing, and a row of padding alone is no row. A part
may have `prompt_lengths` [batch, pair]: so many tokens at the start of a target are given, not learnt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quals_jax.models.teacher_forcing import LOGITS_AT_ONCE, per_token, reduce_logits, target_states

# name -> (numerator, denominator), to be added up before they are divided
Sums = dict[str, tuple[Array, Array]]
Batch = dict[str, dict[str, Array]]
Loss = Callable[..., tuple[Array, Array, Sums]]  # of (model, batch, dropout key, devices=how many the batch lies on)


def counted_tokens(part: dict[str, Array], pad_id: int) -> Float[Array, "batch pair target"]:
    """1 at every target token that counts, 0 at padding and at what is given."""
    counted = part["target_ids"] != pad_id
    if "prompt_lengths" in part:
        counted &= jnp.arange(counted.shape[-1]) >= part["prompt_lengths"][..., None]
    return counted.astype(jnp.float32)


def _states(model, part: dict[str, Array], dropout_key=None) -> Float[Array, "batch pair target model"]:
    return target_states(model, part["source_ids"], part["target_ids"], dropout_key=dropout_key)


def token_losses(
    model,
    states: Float[Array, "batch pair target model"],
    target_ids: Int[Array, "batch pair target"],
    devices: int = 1,
) -> dict[str, Float[Array, "batch pair target"]]:
    """Of every target token: `nll`, -log p of it; `smooth`, the sum of -log p over the vocabulary; `right`, whether it
    is the likeliest.

    In nats, float32; the numbers at padding mean nothing.
    """

    def reduce(logits, ids):
        total = jax.nn.logsumexp(logits, axis=-1)
        nll = total - jnp.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]
        smooth = logits.shape[-1] * total - logits.sum(axis=-1)
        return {"nll": nll, "smooth": smooth, "right": (logits.argmax(axis=-1) == ids).astype(logits.dtype)}

    slices = reduce_logits(model, states, target_ids, reduce, at_once=devices * LOGITS_AT_ONCE)
    return jax.tree.map(lambda array: per_token(array, target_ids), slices)


def likelihood_loss(label_smoothing: float = 0.0) -> Loss:
    """A loss of (model, batch, dropout key, devices): the sum over target tokens in nats, their number, and sums to report.

    fairseq: smoothing gives eps / vocabulary to every token, the right one included, and 1 - eps to the right one
    beside it.
    """

    def loss(model, batch: Batch, dropout_key=None, devices: int = 1):
        total, size, sums = 0.0, 0.0, {}
        for number, (name, part) in enumerate(sorted(batch.items())):
            key = None if dropout_key is None else jax.random.fold_in(dropout_key, number)
            losses = token_losses(model, _states(model, part, key), part["target_ids"], devices)
            counted = counted_tokens(part, model.config.pad_token_id)
            nll, tokens = (losses["nll"] * counted).sum(), counted.sum()
            sums[f"nll/{name}"] = (nll, tokens)
            spread = (losses["smooth"] * counted).sum() / model.config.vocab_size
            total += (1 - label_smoothing) * nll + label_smoothing * spread if label_smoothing else nll
            size += tokens
        return total, size, sums

    return loss


def likelihood_sums(model, batch: Batch) -> Sums:
    """What validation reports: `nll` over everything, and loss and accuracy of every part."""
    sums: Sums = {}
    totals = [jnp.zeros(()), jnp.zeros(())]
    for name, part in sorted(batch.items()):
        losses = token_losses(model, _states(model, part), part["target_ids"])
        counted = counted_tokens(part, model.config.pad_token_id)
        nll, tokens = (losses["nll"] * counted).sum(), counted.sum()
        sums[f"nll/{name}"] = (nll, tokens)
        sums[f"accuracy/{name}"] = ((losses["right"] * counted).sum(), tokens)
        totals = [totals[0] + nll, totals[1] + tokens]
    return sums | {"nll": tuple(totals)}


def answer_sums(connector_id: int, types: tuple[str, ...]) -> Callable[[Any, Batch], Sums]:
    """Like `likelihood_sums`, with loss and accuracy of the **first token of the answer** by type of answer.

    Whether a QAGen has understood who did what shows there first, and last of all in persons. A part may have
    `type_ids` [batch, pair], numbers in `types`; pairs without a connector count nowhere.
    """

    def sums(model, batch: Batch) -> Sums:
        result: Sums = {}
        totals = [jnp.zeros(()), jnp.zeros(())]
        for name, part in sorted(batch.items()):
            ids = part["target_ids"]
            losses = token_losses(model, _states(model, part), ids)
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
