"""Who may read what is written."""

from __future__ import annotations

import os
from pathlib import Path


def follow_umask(path: Path) -> None:
    """Gives a file the mode of any new file: safetensors writes its files for their owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
