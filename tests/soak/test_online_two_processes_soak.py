"""Online ConSeq on two processes: the rounds, losses and weights of one, never stopped or killed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from quick_compilation import flags
from safetensors.numpy import load_file
from several import free_address
from tiny_qagen import make_tiny_qagen

ROOT = Path(__file__).parents[2]
ROUNDS = 3
LONGEST = 1800  # seconds: of a run that hangs
CONFIG = """
from quals_jax.recipes.config import (
    CandidateConfig, EvaluationConfig, OnlineConfig, OnlineConseqConfig, ScoringConfig, SelectionConfig,
)
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


def get_config():
    return OnlineConseqConfig(
        seed=3, steps=6, online=OnlineConfig(every=2, documents=8), checkpoint_every=1, log_every=1, export_dtype="float32",
        data=DataConfig(train="jsonl:{rows}", batch_size=4, source_buckets=(64,), target_buckets=(64,)),
        model=ModelConfig(initial="{model}", dropout=0.1),
        optimizer=OptimizerConfig(name="adamw", learning_rate=1e-2, epsilon=1e-3),
        candidates=CandidateConfig(samples=2, k=20, min_length=2, max_length=6, batch_size=2, block_rows=2),
        scoring=ScoringConfig(qagen="{model}", beams=20, min_length=2, max_length=12, batch_size=2),
        selection=SelectionConfig(candidate_ratio=1.0, reference_ratio=1.0),
        evaluation=EvaluationConfig(data="jsonl:{rows}", beams=2, min_length=2, max_length=6, batch_size=2),
    )
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model, rows and a configuration."""
    folder = tmp_path_factory.mktemp("online")
    model = make_tiny_qagen(folder / "models" / "tiny")
    rows = [{"document": f"Storm {number} hit.", "summary": f"A storm, {number}."} for number in range(20)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "config.py").write_text(CONFIG.format(rows=folder / "rows.jsonl", model=model))
    return folder


def begin(place, workdir, processes):
    """Starts the recipe in one process, or in two."""
    environment = os.environ | {"XLA_FLAGS": flags(), "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(place / "cache")}
    wanted = [sys.executable, str(ROOT / "train.py"), f"--config={place / 'config.py'}", f"--workdir={workdir}"]
    own, address = [[]], free_address()
    if processes == 2:
        own = [[f"--coordinator={address}", "--num_processes=2", f"--process_id={number}"] for number in range(2)]
    return [
        subprocess.Popen(
            [*wanted, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        for flags in own
    ]  # fmt: skip


def finished(place, name, processes):
    """The folder of a run never stopped."""
    started = begin(place, place / name, processes)
    errors = [process.communicate(timeout=LONGEST)[1] for process in started]
    assert [process.returncode for process in started] == [0] * processes, errors
    return place / name


@pytest.fixture(scope="module")
def alone(place):
    return finished(place, "alone", 1)


@pytest.fixture(scope="module")
def together(place):
    return finished(place, "together", 2)


def pool(workdir, number, name):
    return (workdir / "rounds" / f"{number:03}" / name).read_bytes()


def losses(workdir):
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows}


def weights(workdir):
    return load_file(workdir / "model" / "model.safetensors")


def test_two_processes_make_the_rounds_losses_and_weights_of_one(alone, together):
    """The first round's files to the byte. Later rounds are written by trained weights, whose last digits differ: their samples are
    compared, their scores within 1e-4."""
    for name in ("candidates.jsonl", "quals.jsonl", "selected.jsonl"):
        assert pool(together, 0, name) == pool(alone, 0, name), name
    for number in range(ROUNDS):
        found, wanted = (
            [json.loads(row) for row in pool(run, number, "quals.jsonl").splitlines()] for run in (together, alone)
        )
        assert [row["candidates"] for row in found] == [row["candidates"] for row in wanted]
        for own, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(
                np.array(own["candidate_scores"], float), np.array(other["candidate_scores"], float), atol=1e-4
            )
    assert pool(alone, 1, "candidates.jsonl") != pool(alone, 0, "candidates.jsonl")
    wanted, found = losses(alone), losses(together)
    assert list(found) == list(wanted) == list(range(1, 7))
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=1e-5)
    wanted, found = weights(alone), weights(together)
    assert all(np.allclose(found[name], wanted[name], atol=1e-4) for name in wanted)
    assert not list(together.rglob("*.blocks")) and (together / "evaluation" / "table.txt").exists()


def test_two_processes_killed_in_every_round_end_as_two_never_killed(place, together, tmp_path):
    """Killed when the first round is scored, when the second has its candidates, and in the midst of the last one's training."""
    for sign in ("rounds/000/quals.jsonl", "rounds/001/candidates.jsonl", "checkpoints/5"):
        started = begin(place, tmp_path, 2)
        end = time.monotonic() + LONGEST
        while not (tmp_path / sign).exists():
            assert time.monotonic() < end and all(process.poll() is None for process in started), sign
            time.sleep(0.05)
        for process in started:
            process.kill()
            process.communicate()
    finished(place, tmp_path, 2)
    for number in range(ROUNDS):
        for name in ("candidates.jsonl", "quals.jsonl", "selected.jsonl"):
            assert pool(tmp_path, number, name) == pool(together, number, name), name
    assert all(np.array_equal(weights(tmp_path)[name], weights(together)[name]) for name in weights(together))
