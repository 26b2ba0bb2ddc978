"""What the layers of every model here are made of: activations, dropout, norms, and equal layers as one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

ACTIVATIONS = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
}


class Dropout:
    """Successive dropouts of one layer, each with a key of its own; without a key it does nothing."""

    def __init__(self, key):
        self.key = key
        self.uses = 0

    def drop(self, array: Float[Array, "..."], rate: float) -> Float[Array, "..."]:
        self.uses += 1
        if self.key is None or rate == 0:
            return array
        kept = jax.random.bernoulli(jax.random.fold_in(self.key, self.uses), 1 - rate, array.shape)
        return jnp.where(kept, array / (1 - rate), 0).astype(array.dtype)


class LayerNorm(nnx.LayerNorm):
    """Computed in float32 at least, whatever the states' type."""

    def __call__(self, states: Float[Array, "... model"]) -> Float[Array, "... model"]:
        return super().__call__(states).astype(states.dtype)


def stacked(layers: nnx.List) -> tuple[nnx.GraphDef, nnx.State]:
    """Equal layers as one, each parameter with a first axis `layer`, for `lax.scan`: one layer is compiled instead of all. The copy
    costs a program one pass over the weights, little beside its products."""
    graphs, states = zip(*map(nnx.split, layers), strict=True)
    return graphs[0], jax.tree.map(lambda *arrays: jnp.stack(arrays), *states)


def fold(key, number: int):
    """A key of its own for layer `number`; none where there is none."""
    return None if key is None else jax.random.fold_in(key, number)


def param_dtype(dtype):
    """Of the parameters of a model whose operands are of `dtype`."""
    return jnp.float64 if dtype == jnp.float64 else jnp.float32
