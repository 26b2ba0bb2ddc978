"""The train loop, from top to bottom."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import Mesh

from quals_jax import parallel
from quals_jax.precision import Precision
from quals_jax.profiling import profiled
from quals_jax.training.checkpoint import LOSS, Checkpoints, abstract
from quals_jax.training.config import TrainConfig
from quals_jax.training.journal import Journal, means
from quals_jax.training.losses import Batch, Loss
from quals_jax.training.memory import sizes_of
from quals_jax.training.optimizer import make_optimizer, make_schedule
from quals_jax.training.plan import Plan, Sample, make_plan, require_fits, table
from quals_jax.training.state import Skeleton, TrainState, new_state, take_apart
from quals_jax.training.step import compile_eval_step, compile_train_step, make_train_step, place_batch

WINDOW, WAITED = (
    "window",
    "waited",
)  # noted with a checkpoint: what the journal had gathered; evaluations since the best
ASK_EVERY = 10  # steps between questions to the other processes, whether one was told to stop


class Stopped(Exception):
    """The run was told to stop, and has saved. The argument is the number of steps made."""


@dataclass(frozen=True)
class Programs:
    """What a training run is made of before it has data. shapes and shardings: of its state."""

    sizes: Any
    skeleton: Skeleton
    params: dict[str, jax.Array]
    optimizer: optax.GradientTransformation
    shapes: TrainState
    shardings: TrainState
    precision: Precision
    train_step: Callable
    mesh: Mesh

    def plan(self, config: TrainConfig, sample: Sample, *, limit: int | None = None, **options) -> Plan:
        """What a run on batches like the sample's will do; `limit` and the options are those of `make_plan`."""
        item = np.dtype(self.precision.compute).itemsize
        return make_plan(
            config,
            sample,
            train_step=self.train_step,
            state_shapes=jax.tree.map(abstract, self.shapes, self.shardings),
            mesh=self.mesh,
            sizes=sizes_of(self.sizes, item=item, remat=config.model.remat),
            parameters=sum(int(np.prod(array.shape)) for array in self.params.values()),
            name_of=shapes_of,
            limit=limit,
            **options,
        )


def prepare(config: TrainConfig, model, loss: Loss, mesh: Mesh) -> Programs:
    """The model as parameters, the shape of the state, how it lies on the devices, and the step."""
    skeleton, params = take_apart(model)
    optimizer = make_optimizer(config.optimizer, config.steps)
    shapes = jax.eval_shape(lambda params: new_state(params, optimizer, config.seed), params)
    shardings = parallel.state_shardings(shapes, mesh, shard_params=config.model.shard_params)
    precision = Precision.of(config.model.dtype)
    precision.require(list(mesh.devices.flat))
    dropout = max(model.config.dropout, model.config.attention_dropout, model.config.activation_dropout) > 0
    step_function = make_train_step(
        skeleton,
        loss,
        optimizer,
        accumulate=config.optimizer.accumulate,
        dropout=dropout,
        precision=precision,
        devices=mesh.size,
    )
    train_step = compile_train_step(step_function, mesh, shardings)
    return Programs(model.config, skeleton, params, optimizer, shapes, shardings, precision, train_step, mesh)


def train(
    config: TrainConfig,
    workdir: Path,
    *,
    model,
    loss: Loss,
    batches: Iterable[Batch],
    evaluate: Callable | None = None,
    evaluation_batches: Sequence[Batch] = (),
    judge: Callable[[dict[str, np.ndarray]], dict[str, float]] | None = None,
    journal: Journal,
    mesh: Mesh | None = None,
    sample: Sample | None = None,
    programs: Programs | None = None,
    until: int | None = None,
) -> dict[str, jax.Array]:
    """The parameters after the last step, or (`config.export` "best") those with the lowest validation loss.

    Goes on from the last checkpoint in `workdir`, if there is one. `loss` and `evaluate` are those of losses.py, or
    like them; `batches` is a Grain dataset. `judge` looks at the parameters after every evaluation, in every process, and names
    what it found. With `config.patience` the run ends early, saved, when the validation loss has not fallen for so many
    evaluations. With a `sample` of the batches their shapes, and the memory that the largest wants, are said before the first
    step. Training in several parts, of which each goes on from the checkpoint of the one before: `programs` are those of
    `prepare`, compiled once for all parts, and `until` is the last step of this part (of them all: config.steps).

    Raises:
        ValueError: before the first step, if a step on the largest batch of the sample does not fit the device.
        FloatingPointError: naming the first step whose loss or gradient was not finite.
        Stopped: after SIGTERM, when everything is saved.
    """
    mesh = parallel.make_mesh() if mesh is None else mesh
    programs = programs or prepare(config, model, loss, mesh)
    end = config.steps if until is None else min(until, config.steps)
    params, optimizer, shapes, shardings = programs.params, programs.optimizer, programs.shapes, programs.shardings
    train_step, schedule = programs.train_step, make_schedule(config.optimizer, config.steps)
    if sample is not None:
        plan = programs.plan(config, sample, compile_seconds=0.0)
        journal.say(table(plan))
        require_fits(plan)
    placed = partial(place_batch, mesh=mesh, pad_id=model.config.pad_token_id)
    eval_step = None
    if evaluate and evaluation_batches:
        eval_step = compile_eval_step(programs.skeleton, evaluate, mesh, shardings, programs.precision)

    with (
        Checkpoints(workdir / "checkpoints", keep=config.keep, keep_at=config.keep_at) as checkpoints,
        stop_signal() as stop,
        profiled(journal.profile) as step_done,
    ):
        # Where to start: the last checkpoint, with its position in the data; or the beginning.
        iterator = iter(batches)
        state = checkpoints.restore(shapes, shardings, iterator)
        if state is None:
            state = parallel.place(new_state(params, optimizer, config.seed), shardings)
        step, lowest, saved_at = int(state.step), checkpoints.best_loss(), time.monotonic()
        notes = checkpoints.notes()
        journal.begin(step, notes.get(WINDOW))
        waited = notes.get(WAITED, 0)

        while step < end and not has_waited(config, waited):
            batch = next(iterator)
            began = time.monotonic()
            state, sums = train_step(state, placed(batch, parts=config.optimizer.accumulate))
            journal.note_shapes(shapes_of(batch), time.monotonic() - began)
            step += 1
            journal.add(sums, count_tokens(batch, model.config.pad_token_id))
            step_done()
            last = step == end

            if last or step % config.log_every == 0:
                journal.log(step, learning_rate=float(schedule(step - 1)))
                require_finite(state)

            improved = None
            if eval_step and (last or (config.eval_every and step % config.eval_every == 0)):
                require_finite(state)
                row = evaluate_all(eval_step, state, map(placed, evaluation_batches))
                if judge is not None:
                    row |= judge(parallel.on_host(state.params))
                journal.evaluated(step, LOSS, row)
                waited += 1
                if row["nll"] < lowest:
                    improved, waited = row["nll"], 0
                    lowest = improved
                if has_waited(config, waited) and not last:
                    journal.say(f"the validation loss has not fallen for {waited} evaluations: training ends")
                    last = True
                    if step % config.log_every:
                        journal.log(step, learning_rate=float(schedule(step - 1)))

            # All processes must decide alike, so with several of them a clock or a signal is asked about only now and
            # then.
            ask = step % ASK_EVERY == 0 or parallel.process_count() == 1
            late = bool(config.checkpoint_minutes) and time.monotonic() - saved_at > 60 * config.checkpoint_minutes
            stopping = ask and parallel.any_process(stop.asked)
            overdue = ask and parallel.any_process(late)
            asked = step in config.keep_at or step % config.checkpoint_every == 0
            if last or stopping or overdue or improved is not None or asked:
                require_finite(state)
                noted = {WINDOW: journal.window(step), WAITED: waited}
                checkpoints.save(state, iterator, validation_loss=improved, notes=noted)
                saved_at = time.monotonic()
            if stopping and not last:
                raise Stopped(step)

        checkpoints.wait()
        if config.export == "best" and end == config.steps:
            state = checkpoints.restore(shapes, shardings, best=True)
        return parallel.on_host(state.params)


def load_params(
    config: TrainConfig, workdir: Path, *, model, mesh: Mesh | None = None, step: int | None = None
) -> dict[str, jax.Array]:
    """The parameters of the checkpoint that `config.export` names, or of that step.

    Raises:
        ValueError: if there is none.
    """
    mesh = parallel.make_mesh() if mesh is None else mesh
    _, params = take_apart(model)
    optimizer = make_optimizer(config.optimizer, config.steps)
    shapes = jax.eval_shape(lambda params: new_state(params, optimizer, config.seed), params)
    shardings = parallel.state_shardings(shapes, mesh, shard_params=config.model.shard_params)
    folder = workdir / "checkpoints"
    if not folder.is_dir():
        raise ValueError(f"{workdir} holds no checkpoint")
    with Checkpoints(folder, keep=config.keep, read_only=True) as checkpoints:
        state = checkpoints.restore(shapes, shardings, best=config.export == "best", step=step)
    if state is None:
        raise ValueError(f"{workdir} holds no checkpoint")
    return parallel.on_host(state.params)


def evaluate_all(eval_step: Callable, state: TrainState, batches: Iterable[Batch]) -> dict[str, float]:
    """Means over all the batches, which lie on the devices; waits for them."""
    return means([eval_step(state.params, batch) for batch in batches])


def has_waited(config: TrainConfig, waited: int) -> bool:
    """Whether so many evaluations without a lower loss are all that the run waits for."""
    return 0 < config.patience <= waited


def require_finite(state: TrainState) -> None:
    """Raises FloatingPointError naming the first bad step; waits for the device."""
    bad = int(state.bad_step)
    if bad >= 0:
        raise FloatingPointError(
            f"the loss or its gradient was not finite in step {bad + 1}; the last checkpoint is from before it."
            " A lower learning rate, a longer warm-up or float32 may help"
        )


def count_tokens(batch: Batch, pad_id: int) -> int:
    """Source and target tokens of a batch, padding apart."""
    names = ("source_ids", "target_ids")
    return sum(int(np.sum(part[name] != pad_id)) for part in batch.values() for name in names if name in part)


def shapes_of(batch: Batch) -> str:
    """Such as "rows 8x512 8x4x32": of each part the sources and the targets."""
    shapes = {name: [part["source_ids"].shape, part["target_ids"].shape] for name, part in batch.items()}
    return ", ".join(f"{name} " + " ".join("x".join(map(str, shape)) for shape in shapes[name]) for name in shapes)


class _Stop:
    asked = False


@contextmanager
def stop_signal():
    """Yields an object whose `asked` becomes true with SIGTERM: the loop then saves and ends."""
    stop = _Stop()

    def ask(number, frame):
        stop.asked = True

    try:
        before = signal.signal(signal.SIGTERM, ask)
    except ValueError:  # not in the main thread: no signals there
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
