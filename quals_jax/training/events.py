"""The rows of `metrics.jsonl` as event files, which TensorBoard shows (and whatever reads those, as W&B's `sync --sync-tensorboard`)."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

PACKAGE = "tensorboardX"


class Events:
    """Event files in a folder; every number of a row is a curve of its name.

    Raises:
        ValueError: if the package that writes them is not installed.
    """

    def __init__(self, folder: Path):
        require_package()
        self.folder, self.writer = folder, None

    def begin(self, step: int) -> None:
        """Has TensorBoard forget what a stopped run wrote of steps after this one."""
        from tensorboardX import SummaryWriter

        if self.writer is not None:  # the next part of a run that did not stop
            return
        # Of a name that no other has: files of the same second would take each other's place.
        self.writer = SummaryWriter(str(self.folder), purge_step=step + 1, filename_suffix=f".{time.time_ns()}")

    def write(self, row: dict) -> None:
        """One row, with its `step`. Written out at once: rows are minutes apart, and a run may be killed."""
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                self.writer.add_scalar(name, value, row["step"])
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def require_package() -> None:
    """Raises ValueError naming what to install, if event files cannot be written."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise ValueError(
            f"tensorboard is True, which needs the package {PACKAGE}: pip install 'quals-jax[tensorboard]', or leave it False"
        )
