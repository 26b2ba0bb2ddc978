"""What a format demands of decoding: how hypotheses begin, what ends them, and which tokens may repeat freely."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@dataclass(frozen=True)
class Rules:
    """prefix: ids that every hypothesis begins with, at no cost. ends: ids that end a hypothesis as the end of sentence does: one event
    with it. free: ids that carry no penalty of diversity, however many groups choose them. separator: what an answer begins behind, in a
    search that covers its text, token by token: the ids of which each may be any."""

    prefix: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    free: tuple[int, ...] = ()
    separator: tuple[tuple[int, ...], ...] = ()


NO_RULES = Rules()


def as_one_event(
    logits: Float[Array, "*rest vocab"], ends: tuple[int, ...], eos_id: int
) -> Float[Array, "*rest vocab"]:
    """Logits under which the end of sentence has its own probability and that of all `ends`, which have none left. The sum over the
    vocabulary, and so every other token's probability, stays what it was."""
    if not ends:
        return logits
    ids = jnp.asarray(sorted({eos_id, *ends}))
    together = jax.nn.logsumexp(logits[..., ids], axis=-1)
    return logits.at[..., ids].set(-jnp.inf).at[..., eos_id].set(together)
