"""What must be set before JAX is imported."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os

from quals_jax.compiled import cache_folder, keep_compiled_programs

# Of glibc: M_ARENA_MAX; M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes.
MALLOC = {-8: 1, -3: 2**25, -1: 2**28}


def prepare(verbose: bool = False) -> None:
    """Imports JAX with its messages silenced, and its compilation cache in the user's cache folder."""
    share_large_buffers()
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


def share_large_buffers() -> None:
    """Has glibc serve all threads from one arena, which keeps freed buffers of up to 32 MB for the next to ask; elsewhere nothing.

    Left alone it has an arena for every thread, and as XLA's threads take turns memory creeps up for hours. Given back to the system
    (a low M_MMAP_THRESHOLD) the buffers of every product and reduction would be asked for and cleared anew, page by page: on two cores
    the search then takes 1.26 times as long for one summary and 1.11 times for four (BART-base, 60 hypotheses of 25 tokens).
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # no C library in sight, or another one
        library = ctypes.CDLL(None)
        for setting, value in MALLOC.items():
            library.mallopt(setting, value)
