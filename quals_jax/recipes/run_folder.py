"""The folder of a run: whose it is, what the run learns from, and its journal."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from quals_jax import parallel
from quals_jax.recipes import steps
from quals_jax.report.training_curve import plot_training
from quals_jax.training.config import TrainConfig
from quals_jax.training.events import Events
from quals_jax.training.journal import Journal

UNCHECKED = (
    "steps",
    "epochs",
    "checkpoint_every",
    "checkpoint_minutes",
    "keep",
    "keep_at",
    "keep_at_epochs",
    "patience",
    "judged",
    "tensorboard",
    "log_every",
    "export",
    "export_dtype",
    # How a step is laid out on the devices at hand, which may be others tomorrow.
    "optimizer.accumulate",
    "model.remat",
    "model.shard_params",
)


def require_same_settings(config: TrainConfig, workdir: Path) -> None:
    """Raises ValueError if the folder is that of a run with other settings, naming the first of them."""
    path = workdir / "config.json"
    if not path.exists():
        return
    found = flat(json.loads(path.read_text(encoding="utf-8-sig")))
    # A setting that came after the run began was then at its default.
    found = flat(json.loads(json.dumps(type(config)().to_dict()))) | found
    for name, value in flat(json.loads(json.dumps(config.to_dict()))).items():
        if name not in UNCHECKED and found.get(name) != value:
            raise ValueError(
                f"{workdir} holds a run with {name}={found.get(name)!r}, not {value!r};"
                " give another --workdir, or remove this one"
            )


def require_same_data(workdir: Path, found: str) -> None:
    """Notes in WORKDIR/data.json what a run learns from.

    Raises:
        ValueError: in every process, where the run began on other data.
    """
    path = workdir / "data.json"
    before = json.loads(path.read_text(encoding="utf-8")).get("sha256") if path.exists() else None
    if before not in (None, found):
        raise ValueError(
            f"{workdir} holds a run on other data (sha256 {before[:12]}, now {found[:12]}): files of data.train have changed since;"
            " put them back, or give another --workdir"
        )
    parallel.wait_for_all("data compared")
    if before is None and parallel.is_first_process():
        steps.write_whole(path, json.dumps({"sha256": found}) + "\n")


@contextmanager
def claimed(config: TrainConfig, workdir: Path):
    """Writes down whose folder this is, and keeps other runs out of it; the lock dies with the process.

    Raises:
        ValueError: if another run is at work there.
    """
    parallel.wait_for_all("settings compared")
    steps.require_shared(workdir)
    with ExitStack() as stack:
        error = None
        if parallel.is_first_process():
            lock = stack.enter_context((workdir / ".lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                steps.write_whole(workdir / "config.json", json.dumps(config.to_dict(), indent=2) + "\n")
            except BlockingIOError:
                error = ValueError(f"{workdir}: another run is at work there")
        parallel.raise_together(error)
        yield


def make_journal(config: TrainConfig, workdir: Path, terminal: TextIO | None, profile: Path | None = None) -> Journal:
    """What the run writes of itself; the first process alone writes anything."""
    if not parallel.is_first_process():
        return Journal(None, steps=config.steps)
    events = Events(workdir / "tensorboard") if config.tensorboard else None
    return Journal(workdir / "metrics.jsonl", steps=config.steps, terminal=terminal, events=events, profile=profile)


def close_journal(journal: Journal, workdir: Path) -> None:
    """Draws WORKDIR/curve.png from what the journal has."""
    if journal.events is not None:
        journal.events.close()
    if journal.path is not None:
        plot_training(workdir / "curve.png", journal.path)


def settings_without(free: Sequence[str], config: TrainConfig) -> dict:
    """The settings by their whole names, but for those in `free`, and the parts in it."""
    named = flat(config.to_dict()).items()
    return {name: value for name, value in named if name not in free and name.split(".")[0] not in free}


def flat(values: dict, prefix: str = "") -> dict:
    """Nested settings by their whole names, such as "optimizer.accumulate"."""
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found
