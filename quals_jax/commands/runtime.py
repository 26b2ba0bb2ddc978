"""What must be set before JAX is imported, and the cache of compiled programs."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import warnings
from pathlib import Path

# Without it XLA's CPU back end copies the search's whole cache at every step; it is for the process, so only commands set it.
CPU_FLAG = "--xla_cpu_copy_insertion_use_region_analysis=true"
CPU_FLAG_VERSIONS = ("0.10.",)  # of jaxlib; an unknown flag would end the process
M_MMAP_THRESHOLD = -3  # of glibc's mallopt
LARGE_BUFFER = 2**21  # bytes
SMALLEST_SECONDS = 0.3  # programs that compile faster are not kept


def prepare(verbose: bool = False) -> None:
    """Imports JAX with its flags, its messages silenced, and its compilation cache in the user's cache folder."""
    from importlib.metadata import version

    return_large_buffers()
    if version("jaxlib").startswith(CPU_FLAG_VERSIONS) and "copy_insertion" not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {CPU_FLAG}".strip()
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import jax

    if verbose:
        jax.config.update("jax_log_compiles", True)
    else:  # it speaks of GPUs that the installed jaxlib does not use
        logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)
    if folder := cache_folder():
        keep_compiled(folder)


def return_large_buffers() -> None:
    """Has glibc give every large buffer back to the system when it is freed; elsewhere nothing.

    Left alone it keeps larger and larger ones (up to 32 MB) in the arena of whichever thread asked, and as XLA's threads
    take turns, memory creeps up for hours.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library in sight, or another one
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER)


def cache_folder() -> Path | None:
    """Where compiled programs are kept: `quals_jax/compiled` in the user's cache folder. None for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quals_jax" / "compiled"
    except RuntimeError:
        return None


def keep_compiled(folder: Path) -> None:
    """Keeps compiled programs in the folder. An entry that cannot be read is removed without a word, and compiled again."""
    import jax

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # no home, or not ours: everything works without, only slower
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
