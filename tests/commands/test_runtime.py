"""What commands set before JAX is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

# A freed buffer of 30 MB raises the size from which glibc gives memory back; then one of 16 MB lies below small ones.
KEPT = """
import numpy as np
from quals_jax.commands.runtime import return_large_buffers

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if {returned}:
    return_large_buffers()
del_me = np.ones(30 * 2**20, np.uint8)
del del_me
before = resident()
large = np.ones(16 * 2**20, np.uint8)
small = [np.ones(2**10, np.uint8) for _ in range(2000)]
del large
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
def test_large_buffers_go_back_to_the_system():
    def kept(returned: bool) -> int:
        code = KEPT.format(returned=returned)
        return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    if kept(returned=False) < 15 * 2**20:
        pytest.skip("this C library keeps nothing")
    assert kept(returned=True) < 5 * 2**20
