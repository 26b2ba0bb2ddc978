"""The cache of compiled programs: compiling takes seconds to minutes, and need not be done again in the next process."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from pathlib import Path

SMALLEST_SECONDS = 0.3  # programs that compile faster are not kept


def cache_folder() -> Path | None:
    """Where compiled programs are kept: where JAX_COMPILATION_CACHE_DIR says, or `quals_jax/compiled` in the user's cache folder. None
    for a user without a home."""
    if own := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quals_jax" / "compiled"
    except RuntimeError:
        return None


def keep_compiled_programs(folder: str | Path | None = None) -> None:
    """Keeps compiled programs in the folder, by default in the user's cache folder, so that the next process need not compile.

    The commands do it; in a program of your own call it once, before anything is scored. A folder that cannot be written is
    no error: everything works without, only slower. An entry that cannot be read is removed without a word, and compiled again.
    """
    import jax

    folder = Path(folder) if folder is not None else cache_folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home, or not ours
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", SMALLEST_SECONDS)
    shown = warnings.showwarning

    def show(message, *rest, **named):
        if found := re.search(r"persistent compilation cache entry for '([\w.-]+)'", str(message)):
            with contextlib.suppress(OSError):  # a folder that is not ours: compiled again every time
                for entry in folder.glob(f"{found[1]}-*"):
                    entry.unlink(missing_ok=True)
        else:
            shown(message, *rest, **named)

    warnings.showwarning = show
