"""What the layers of every model here are made of: activations, dropout, norms, and equal layers as one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

# The backward pass keeps what goes into such a function alone, not several arrays of float32, and computes the rest again.
recomputed = partial(jax.checkpoint, prevent_cse=False)


@recomputed
def gelu(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """By erf, in float32 at least, as PyTorch computes it. JAX's own goes by erfc, of which XLA makes 70 operations: 2.4 times as slow on a
    CPU, and a quarter of the compiler's passes over a search for GPUs."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return (0.5 * wide * (1 + jax.lax.erf(wide * 0.5**0.5))).astype(x.dtype)


ACTIVATIONS = {
    "gelu": gelu,
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


def by_row(function: Callable, array: Float[Array, "... width"]) -> Float[Array, "... width"]:
    """What the function, a norm or softmax, makes of the array's rows; on GPUs it gets all of them as one axis. XLA's compiler for GPUs
    tries every way to cut every axis, which with four axes takes longer than all else; its compiler for CPUs would compute the norms
    of earlier layers anew in every layer (four times as long to compile).

    No parameter may enter the function: the sum of its gradient over the devices would stand inside a conditional, which XLA then keeps
    on a CPU, and devices that come to such a sum while others are at one outside may wait for ever."""

    def of_matrix(array):
        return function(array.reshape(-1, array.shape[-1])).reshape(array.shape)

    return jax.lax.platform_dependent(array, cuda=of_matrix, rocm=of_matrix, default=function)


def softmax(scores: Float[Array, "... source"]) -> Float[Array, "... source"]:
    """Over the last axis."""
    return by_row(jax.nn.softmax, scores)


class LayerNorm(nnx.LayerNorm):
    """Computed in float32 at least, whatever the states' type."""

    def __call__(self, states: Float[Array, "... model"]) -> Float[Array, "... model"]:
        @recomputed
        def norm(states):
            return _standardized(states.astype(self.dtype), self.epsilon) * self.scale[...] + self.bias[...]

        return norm(states).astype(states.dtype)


class RMSNorm(nnx.RMSNorm):
    """As T5 has it, without mean and bias; in float32 at least."""

    def __call__(self, states: Float[Array, "... model"]) -> Float[Array, "... model"]:
        @recomputed
        def norm(states):
            return _standardized(states.astype(self.dtype), self.epsilon, centred=False) * self.scale[...]

        return norm(states).astype(states.dtype)


def _standardized(
    states: Float[Array, "... model"], epsilon: float, *, centred: bool = True
) -> Float[Array, "... model"]:
    """With mean 0 (if `centred`) and mean square 1 (but for `epsilon`) over the last axis."""

    def of_rows(rows):
        if centred:
            rows = rows - rows.mean(-1, keepdims=True)
        return rows * jax.lax.rsqrt(jnp.square(rows).mean(-1, keepdims=True) + epsilon)

    return by_row(of_rows, states)


def stacked(layers: nnx.List | nnx.Module) -> tuple[nnx.GraphDef, nnx.State]:
    """Equal layers as one, each parameter with a first axis `layer`, for `lax.scan`: one layer is compiled instead of all. Layers that are
    held apart are copied by the program, one pass over the weights; those that are held as one (`with_layers`) are read in place."""
    if not isinstance(layers, nnx.List):
        return nnx.split(layers)
    graphs, states = zip(*map(nnx.split, layers), strict=True)
    return graphs[0], jax.tree.map(_stack, *states)


def apart(layers: nnx.List | nnx.Module) -> nnx.List:
    """Equal layers one by one."""
    if isinstance(layers, nnx.List):
        return layers
    graph, weights = nnx.split(layers)
    own = (jax.tree.map(partial(_take, number), weights) for number in range(_count(weights)))
    return nnx.List([nnx.merge(graph, weights) for weights in own])


def scan_layers(
    layers: nnx.List | nnx.Module, run: Callable, states, own: tuple = (), *, dropout_key=None, remat: bool = False
):  # fmt: skip
    """The states behind all layers, each of which makes the next of the last: `run(layer, states, *own, key)`. own: arrays with a first axis
    `layer`, of which a layer gets its part. dropout_key: from it each gets a key of its own, the first that of number 1. With `remat` a layer
    is computed again in the backward pass."""
    graph, weights = stacked(layers)
    numbers = jnp.arange(1, 1 + _count(weights))

    def next_states(states, layer):
        weights, number, own = layer
        return run(nnx.merge(graph, weights), states, *own, fold(dropout_key, number)), None

    body = jax.checkpoint(next_states, prevent_cse=False) if remat else next_states
    return jax.lax.scan(body, states, (weights, numbers, own))[0]


def with_layers(model: nnx.Module, *, as_one: Collection[str]) -> nnx.Module:
    """The model with the layers of these stacks (names of its `stacks()`) held as one, and those of its others apart, whichever way they
    were held: what is as one, `lax.scan` reads in place; what is apart, a decoding step reads without slicing it. Other arrays are shared."""
    model = nnx.merge(*nnx.split(model))
    for name, stack in model.stacks().items():
        stack.layers = nnx.merge(*stacked(stack.layers)) if name in as_one else apart(stack.layers)
    return model


def _count(weights: nnx.State) -> int:
    """Of layers that are held as one."""
    return jax.tree.leaves(weights)[0].shape[0]


def _stack(*arrays):
    """The arrays along a new first axis; of abstract arrays (without numbers) an abstract one."""
    abstract = isinstance(arrays[0], jax.ShapeDtypeStruct)
    return jax.eval_shape(_stack_arrays, arrays) if abstract else _stack_arrays(arrays)


def _stack_arrays(arrays):
    return (np if isinstance(arrays[0], np.ndarray) else jnp).stack(arrays)


def _take(number: int, array):
    abstract = isinstance(array, jax.ShapeDtypeStruct)
    return jax.ShapeDtypeStruct(array.shape[1:], array.dtype) if abstract else array[number]


def fold(key, number: int):
    """A key of its own for layer `number`; none where there is none."""
    return None if key is None else jax.random.fold_in(key, number)


def param_dtype(dtype):
    """Of the parameters of a model whose operands are of `dtype`."""
    return jnp.float64 if dtype == jnp.float64 else jnp.float32
