"""Training killed at random moments, alone and on two processes: the weights are those of a run never stopped."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from quick_compilation import flags
from safetensors.numpy import load_file
from several import free_address, kill_until_done

from quals_jax.commands.gazette_tokenizer import save

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"XLA_FLAGS": flags()}
SETTINGS = {
    "model.d_model": 32, "model.ffn_dim": 32, "model.layers": 1, "model.heads": 2, "model.dropout": 0.1, "steps": 600,
    "data.batch_size": 2, "data.copy_batches": 20, "checkpoint_every": 15, "log_every": 10, "eval_every": 40,
    "export": "best", "export_dtype": "float32",
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save(folder)
    return folder


def start(workdir, tokenizer, *extra):
    wanted = [f"--config={ROOT / 'configs' / 'gazette_qagen.py'}", f"--workdir={workdir}"]
    wanted += [f"--config.{name}={value}" for name, value in (SETTINGS | {"model.tokenizer": tokenizer}).items()]
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *wanted, *extra],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=ENVIRONMENT,
    )  # fmt: skip


@pytest.fixture(scope="module")
def unbroken(tokenizer, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "unbroken"
    process = start(workdir, tokenizer)
    _, error = process.communicate()
    assert process.returncode == 0, error
    return load_file(workdir / "model" / "model.safetensors")


@pytest.mark.parametrize("seed", range(3))
def test_one_process_killed_at_random_moments(unbroken, tokenizer, tmp_path, seed):
    kills = kill_until_done(lambda: [start(tmp_path / "run", tokenizer)], longest=25, seed=seed)
    found = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert kills
    assert all(np.array_equal(found[name], unbroken[name]) for name in unbroken)


def test_two_processes_killed_at_random_moments(tokenizer, tmp_path):
    """Against two that were not: one device's sums round otherwise."""

    def begin(workdir):
        flags = [f"--coordinator={free_address()}", "--num_processes=2"]
        return [start(workdir, tokenizer, *flags, f"--process_id={number}") for number in range(2)]

    for process in (processes := begin(tmp_path / "unbroken")):
        process.wait()
    assert [process.returncode for process in processes] == [0, 0]
    kills = kill_until_done(lambda: begin(tmp_path / "killed"), longest=40, seed=5)
    assert kills
    wanted, found = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("unbroken", "killed"))
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
