"""Everything that a run changes, as one pytree: what a checkpoint holds besides the position in the data."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Int

from quals_jax.models.bart import Bart
from quals_jax.models.layers import with_layers


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """`step` counts updates made. `key` is the run's random state: the dropout of a step is drawn from it and the step.
    `bad_step` is the first step whose loss or gradient was not finite, -1 while there is none."""

    step: Int[Array, ""]
    params: dict[str, Array]
    optimizer: optax.OptState
    key: Array
    bad_step: Int[Array, ""]


@dataclass(frozen=True)
class Skeleton:
    """A model without its parameters, equal layers held as one; `bart` puts them back. Buffers (which are not trained) stay with it."""

    graph: nnx.GraphDef
    buffers: nnx.State

    def bart(self, params: dict[str, Array]) -> Bart:
        paths = {tuple(_part(part) for part in name.split(".")): array for name, array in params.items()}
        state = nnx.from_flat_state([(path, nnx.Param(array)) for path, array in paths.items()])
        return nnx.merge(self.graph, state, self.buffers)


def take_apart(model: Bart) -> tuple[Skeleton, dict[str, Array]]:
    """The model's skeleton and its parameters by name, such as `encoder.layers.fc1.kernel` [layer, model, ffn]: a step then holds, scans and
    updates one array instead of one a layer."""
    graph, state, buffers = nnx.split(with_layers(model, as_one=model.stacks()), nnx.Param, ...)
    params = {".".join(map(str, path)): variable.get_value() for path, variable in nnx.to_flat_state(state)}
    return Skeleton(graph, buffers), params


def new_state(params: dict[str, Array], optimizer: optax.GradientTransformation, seed: int) -> TrainState:
    """The state before the first step."""
    key = jax.random.key_data(jax.random.key(seed))
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), key, jnp.full((), -1, jnp.int32))


def _part(part: str) -> str | int:
    return int(part) if part.isdecimal() else part
