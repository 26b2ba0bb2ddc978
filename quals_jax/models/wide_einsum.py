"""Products whose results stay float32: attention scores and logits, whatever their operands are."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def wide_einsum(spec: str, first: Float[Array, "..."], second: Float[Array, "..."]) -> Float[Array, "..."]:
    """`jnp.einsum` of two arrays of one type, summed and given in float32 at least.

    Its gradient is computed in the operands' type: left to JAX, the products of the backward pass would have one float32 and one bfloat16
    operand, at a fraction of the speed (and on a CPU become float32 products).
    """
    return jnp.einsum(spec, first, second, preferred_element_type=jnp.promote_types(first.dtype, jnp.float32))


def _forward(spec, first, second):
    return wide_einsum(spec, first, second), (first, second)


def _backward(spec, operands, gradient):
    _, pull_back = jax.vjp(partial(jnp.einsum, spec), *operands)
    return pull_back(gradient.astype(operands[0].dtype))


wide_einsum.defvjp(_forward, _backward)
