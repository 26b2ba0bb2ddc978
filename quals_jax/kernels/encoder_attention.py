"""The encoder's attention in bfloat16 by the kernel that the back end has for it: cuDNN's on NVIDIA's GPUs, the Pallas kernel that JAX ships on
TPUs. Neither writes the scores `[batch, head, source, source]` out. Elsewhere the plain way, which is given."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

BLOCK = 128  # positions: a TPU's lanes


def fits(query: Float[Array, "batch source head dim"]) -> bool:
    """Whether these kernels take such queries: cuDNN's has 16-bit operands, and heads of a multiple of 8 up to 128."""
    return query.dtype == jnp.bfloat16 and query.shape[-1] % 8 == 0 and query.shape[-1] <= 128


def fused_attention(
    query: Float[Array, "batch source head dim"],
    key: Float[Array, "batch source head dim"],
    value: Float[Array, "batch source head dim"],
    mask: Bool[Array, "batch source"],
    plain: Callable[[Array, Array, Array, Array], Array],
) -> Float[Array, "batch source head dim"]:
    """What `plain(query, key, value, mask)` gives where the mask is True, for queries that are scaled already. Texts are padded on the right,
    so that the mask is a length; what stands at padding is of no use, but is finite."""
    return jax.lax.platform_dependent(
        query, key, value, mask, cuda=by_cudnn if _knows_cudnn(query, mask) else plain, tpu=by_flash, default=plain
    )


def by_cudnn(query, key, value, mask, implementation: str = "cudnn"):
    """A length of at least 1, as no softmax is of nothing: rows that are padding alone read one position of it."""
    lengths = jnp.maximum(jnp.sum(mask, axis=-1, dtype=jnp.int32), 1)
    return jax.nn.dot_product_attention(
        query, key, value, scale=1.0, key_value_seq_lengths=lengths, implementation=implementation
    )


def by_flash(query, key, value, mask):
    """Padding is a segment of its own, which reads itself."""
    from jax.experimental.pallas.ops.tpu.flash_attention import BlockSizes, SegmentIds, flash_attention

    source = query.shape[1]
    whole = -(-source // BLOCK) * BLOCK
    block = next(size for size in (512, 384, 256, BLOCK) if whole % size == 0)

    def by_head(array):
        return jnp.pad(array, ((0, 0), (0, whole - source), (0, 0), (0, 0))).swapaxes(1, 2)

    segments = jnp.pad(mask, ((0, 0), (0, whole - source))).astype(jnp.int32)
    sizes = BlockSizes(block_q=block, block_k_major=block, block_k=block, block_b=1)
    mixed = flash_attention(*map(by_head, (query, key, value)), None, SegmentIds(segments, segments), block_sizes=sizes)
    return mixed.swapaxes(1, 2)[:, :source]


def _knows_cudnn(query, mask) -> bool:
    """JAX asks for the version of cuDNN when a program is traced, wherever that is for: without one, no GPU can run it either."""
    try:
        jax.eval_shape(by_cudnn, query, query, query, mask)
    except RuntimeError:
        return False
    return True
