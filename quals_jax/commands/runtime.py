"""What must be set before JAX is imported."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os

from quals_jax.compiled import cache_folder, keep_compiled_programs

M_MMAP_THRESHOLD = -3  # of glibc's mallopt
LARGE_BUFFER = 2**21  # bytes


def prepare(verbose: bool = False) -> None:
    """Imports JAX with its messages silenced, and its compilation cache in the user's cache folder."""
    return_large_buffers()
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


def pretend_tpu() -> None:
    """Lets `libtpu` compile on a machine without a TPU. JAX looks at these when it is imported."""
    settings = {"TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": "v5litepod-4", "TPU_WORKER_HOSTNAMES": "localhost"}
    for name, value in (settings | {"JAX_PLATFORMS": "cpu"}).items():
        os.environ.setdefault(name, value)


def return_large_buffers() -> None:
    """Has glibc give every large buffer back to the system when it is freed; elsewhere nothing.

    Left alone it keeps larger and larger ones (up to 32 MB) in the arena of whichever thread asked, and as XLA's threads
    take turns, memory creeps up for hours.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library in sight, or another one
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BUFFER)
