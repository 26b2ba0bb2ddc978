"""Losses of a BERT with a head: where an answer stands, and what a pair of texts is.

A batch is a dict of parts, each with `source_ids` and `segment_ids` [batch, source], `empty` [batch] (1 for a row that is there only to
fill the batch) and `target_ids`: for spans [batch, 2, place], every place where the answer begins and where it ends, -1 for no more;
for labels [batch, 1]. Labels may have `piece_ids` [batch, source] too: a label for every piece, -1 for none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from quals_jax.training.losses import Batch, Loss, Sums

Losses = Callable[[Any, dict[str, Array], Array | None], tuple[Float[Array, "batch"], Bool[Array, "batch"]]]


def span_losses(model, part: dict[str, Array], dropout_key=None) -> tuple[Float[Array, "batch"], Bool[Array, "batch"]]:
    """Of every row: -log p of the answer beginning at one of its places, and of its ending at one, the mean of both; and whether the
    likeliest first and last positions are among them. An answer that the text gives twice may be found at either place. Nats."""
    encoder_key, _ = _keys(dropout_key)
    logits = model.span_logits(model.encode(part["source_ids"], part["segment_ids"], dropout_key=encoder_key))
    there = (part["source_ids"] != model.config.pad_token_id)[..., None]
    logits = jnp.where(there, logits, jnp.finfo(logits.dtype).min)
    logprobs = jax.nn.log_softmax(logits, axis=1).swapaxes(1, 2)  # [batch, 2, source]
    places = part["target_ids"]
    own = jnp.take_along_axis(logprobs, jnp.maximum(places, 0), axis=2)
    nll = -jax.nn.logsumexp(jnp.where(places >= 0, own, -jnp.inf), axis=2)
    right = jnp.any(logprobs.argmax(axis=2)[..., None] == places, axis=2)
    return nll.mean(axis=1), right.all(axis=1)


def label_losses(model, part: dict[str, Array], dropout_key=None) -> tuple[Float[Array, "batch"], Bool[Array, "batch"]]:
    """Of every row: -log p of its label, in nats, and whether the label is the likeliest."""
    states, head_key = _encoded(model, part, dropout_key)
    return _label_loss(model, states, part, head_key)


def marked_label_losses(
    model, part: dict[str, Array], dropout_key=None
) -> tuple[Float[Array, "batch"], Bool[Array, "batch"]]:
    """As `label_losses`, with the mean of -log p of the labels of single pieces added where a row has them: the head reads each piece as it
    reads the first. FactCCX learns where a claim is false with heads of its own; this needs none, and a mark says far more than a label."""
    states, head_key = _encoded(model, part, dropout_key)
    nll, right = _label_loss(model, states, part, head_key)
    batch, source, width = states.shape
    logits = model.label_logits(states.reshape(batch * source, 1, width)).reshape(batch, source, -1)
    marks = part["piece_ids"]
    own = -jnp.take_along_axis(jax.nn.log_softmax(logits, axis=-1), jnp.maximum(marks, 0)[..., None], axis=2)[..., 0]
    marked = (marks >= 0).astype(own.dtype)
    return nll + (own * marked).sum(axis=1) / jnp.maximum(marked.sum(axis=1), 1), right


def _encoded(model, part: dict[str, Array], dropout_key) -> tuple[Float[Array, "batch source model"], Array | None]:
    encoder_key, head_key = _keys(dropout_key)
    return model.encode(part["source_ids"], part["segment_ids"], dropout_key=encoder_key), head_key


def _label_loss(model, states, part: dict[str, Array], head_key) -> tuple[Float[Array, "batch"], Bool[Array, "batch"]]:
    logprobs = jax.nn.log_softmax(model.label_logits(states, dropout_key=head_key), axis=-1)
    label = part["target_ids"][:, 0]
    return -jnp.take_along_axis(logprobs, label[:, None], axis=1)[:, 0], logprobs.argmax(axis=-1) == label


def encoder_loss(losses: Losses) -> Loss:
    """A loss of (model, batch, dropout key): the sum over rows in nats, their number, and sums to report."""

    def loss(model, batch: Batch, dropout_key=None, devices: int = 1):  # their logits are few
        total, size, sums = 0.0, 0.0, {}
        for number, (name, part) in enumerate(sorted(batch.items())):
            key = None if dropout_key is None else jax.random.fold_in(dropout_key, number)
            nll, rows = _counted(losses(model, part, key)[0], part)
            sums[f"nll/{name}"] = (nll, rows)
            total, size = total + nll, size + rows
        return total, size, sums

    return loss


def encoder_sums(losses: Losses) -> Callable[[Any, Batch], Sums]:
    """What validation reports: `nll` over everything, and loss and accuracy of every part."""

    def sums(model, batch: Batch) -> Sums:
        result: Sums = {}
        totals = [jnp.zeros(()), jnp.zeros(())]
        for name, part in sorted(batch.items()):
            own, right = losses(model, part, None)
            nll, rows = _counted(own, part)
            result[f"nll/{name}"] = (nll, rows)
            result[f"accuracy/{name}"] = _counted(right.astype(jnp.float32), part)
            totals = [totals[0] + nll, totals[1] + rows]
        return result | {"nll": tuple(totals)}

    return sums


def _counted(values: Float[Array, "batch"], part: dict[str, Array]) -> tuple[Array, Array]:
    there = part["empty"] == 0
    return jnp.where(there, values, 0).sum(), there.sum().astype(jnp.float32)


def _keys(dropout_key):
    return (None, None) if dropout_key is None else jax.random.split(dropout_key)
