"""Flags for the tests' CPU, set before JAX is imported: XLA compiles in a fifth of the time, and waits for slow devices."""

import os
import subprocess
import sys
from functools import cache

# Eight devices on two cores beside other work: one may come to a sum long after the others, and XLA ends the process after 40 seconds.
PATIENT = "--xla_cpu_collective_call_terminate_timeout_seconds=180"


@cache
def flags() -> str:
    return " ".join(filter(known, ("--xla_backend_optimization_level=0", "--xla_cpu_use_fusion_emitters=false")))


def known(flag: str) -> bool:
    """Whether this XLA knows the flag: it ends the process at one that it does not know (jaxlib 0.12 has dropped some)."""
    environment = os.environ | {"XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    asked = subprocess.run([sys.executable, "-c", "import jax; jax.devices()"], env=environment, capture_output=True)
    return asked.returncode == 0
