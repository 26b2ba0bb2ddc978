"""What must be set before JAX is imported."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os

from quals_jax.compiled import cache_folder, keep_compiled_programs

# Without it XLA's CPU back end copies the search's whole cache at every step; it is for the process, so only commands set it.
CPU_FLAG = "--xla_cpu_copy_insertion_use_region_analysis=true"
CPU_FLAG_VERSIONS = ("0.10.",)  # of jaxlib; an unknown flag would end the process
M_MMAP_THRESHOLD = -3  # of glibc's mallopt
LARGE_BUFFER = 2**21  # bytes


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
        keep_compiled_programs(folder)


def return_large_buffers() -> None:
    """Has glibc give every large buffer back to the system when it is freed; elsewhere nothing.

    Left alone it keeps larger and larger ones (up to 32 MB) in the arena of whichever thread asked, and as XLA's threads
    take turns, memory creeps up for hours.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library in sight, or another one
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER)
