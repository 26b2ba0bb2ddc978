"""The largest of many values, exactly, the way that suits the machine."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

KERNEL_LIMIT = 16  # XLA's top-k kernel for GPUs serves no more; beyond it sorts the whole axis


def top_k(values: Float[Array, "*rows vocab"], k: int) -> tuple[Float[Array, "*rows rank"], Int[Array, "*rows rank"]]:
    """The k largest values and their places, best first, equal values by place: `jax.lax.top_k`, or the same by way of block maxima
    where the platform that is compiled for would sort the whole axis (a TPU always does). Values must not be NaN."""
    if k >= values.shape[-1] // 16:
        return tuple(jax.lax.top_k(values, k))

    def whole(values):
        return tuple(jax.lax.top_k(values, k))

    def by_blocks(values):
        return block_top_k(values, k)

    # A CPU's fast selection is of float32 alone: 60 rows of 50,265 take 11 ms, and 1.2 s in float64 (block maxima: 13 and 130).
    on_cpu = whole if values.dtype == jnp.float32 else by_blocks
    on_gpu = whole if k <= KERNEL_LIMIT else by_blocks
    return jax.lax.platform_dependent(values, cpu=on_cpu, cuda=on_gpu, rocm=on_gpu, tpu=by_blocks, default=whole)


def block_top_k(
    values: Float[Array, "*rows vocab"], k: int
) -> tuple[Float[Array, "*rows rank"], Int[Array, "*rows rank"]]:
    """`jax.lax.top_k`, reading all values once and sorting a few thousand.

    The k blocks of largest maximum (equal ones: the earlier block) hold the answer. For a value outside them, each of these k blocks
    has a maximum that is larger, or is equal and stands in an earlier block, thus at an earlier place: k values precede it.
    """
    vocab = values.shape[-1]
    width = max(1, math.isqrt(vocab // k))  # as many maxima to sort as values in the blocks chosen
    values = jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, -vocab % width)], constant_values=-jnp.inf)
    blocks = values.reshape(*values.shape[:-1], -1, width)
    _, chosen = jax.lax.top_k(jnp.max(blocks, axis=-1), min(k, blocks.shape[-2]))
    chosen = jnp.sort(chosen, axis=-1)  # so that equal values keep the order of their places
    near = jnp.take_along_axis(blocks, chosen[..., None], axis=-2)
    places = chosen[..., None] * width + jnp.arange(width, dtype=chosen.dtype)
    best, where = jax.lax.top_k(near.reshape(*near.shape[:-2], -1), k)
    return best, jnp.take_along_axis(places.reshape(*places.shape[:-2], -1), where, axis=-1)
