"""What the tests of score.py share: a tiny model, thirty rows, and a run that nobody stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_quals import run  # noqa: F401 - a fixture

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    from tiny_qagen import make_tiny_qagen

    return make_tiny_qagen(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def one_device(tmp_path_factory):
    """One device and a cache of compiled programs that the runs of this file share."""
    flags = "--xla_backend_optimization_level=0"
    return os.environ | {
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
        "XLA_FLAGS": flags,
        "JAX_PLATFORMS": "cpu",
    }


@pytest.fixture(scope="session")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    texts = ["a cat sat", "dogs eat", "cats eat at home", "", "tea"]
    with open(path, "w") as file:
        for number in range(30):
            file.write(
                json.dumps(
                    {
                        "id": f"r{number}",
                        "document": f"the cat sat at tea {number}",
                        "summary": texts[number % 5],
                        "kind": "x",
                    }
                )
                + "\n"
            )
    return path


@pytest.fixture(scope="session")
def command(tiny_model):
    """The command line of score.py with these flags."""
    return lambda *flags: [
        sys.executable,
        str(ROOT / "score.py"),
        "--model",
        str(tiny_model),
        "--num_beams",
        "16",
        "--block_rows",
        "4",
        "--batch_size",
        "4",
        *map(str, flags),
    ]


@pytest.fixture(scope="session")
def whole(command, rows, one_device, tmp_path_factory):
    """A run that nobody stopped."""
    output = tmp_path_factory.mktemp("out") / "scores.jsonl"
    flags = ("--input", rows, "--output", output, "--report", output.with_suffix(".html"))
    done = subprocess.run(command(*flags), env=one_device, capture_output=True, text=True, timeout=900)
    return output, done
