"""score.py among processes: asked to stop, several at once, many devices, and a damaged cache."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quals_jax.commands.merge import main as merge

pytestmark = pytest.mark.command
UNDER_JAX = """
import sys, jax
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from quals_jax.commands.score import main
sys.exit(main(sys.argv[3:]))
"""


def test_asked_to_stop_it_ends_at_the_next_block_and_goes_on(whole, command, rows, one_device, tmp_path):
    times, output = 20, tmp_path / "out.jsonl"
    many = tmp_path / "many.jsonl"
    many.write_text(rows.read_text() * times)
    flags = command("--input", many, "--output", output)
    process = subprocess.Popen(flags, env=one_device, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    record = Path(f"{output}.run.json")
    while process.poll() is None and not (record.exists() and json.loads(record.read_text())["blocks"] >= 1):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=900)
    assert process.returncode == 128 + signal.SIGTERM and said.count("\n") == 1 and "the same command goes on" in said
    assert not output.exists() and 1 <= json.loads(record.read_text())["blocks"] < 30 * times / 4
    again = subprocess.run(flags, env=one_device, capture_output=True, text=True, timeout=900)
    assert again.returncode == 0 and again.stderr == ""
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["id"] for row in found] == [f"r{number}" for number in range(30)] * times
    assert output.read_text().splitlines()[:28] == whole[0].read_text().splitlines()[:28]  # seven equal blocks


@pytest.fixture
def two(command, one_device):
    """Starts score.py in two processes of a job, as Slurm would, each with its flags."""
    started = []

    def two(*each):
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        job = {
            "SLURM_JOB_ID": "1",
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": "2",
            "JAX_COORDINATOR_PORT": str(port),
        }
        job |= {"SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_TASKS_PER_NODE": "2"}
        for number, flags in enumerate(each):
            own = job | {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)}
            started.append(
                subprocess.Popen(
                    command("--distributed", *flags),
                    env=one_device | own,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        return started

    yield two
    for process in started:
        process.kill()
        process.communicate()


def test_two_processes_take_turns_and_merge_to_the_bytes_of_one(whole, rows, two, tmp_path):
    output = tmp_path / "out.jsonl"
    processes = two(*[("--input", rows, "--output", output)] * 2)
    ends = [process.communicate(timeout=900)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    merge([str(output), f"{output}.1-of-2", f"{output}.0-of-2"])
    assert output.read_bytes() == whole[0].read_bytes()


@pytest.mark.parametrize("failing", [0, 1])
def test_who_is_left_alone_ends_with_one_line_and_status_75(failing, two, tmp_path):
    os.mkfifo(tmp_path / "never.jsonl")  # an input that never comes: the other process has long to work
    flags = [("--input", tmp_path / "never.jsonl", "--output", tmp_path / f"{number}.jsonl") for number in range(2)]
    flags[failing] = ("--input", tmp_path / "no.jsonl", "--output", tmp_path / f"{failing}.jsonl")
    processes = two(*flags)
    _, error = processes[1 - failing].communicate(timeout=600)
    assert processes[1 - failing].returncode == 75
    assert error == "score.py: another process is gone; the same command goes on from there\n"
    _, error = processes[failing].communicate(timeout=600)
    assert processes[failing].returncode == 2 and error.count("\n") == 1 and "no.jsonl" in error


def test_under_a_program_that_started_jax_s_service_each_process_finds_its_shard(
    whole, command, rows, one_device, tmp_path
):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    output = tmp_path / "out.jsonl"
    flags = command("--input", rows, "--output", output)[2:]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UNDER_JAX, address, str(number), *flags],
            env=one_device, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    ends = [process.communicate(timeout=900)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ends
    merge([str(output), f"{output}.1-of-2", f"{output}.0-of-2"])
    assert output.read_bytes() == whole[0].read_bytes()


def test_eight_devices_write_the_bytes_of_one(whole, command, rows, one_device, tmp_path):
    eight = one_device | {"XLA_FLAGS": one_device["XLA_FLAGS"] + " --xla_force_host_platform_device_count=8"}
    output = tmp_path / "out.jsonl"
    done = subprocess.run(
        command("--input", rows, "--output", output), env=eight, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0 and done.stderr == ""
    assert output.read_bytes() == whole[0].read_bytes()


def test_damaged_compiled_programs_are_replaced_without_a_word(whole, command, rows, one_device, tmp_path):
    shutil.copytree(one_device["XDG_CACHE_HOME"], tmp_path / "cache")
    entries = [path for path in (tmp_path / "cache").rglob("*-cache") if path.is_file()]
    assert entries
    for place, entry in enumerate(entries):
        entry.write_bytes(b"" if place % 2 else entry.read_bytes()[:100])
    output = tmp_path / "out.jsonl"
    environment = one_device | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    flags = command("--input", rows, "--output", output)
    done = subprocess.run(flags, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0 and done.stderr == ""
    assert output.read_bytes() == whole[0].read_bytes()


def test_help_and_mistakes_wait_for_no_library():
    code = (
        "import sys\nfrom quals_jax.commands.score import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('jax', 'numpy', 'transformers', 'scipy')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
