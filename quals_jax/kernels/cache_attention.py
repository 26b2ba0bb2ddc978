"""A decoding step's self-attention against a cache that is never moved: a table says where each beam's earlier tokens stand.

Beams change their parents at nearly every step, and moving the keys and values of all layers to the chosen beams costs more than reading
them. With the table `ancestors [batch, beam, time]` a beam's token of that time stands in that slot, and only the table moves.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jaxtyping import Array, Float, Int

from quals_jax.kernels import on_this_platform

BLOCK = 32  # positions read at once
WARPS = 2  # for 32 positions of 64 numbers


def attend_by_gather(
    query: Float[Array, "batch beam head dim"],
    keys: Float[Array, "batch slot head time dim"],
    values: Float[Array, "batch slot head time dim"],
    ancestors: Int[Array, "batch beam time"],
    length: Int[Array, ""],
) -> Float[Array, "batch beam head dim"]:
    """Scaled queries against the first `length` + 1 positions of their own beams, in float32 at least: what `attend_in_kernel` is compared
    with. It writes the beams' keys and values out, and so costs what moving the cache costs."""
    wide = jnp.promote_types(query.dtype, jnp.float32)
    index = ancestors[:, :, None, :, None]
    own_keys, own_values = (jnp.take_along_axis(array, index, axis=1).astype(wide) for array in (keys, values))
    scores = jnp.einsum("bphd,bphtd->bpht", query.astype(wide), own_keys)
    weights = jax.nn.softmax(jnp.where(jnp.arange(keys.shape[3]) <= length, scores, -jnp.inf), axis=-1)
    return jnp.einsum("bpht,bphtd->bphd", weights, own_values).astype(query.dtype)


def attend_in_kernel(
    query: Float[Array, "batch beam head dim"],
    keys: Float[Array, "batch slot head time dim"],
    values: Float[Array, "batch slot head time dim"],
    ancestors: Int[Array, "batch beam time"],
    length: Int[Array, ""],
) -> Float[Array, "batch beam head dim"]:
    """`attend_by_gather` as one kernel, a program for every beam and head, which stops at the filled length; beyond what 32 bits count, that
    itself. No product is a matrix product here: sums of products in float32, as exact as they come.

    Raises:
        ValueError: if heads have a size that is no power of two, which Triton does not take.
    """
    batch, beams, heads, dim = query.shape
    if dim & (dim - 1):
        raise ValueError(f"the kernel `cache` takes heads whose size is a power of two; this model's have {dim}")

    if keys.size >= 2**31:
        return attend_by_gather(query, keys, values, ancestors, length)

    def call(*arrays, **how):
        one = pl.BlockSpec((None, None, None, dim), lambda row, beam, head: (row, beam, head, 0))
        return pl.pallas_call(
            _kernel, grid=(batch, beams, heads), in_specs=[pl.BlockSpec(), one, *[pl.BlockSpec()] * 3], out_specs=one,
            out_shape=jax.ShapeDtypeStruct(query.shape, query.dtype), name="cache_attention", **how,
        )(*arrays)  # fmt: skip

    return on_this_platform(call, length[None], query, keys, values, ancestors, warps=WARPS)


def _kernel(length, query, keys, values, ancestors, out):
    from jax.experimental.pallas import triton

    row, beam, head = map(pl.program_id, range(3))
    dim, last = query.shape[0], length[0]
    wide = jnp.promote_types(query.dtype, jnp.float32)
    wanted = query[...].astype(wide)

    def read(number, carry):
        largest, total, mixed = (
            carry  # softmax as the positions come: its maximum, its sum, and the values' weighted sum
        )
        time = number * BLOCK + jnp.arange(BLOCK)
        held = time <= last
        slot = triton.load(ancestors.at[row, beam, time], mask=held, other=0)

        def own(cache):
            where = cache.at[row, slot[:, None], head, time[:, None], jnp.arange(dim)[None]]
            return triton.load(where, mask=held[:, None], other=0).astype(wide)

        scores = jnp.where(held, jnp.sum(wanted[None] * own(keys), axis=1), -jnp.inf)
        now = jnp.maximum(largest, jnp.max(scores))
        weights, before = jnp.exp(scores - now), jnp.exp(largest - now)
        mixed = before * mixed + jnp.sum(weights[:, None] * own(values), axis=0)
        return now, before * total + jnp.sum(weights), mixed

    nothing = jnp.array(-jnp.inf, wide), jnp.zeros((), wide), jnp.zeros(dim, wide)
    _, total, mixed = jax.lax.fori_loop(0, last // BLOCK + 1, read, nothing)
    out[...] = (mixed / total).astype(out.dtype)
