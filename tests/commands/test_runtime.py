"""What commands set before JAX is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

# Each of eight threads in turn fills 16 MB, keeps a little, and frees the rest; a freed buffer of 30 MB has raised the size from which
# glibc gives memory back.
KEPT = """
import threading
import numpy as np
from quals_jax.commands.runtime import share_large_buffers

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if {shared}:
    share_large_buffers()
del_me = np.ones(30 * 2**20, np.uint8)
del del_me
small = []
def work(turn, mine, next):
    mine.wait()
    large = np.ones(16 * 2**20, np.uint8)
    small.extend(np.ones(2**10, np.uint8) for _ in range(100))
    del large
    next.set()
    turn.wait()
turns = [threading.Event() for _ in range(9)]
threads = [threading.Thread(target=work, args=(turns[8], *turns[n : n + 2])) for n in range(8)]
for thread in threads:
    thread.start()
before = resident()
turns[0].set()
for thread in threads:
    thread.join()
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
def test_threads_share_what_they_free():
    def kept(shared: bool) -> int:
        code = KEPT.format(shared=shared)
        return int(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300).stdout
        )

    if kept(shared=False) < 60 * 2**20:
        pytest.skip("this C library has one arena for all")
    assert kept(shared=True) < 30 * 2**20
