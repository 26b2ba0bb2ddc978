"""The ConSeq recipe on two processes: the files and losses of one, killed or not; and everything that must not hang."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from quick_compilation import flags
from safetensors.numpy import load_file
from several import free_address, kill_until_done
from tiny_qagen import make_tiny_qagen

ROOT = Path(__file__).parents[2]
ROWS = 48
CONFIG = """
from quals_jax.recipes.config import (
    CandidateConfig, ConseqConfig, EvaluationConfig, ScoringConfig, SelectionConfig,
)
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


def get_config():
    return ConseqConfig(
        seed=3, epochs=20.0, checkpoint_every=5, log_every=1, export_dtype="float32",
        data=DataConfig(train="jsonl:{rows}", batch_size=4, source_buckets=(64,), target_buckets=(64,)),
        model=ModelConfig(initial="{model}", dropout=0.1),
        optimizer=OptimizerConfig(name="fairseq_adam", learning_rate=1e-3),
        candidates=CandidateConfig(samples=2, k=20, min_length=2, max_length=6, batch_size=2, block_rows=2),
        scoring=ScoringConfig(qagen="{model}", beams=20, min_length=2, max_length=12, batch_size=2),
        selection=SelectionConfig(candidate_ratio=1.0, reference_ratio=0.5),
        evaluation=EvaluationConfig(data="jsonl:{rows}", beams=2, min_length=2, max_length=6, batch_size=2),
    )
"""
SELECTED = ("candidates.jsonl", "quals.jsonl", "selected.jsonl")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, rows and a configuration."""
    folder = tmp_path_factory.mktemp("recipe")
    model = make_tiny_qagen(folder / "models" / "tiny")
    rows = [{"document": f"Storm {number} hit.", "summary": f"A storm, {number}."} for number in range(ROWS)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "config.py").write_text(CONFIG.format(rows=folder / "rows.jsonl", model=model))
    return folder


@pytest.fixture(scope="module")
def environment(place):
    return os.environ | {"XLA_FLAGS": flags(), "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(place / "cache")}


@pytest.fixture(scope="module")
def begin(place, environment):
    """Starts the recipe: in one process, or with `flags` for each of several."""

    def begin(workdir, *flags, environments=None):
        wanted = [sys.executable, str(ROOT / "train.py"), f"--config={place / 'config.py'}", f"--workdir={workdir}"]
        each = zip(flags or [()], environments or [{}] * max(1, len(flags)), strict=True)
        return [
            subprocess.Popen(
                [*wanted, *own], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment | more
            )
            for own, more in each
        ]  # fmt: skip

    return begin


def pair():
    """The flags of two processes."""
    address = free_address()
    return [(f"--coordinator={address}", "--num_processes=2", f"--process_id={number}") for number in range(2)]


def ends(processes, seconds=400):
    """Status, output and errors of every process."""
    found = [process.communicate(timeout=seconds) for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, found, strict=True)]


def losses(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows}


def weights(workdir):
    return load_file(workdir / "model" / "model.safetensors")


@pytest.fixture(scope="module")
def alone(begin, place):
    """One process, never stopped."""
    ((status, _, error),) = ends(begin(place / "alone"))
    assert status == 0, error
    return place / "alone"


@pytest.fixture(scope="module")
def together(begin, place):
    """Two processes, never stopped."""
    found = ends(begin(place / "together", *pair()))
    assert [status for status, _, _ in found] == [0, 0], found
    assert str(place / "together" / "model") in found[0][1] and "QUALS" not in found[1][1]
    return place / "together"


def test_two_processes_make_the_files_and_losses_of_one(alone, together):
    for name in SELECTED:
        assert (together / name).read_bytes() == (alone / name).read_bytes(), name
    wanted, found = losses(alone), losses(together)
    assert list(found) == list(wanted) == list(range(1, len(wanted) + 1)) and len(wanted) > 20
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=1e-5)
    steps = sorted(int(path.name) for path in (together / "checkpoints").iterdir() if path.name.isdecimal())
    assert steps[-1] == len(wanted)
    assert not list(together.rglob("*.blocks")) and not list(together.rglob(".shared-*"))
    assert (together / "evaluation" / "table.txt").exists()


@pytest.mark.parametrize("seed", range(2))
def test_two_processes_killed_at_random_moments(begin, together, tmp_path, seed):
    kills = kill_until_done(lambda: begin(tmp_path, *pair()), longest=25, seed=seed)
    assert kills
    for name in SELECTED:
        assert (tmp_path / name).read_bytes() == (together / name).read_bytes(), name
    wanted, found = weights(together), weights(tmp_path)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def wait_for(condition, processes, seconds=200):
    end = time.monotonic() + seconds
    while not condition():
        assert all(process.poll() is None for process in processes) and time.monotonic() < end
        time.sleep(0.02)


def test_told_to_stop_while_sampling_they_end_and_go_on(begin, together, tmp_path):
    processes = begin(tmp_path, *pair())
    wait_for(lambda: list(tmp_path.glob("candidates.jsonl.blocks/*.jsonl")), processes)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [status for status, _, _ in ends(processes, 20)] == [-signal.SIGTERM] * 2
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("candidates.jsonl.blocks/*.jsonl")}
    assert kept
    found = ends(begin(tmp_path, *pair()))
    assert [status for status, _, _ in found] == [0, 0], found
    assert (tmp_path / "selected.jsonl").read_bytes() == (together / "selected.jsonl").read_bytes()


def test_one_of_two_told_to_stop_while_training_both_save(begin, together, tmp_path):
    processes = begin(tmp_path, *pair())
    wait_for(lambda: (tmp_path / "checkpoints" / "5").is_dir(), processes)
    processes[1].send_signal(signal.SIGTERM)
    found = ends(processes)
    assert [status for status, _, _ in found] == [143, 143], found
    assert "the same command goes on from there" in found[1][2]
    found = ends(begin(tmp_path, *pair()))
    assert [status for status, _, _ in found] == [0, 0], found
    assert all(np.array_equal(array, weights(together)[name]) for name, array in weights(tmp_path).items())


def test_slurm_s_variables_are_enough(begin, together, tmp_path):
    port = int(free_address().partition(":")[2])
    job = {
        "SLURM_JOB_ID": "1",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "JAX_COORDINATOR_PORT": str(port),
    }
    job |= {"SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_TASKS_PER_NODE": "2"}
    own = [job | {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)} for number in range(2)]
    found = ends(begin(tmp_path, *[("--distributed",)] * 2, environments=own))
    assert [status for status, _, _ in found] == [0, 0], found
    assert all(np.array_equal(array, weights(together)[name]) for name, array in weights(tmp_path).items())


def test_folders_that_are_not_shared_are_refused_by_all(begin, place, tmp_path):
    flags = pair()
    processes = [
        *begin(tmp_path / "one", flags[0]),
        *begin(tmp_path / "other", flags[1]),
    ]
    for status, _, error in ends(processes, 100):
        assert status == 2 and "is not the same folder for all processes" in error.splitlines()[-1]


def test_a_folder_at_work_is_refused_by_all(begin, tmp_path):
    working = begin(tmp_path)
    wait_for(lambda: (tmp_path / "config.json").exists(), working)
    (first, second) = ends(begin(tmp_path, *pair()), 100)
    for process in working:
        process.kill()
        process.communicate()
    assert first[0] == 2 and "another run is at work there" in first[2].splitlines()[-1]
    assert second[0] != 0  # its own line, unless the first, which all depend on, was gone before


def test_an_error_in_one_process_ends_the_other(begin, tmp_path):
    """Scores that one process cannot write: a folder stands where its block should."""
    (tmp_path / "candidates.jsonl.blocks").mkdir()
    processes = begin(tmp_path, *pair())
    wait_for(lambda: (tmp_path / "candidates.jsonl.blocks" / "inputs.json").exists(), processes)
    (tmp_path / "candidates.jsonl.blocks" / "000001.jsonl.new").mkdir()
    first, second = ends(processes, 200)
    assert second[0] == 2 and "000001.jsonl.new" in second[2].splitlines()[-1]
    assert first[0] != 0


APART = """
import sys, time
from quals_jax import parallel
parallel.start_processes(coordinator=sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
time.sleep(330 * parallel.is_first_process())
"""


def test_the_first_to_be_done_waits_for_the_last(environment):
    """As shards of score.py end: JAX's own limit for that is 300 seconds."""
    address = free_address()
    processes = [
        subprocess.Popen([sys.executable, "-c", APART, address, str(number)], cwd=ROOT, env=environment) for number in range(2)
    ]  # fmt: skip
    assert [process.wait(timeout=400) for process in processes] == [0, 0]
