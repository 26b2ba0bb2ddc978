"""The embedded model's programs by the compilers of TPUs and CUDA, where they are installed: nothing of what they are read for fails."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(("script", "compiler"), [("tpu.py", "libtpu"), ("cuda.py", "jax_cuda12_plugin")])
def test_the_embedded_models_search_and_scoring(script, compiler):
    if importlib.util.find_spec(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [sys.executable, BENCHMARKS / script, "--models", "embedded", "--programs", "search", "score"]
    environment = {name: value for name, value in os.environ.items() if name not in ("JAX_PLATFORMS", "XLA_FLAGS")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("\nembedded ") == 2
