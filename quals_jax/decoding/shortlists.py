"""Of every beam the tokens that it may be continued with: a short list in the place of the vocabulary."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quals_jax.decoding.top_k import top_k

# Of the groups, on a CPU, whose top-k works on one core: where more than eight things can be done, XLA's executor gives some to another.
PARTS = 10


def shortlists(
    logits: Float[Array, "batch beam vocab"], groups: int, wanted: int, forbidden: int
) -> tuple[Float[Array, "batch beam place"], Int[Array, "batch beam place"]]:
    """The best logits of every beam and their tokens, as many as its group can need; a shorter list is filled with -inf and a token that
    does not exist (`vocab`).

    They provably suffice. With G groups, each of which penalises the `wanted` tokens that it finds, the g-th finds at most wanted x g
    penalised (counted from 0), and `forbidden` more are not allowed; so among the best wanted x (g + 1) + forbidden tokens of a beam at
    least `wanted` are free of both, and each of these is at least as good as any token outside, at a lower id where it is equal (`top_k`
    prefers lower ids).
    """
    vocab = logits.shape[-1]
    longest = min(vocab, wanted * groups + forbidden)

    def whole(logits):
        return top_k(logits, longest)

    def in_parts(logits):
        """Lists as long as each part of the groups needs."""
        batch, beams, _ = logits.shape
        by_group = logits.reshape(batch, beams // groups, groups, vocab)
        size = -(-groups // PARTS)
        parts = []
        for first in range(0, groups, size):
            end = min(first + size, groups)
            length = min(vocab, wanted * end + forbidden)
            values, tokens = top_k(by_group[:, :, first:end], length)
            missing = ((0, 0), (0, 0), (0, 0), (0, longest - length))
            values = jnp.pad(values, missing, constant_values=-jnp.inf)
            parts.append((values, jnp.pad(tokens, missing, constant_values=vocab)))
        values, tokens = (jnp.concatenate(own, axis=2) for own in zip(*parts, strict=True))
        return values.reshape(batch, beams, longest), tokens.reshape(batch, beams, longest)

    return jax.lax.platform_dependent(logits, cpu=in_parts, default=whole)
