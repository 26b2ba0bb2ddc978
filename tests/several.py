"""Commands started in several processes, and killed."""

import random
import socket
import time


def free_address() -> str:
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return f"localhost:{probe.getsockname()[1]}"


def kill_until_done(begin, *, longest, seed, rounds=40):
    """Starts, kills after a random time, starts again, until the processes end by themselves; the number of kills."""
    generator = random.Random(seed)
    for kills in range(rounds):
        processes = begin()
        end = time.monotonic() + generator.uniform(1, longest) * (1 + kills / 10)
        while time.monotonic() < end and any(process.poll() is None for process in processes):
            time.sleep(0.05)
        if all(process.poll() is not None for process in processes):
            assert [process.returncode for process in processes] == [0] * len(processes), processes[0].stderr.read()
            return kills
        for process in processes:
            process.kill()
            process.wait()
    raise AssertionError(f"not done after {rounds} rounds")
