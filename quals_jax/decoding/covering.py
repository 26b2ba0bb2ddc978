"""Answers from the text by construction: after the separator a hypothesis goes on only with tokens that spell a span of the text.

A beam carries how many tokens its answer has and at which places of the text it can stand; both move with the beams and shrink with every
token. A separator may have several tokens (`Rules.separator`), so a beam carries the last of its own as well. All shapes are static:
places and tokens are padded.

Axes: batch, beam, place (where an answer may begin), time (tokens of an answer).
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

NOTHING = -1


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Places:
    """tokens: what an answer from this place is spelled with (NOTHING behind the last). ends: whether it may end behind each token."""

    tokens: Int[Array, "batch place time"]
    ends: Bool[Array, "batch place time"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Answers:
    """Of every beam: the length of its answer so far (NOTHING before the separator), where it can stand, and the tokens before the next,
    one fewer than a separator has."""

    length: Int[Array, "batch beam"]
    alive: Bool[Array, "batch beam place"]
    recent: Int[Array, "batch beam before"]


def no_answers(places: Places, beams: int, separator: tuple[tuple[int, ...], ...] = ()) -> Answers:
    """Before the first token."""
    alive = jnp.broadcast_to(
        (places.tokens[:, :, 0] != NOTHING)[:, None], (len(places.tokens), beams, places.tokens.shape[1])
    )
    length = jnp.zeros(alive.shape[:2], jnp.int32) + NOTHING
    return Answers(length, alive, jnp.repeat(length[..., None], max(len(separator) - 1, 0), axis=-1))


def next_tokens(
    answers: Answers, places: Places, eos_id: int, nothing_id: int
) -> tuple[Int[Array, "batch beam option"], Bool[Array, "batch beam"]]:
    """What may come next in every beam's answer, `nothing_id` where nothing; and which beams are in their answers at all. A token that
    several places spell comes several times."""
    inside = answers.length >= 0
    longest = places.tokens.shape[-1]
    at = jnp.clip(answers.length, 0, longest - 1)
    # [batch, beam, place]: a gather along time with an index for every beam.
    spelled = _at(places.tokens, at)
    spelled = jnp.where(
        answers.alive & (answers.length < longest)[..., None] & (spelled != NOTHING), spelled, nothing_id
    )
    ended = (
        _at(places.ends, jnp.clip(answers.length - 1, 0, longest - 1)) & answers.alive & (answers.length > 0)[..., None]
    )
    end = jnp.where(jnp.any(ended, axis=-1, keepdims=True), eos_id, nothing_id)
    return jnp.concatenate([spelled, end], axis=-1).astype(jnp.int32), inside


def spelling(
    logits: Float[Array, "batch beam vocab"], answers: Answers, places: Places, eos_id: int
) -> Float[Array, "batch beam vocab"]:
    """The logits, with those of tokens that would spell nothing of the text at -inf for beams that are in their answers."""
    batch, beams, vocab = logits.shape
    options, inside = next_tokens(answers, places, eos_id, vocab)
    rows, own = jnp.arange(batch)[:, None, None], jnp.arange(beams)[None, :, None]
    spelled = jnp.zeros(logits.shape, bool).at[rows, own, options].set(True, mode="drop")
    return jnp.where(inside[..., None] & ~spelled, -jnp.inf, logits)


def follow(
    answers: Answers,
    places: Places,
    parents: Int[Array, "batch beam"],
    tokens: Int[Array, "batch beam"],
    separator: tuple[tuple[int, ...], ...],
) -> Answers:
    """The answers of the beams' continuations: each its parent's, and one token more. Without a separator none begins."""
    length = jnp.take_along_axis(answers.length, parents, axis=1)
    alive = jnp.take_along_axis(answers.alive, parents[..., None], axis=1)
    spelled = _at(places.tokens, jnp.clip(length, 0, places.tokens.shape[-1] - 1))
    inside = length >= 0
    alive = jnp.where(inside[..., None], alive & (spelled == tokens[..., None]), alive)
    recent = jnp.take_along_axis(answers.recent, parents[..., None], axis=1)
    latest = jnp.concatenate([recent, tokens[..., None]], axis=-1)
    begins = jnp.full(tokens.shape, bool(separator))
    for place, ids in enumerate(separator):
        begins &= jnp.isin(latest[..., place], jnp.asarray(ids))
    length = jnp.where(inside, length + 1, jnp.where(begins, 0, NOTHING))
    return Answers(length, alive, latest[..., latest.shape[-1] - recent.shape[-1] :])


def _at(values: Array, index: Int[Array, "batch beam"]) -> Array:
    """[batch, beam, place] of [batch, place, time] and a time for every beam."""
    return jax.vmap(lambda own, times: own.T[times])(values, index)
