"""One update, and one evaluated batch, as compiled programs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from quals_jax import parallel
from quals_jax.precision import Precision
from quals_jax.training.losses import Batch, Loss, Sums
from quals_jax.training.state import Skeleton, TrainState


def make_train_step(
    skeleton: Skeleton,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    accumulate: int = 1,
    dropout: bool = False,
    precision: Precision | None = None,
    devices: int = 1,
) -> Callable[[TrainState, Batch], tuple[TrainState, Sums]]:
    """A function of (state, batch) to the next state and the sums to report; not yet compiled.

    The gradient is that of the loss summed over all `accumulate` parts of the batch and all devices, divided once by
    the number of target tokens in all of them: how a batch is cut does not change it. `devices`: how many it lies on, each of
    which can hold a slice of logits; what is summed over them is summed once a slice. `whole` is a sharding under which
    parameters that lie in pieces are brought together for the step; left alone, the compiler would cut activations instead.
    """

    def loss_of(params, batch, key):
        total, size, sums = loss(skeleton.bart(params), batch, key, devices=devices)
        return total, (size, sums)

    gradient_of = (precision or Precision.of("float32")).scoped(jax.value_and_grad(loss_of, has_aux=True))

    def train_step(state: TrainState, batch: Batch, whole: jax.sharding.Sharding | None = None):
        held = state.params if whole is None else jax.lax.with_sharding_constraint(state.params, whole)
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step) if dropout else None

        def part(batch, number):
            part_key = None if key is None else jax.random.fold_in(key, number)
            (total, (size, sums)), gradient = gradient_of(held, batch, part_key)
            return gradient, total, size, sums

        if accumulate == 1:
            gradient, total, size, sums = part(batch, 0)
        else:
            parts = jax.tree.map(lambda array: _deal(array, accumulate), batch)
            shapes = jax.eval_shape(part, jax.tree.map(lambda array: array[0], parts), 0)
            zeros = jax.tree.map(lambda shape: jnp.zeros(shape.shape, shape.dtype), shapes)

            def add(carry, numbered):
                return jax.tree.map(jnp.add, carry, part(*numbered)), None

            (gradient, total, size, sums), _ = jax.lax.scan(add, zeros, (parts, jnp.arange(accumulate)))
        size = jnp.maximum(size, 1)
        gradient = jax.tree.map(lambda array: array / size, gradient)
        norm = optax.global_norm(gradient)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.params)
        bad = ~(jnp.isfinite(total) & jnp.isfinite(norm)) & (state.bad_step < 0)
        state = TrainState(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            optimizer=optimizer_state,
            key=state.key,
            bad_step=jnp.where(bad, state.step, state.bad_step),
        )
        one = jnp.ones(())
        return state, sums | {"loss": (total, size), "gradient_norm": (norm, one)}

    return train_step


def compile_train_step(train_step: Callable, mesh: Mesh, shardings) -> Callable:
    """The step as a program over the mesh: rows cut over the devices, the state as `shardings` say, and overwritten."""
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(parallel.AXIS))
    in_pieces = any(not own.is_fully_replicated for own in jax.tree.leaves(shardings.params))
    gathering = partial(train_step, whole=whole if in_pieces else None)
    return jax.jit(gathering, in_shardings=(shardings, rows), out_shardings=(shardings, whole), donate_argnums=0)


def compile_eval_step(
    skeleton: Skeleton, sums: Callable, mesh: Mesh, shardings, precision: Precision | None = None
) -> Callable:
    """A program of (parameters, batch) to sums, without dropout."""
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(parallel.AXIS))
    scoped = (precision or Precision.of("float32")).scoped(sums)
    return jax.jit(
        lambda params, batch: scoped(skeleton.bart(jax.lax.with_sharding_constraint(params, whole)), batch),
        in_shardings=(shardings.params, rows),
        out_shardings=whole,
    )


def place_batch(batch: Batch, mesh: Mesh, *, pad_id: int, parts: int = 1):
    """A batch of host arrays on the devices. Rows without tokens are added until each device has as many for each of `parts`: they
    count for nothing, so that a batch is the same on any number of devices."""
    multiple = mesh.size * parts
    filled = {
        name: {own: parallel.pad_rows(array, multiple, fill=_filling(own, pad_id)) for own, array in part.items()}
        for name, part in batch.items()
    }
    return parallel.shard_rows(filled, mesh)


def _filling(name: str, pad_id: int) -> int:
    """What an added row of this array holds: padding's id for tokens; of an encoder's batch, that it is empty."""
    return {"source_ids": pad_id, "target_ids": pad_id, "empty": 1}.get(name, 0)


def _deal(array, parts: int):
    """[rows, ...] as [parts, rows / parts, ...], dealt like cards, so that every part has rows on every device."""
    rows = array.reshape(array.shape[0] // parts, parts, *array.shape[1:])
    return rows.swapaxes(0, 1)
