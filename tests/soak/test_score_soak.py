"""score.py over 20,000 rows: memory stays where it is, and twenty SIGKILLs leave no trace."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_qagen import make_tiny_qagen

ROOT = Path(__file__).parents[2]
GROWTH = 1.05  # of the peak memory, from row 5,000 to the end
KILLS = 20


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """One device, unhurried compilation, and a cache of compiled programs of its own."""
    flags = "--xla_backend_optimization_level=0"
    cache = str(tmp_path_factory.mktemp("cache"))
    return os.environ | {"XDG_CACHE_HOME": cache, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_tiny_qagen(tmp_path_factory.mktemp("tiny"))


def write_rows(path, count):
    with open(path, "w") as file:
        for number in range(count):
            row = {"id": number, "document": f"the cat {number} sat at tea", "summary": f"tea at {number * 7919} a cat"}
            file.write(json.dumps(row) + "\n")
    return path


def start(model, rows, output, environment, *flags):
    command = [sys.executable, str(ROOT / "score.py"), "--model", str(model), "--input", str(rows)]
    command += ["--output", str(output), "--num_beams", "16", *map(str, flags)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )


def blocks_done(output):
    try:
        return json.loads(Path(f"{output}.run.json").read_text())["blocks"]
    except FileNotFoundError:
        return 0


def peak_kilobytes(process):
    """None once it has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return None
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(found[0]) if found else None


def test_memory_is_flat_over_twenty_thousand_rows(model, environment, tmp_path):
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc here")
    output = tmp_path / "scores.jsonl"
    process = start(
        model, write_rows(tmp_path / "rows.jsonl", 20_000), output, environment, "--batch_size", 64, "--block_rows", 256
    )
    early, peak = None, None
    while process.poll() is None:
        peak = peak_kilobytes(process) or peak
        if early is None and blocks_done(output) * 256 >= 5000:
            early = peak
        time.sleep(0.02)
    table, error = process.communicate()
    assert process.returncode == 0 and error == ""
    with open(output) as lines:
        ids = [json.loads(line)["id"] for line in lines]
    assert ids == list(range(20_000)) and "summaries      20000" in table
    print(f"peak memory: {early} kB after 5,000 rows, {peak} kB at the end")
    assert peak <= GROWTH * early


def test_twenty_kills_leave_the_same_bytes(model, environment, tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", 6000)
    flags = ("--block_rows", 64, "--batch_size", 32)
    unbroken = start(model, rows, tmp_path / "unbroken.jsonl", environment, *flags)
    table, error = unbroken.communicate()
    assert unbroken.returncode == 0, error
    output, moments, reached = tmp_path / "killed.jsonl", random.Random(11), []
    for number in range(KILLS):
        process = start(model, rows, output, environment, *flags)
        if number % 4 == 0:  # while it starts, or soon after
            time.sleep(moments.uniform(0.05, 3))
        else:
            wanted = blocks_done(output) + moments.randint(1, 4)
            while process.poll() is None and blocks_done(output) < wanted:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.4))
        process.kill()
        process.communicate()
        assert process.returncode == -9
        reached.append(blocks_done(output))
    print(f"blocks done at each kill: {reached}")
    process = start(model, rows, output, environment, *flags)
    again, error = process.communicate()
    assert process.returncode == 0, error
    assert output.read_bytes() == (tmp_path / "unbroken.jsonl").read_bytes()
    assert again == table and not Path(f"{output}.partial").exists()
