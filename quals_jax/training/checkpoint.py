"""Checkpoints of a run: the train state and the position in the data, in one; written while training goes on.

Nothing in them depends on how many processes and devices wrote them: every process makes all batches, so one position in the data
is everybody's, and arrays are put together and cut anew for the devices that read them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import jax
from jax.sharding import NamedSharding

from quals_jax.training.state import TrainState

LOSS = "validation_loss"
ITERATOR, NOTES = "iterator", "notes"  # what stands beside the state


class Checkpoints:
    """The last `keep` checkpoints in a folder, those of the steps `keep_at`, and the one with the lowest validation
    loss.

    A checkpoint that was being written when the process died is not seen again. With `read_only` nothing is written or
    removed: another process may be writing there.
    """

    def __init__(self, folder: Path, *, keep: int, keep_at: Sequence[int] = (), read_only: bool = False):
        import orbax.checkpoint as ocp
        from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, CustomSteps, LatestN

        best = BestN(get_metric_fn=lambda metrics: -metrics[LOSS], n=1, keep_checkpoints_without_metrics=False)
        self.folder = folder.absolute()
        self.manager = ocp.CheckpointManager(
            self.folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=AnyPreservationPolicy([LatestN(keep), best, CustomSteps(tuple(keep_at))]),
                best_fn=lambda metrics: metrics[LOSS],
                best_mode="min",
                cleanup_tmp_directories=not read_only,
                create=not read_only,
                read_only=read_only,
            ),
            item_names=("state", "data"),
        )

    def save(
        self, state: TrainState, iterator, *, validation_loss: float | None = None, notes: dict | None = None
    ) -> None:
        """Begins to write a checkpoint; `validation_loss` if it is the lowest so far. notes: what else is to be known when a run goes on
        from it, as JSON has it. A step is written once."""
        import orbax.checkpoint as ocp

        step = int(state.step)
        if step in self.manager.all_steps():
            return
        position = {ITERATOR: iterator.get_state(), NOTES: notes or {}}
        self.manager.save(
            step,
            args=ocp.args.Composite(state=ocp.args.StandardSave(state), data=ocp.args.JsonSave(position)),
            # Without a loss of its own it is the worst, and kept only as one of the last.
            metrics={LOSS: math.inf if validation_loss is None else validation_loss},
        )

    def restore(
        self, shapes: TrainState, shardings: TrainState, iterator=None, *, best: bool = False, step: int | None = None
    ) -> TrainState | None:
        """The last state (or the best, or that of a step), on the devices of `shardings`, whichever wrote it; None if there is none.
        `iterator` goes on from where it was then.

        Raises:
            ValueError: if what was saved does not fit, or there is no checkpoint of that step.
        """
        import orbax.checkpoint as ocp

        kept = sorted(self.manager.all_steps())
        if step is not None and step not in kept:
            raise ValueError(f"there is no checkpoint of step {step}; there are {', '.join(map(str, kept)) or 'none'}")
        if step is None:
            step = self.best_step() if best else self.manager.latest_step()
        if step is None:
            return None
        wanted = jax.tree.map(abstract, shapes, shardings)
        if iterator is not None:
            iterator.set_state(self._position(step)[ITERATOR])
        try:
            return self.manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(wanted)))["state"]
        except ValueError as error:
            if not re.search("structures do not match|not compatible with the stored shape", str(error)):
                raise
            # Orbax names every array there is.
            raise ValueError(
                f"{self.folder / str(step)} holds other arrays than this model's: another version of quals_jax wrote it, or the model is"
                " another now; what wrote it can go on with it, or --workdir names another folder"
            ) from error

    def notes(self) -> dict:
        """What was noted with the last checkpoint."""
        step = self.manager.latest_step()
        return {} if step is None else self._position(step)[NOTES]

    def _position(self, step: int) -> dict:
        import orbax.checkpoint as ocp

        # Of earlier versions there is a file for every process; in all of them stands the same.
        if older := sorted((self.folder / str(step) / "data").glob("process_*-of-*.json")):
            return {ITERATOR: json.loads(older[0].read_text(encoding="utf-8")), NOTES: {}}
        return self.manager.restore(step, args=ocp.args.Composite(data=ocp.args.JsonRestore()))["data"]

    def best_step(self) -> int | None:
        """The step of the checkpoint with the lowest validation loss; without validation the last."""
        losses = self._losses()
        return min(losses, key=losses.get) if losses else self.manager.latest_step()

    def best_loss(self) -> float:
        """The lowest validation loss of a checkpoint; infinite without one."""
        return min(self._losses().values(), default=math.inf)

    def _losses(self) -> dict[int, float]:
        # A process that was killed while it removed an old checkpoint leaves one without metrics.
        found = {step: self.manager.metrics(step) or {} for step in self.manager.all_steps()}
        losses = {step: metrics.get(LOSS, math.inf) for step, metrics in found.items()}
        return {step: loss for step, loss in losses.items() if loss < math.inf}

    def wait(self) -> None:
        """Returns when everything begun is on disk."""
        self.manager.wait_until_finished()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, *error) -> None:
        """Waits as well: a checkpoint half written at the end of the process would be lost."""
        self.manager.close()


def abstract(shape: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)
