"""The package as users get it: installed into a fresh environment, used from another folder."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = [
    name
    for name in ("python3.11", "python3.12", "python3.13", "python3.14")
    if shutil.which(name) and not subprocess.run([name, "-V"], capture_output=True).returncode
]


@pytest.mark.parametrize("python", PYTHONS)
def test_an_installed_package_scores_from_another_folder(python, tmp_path):
    source = tmp_path / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    environment, elsewhere = tmp_path / "environment", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run([python, "-m", "venv", environment], check=True)
    subprocess.run([environment / "bin/pip", "install", "--quiet", source], check=True)
    names = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV", "XLA_FLAGS")
    }

    def run(*arguments):
        done = subprocess.run(arguments, cwd=elsewhere, env=names, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    program = environment / "bin/quals-jax"
    assert "score" in run(program)
    rows = run(
        program, "score", "--document", "Marlen Tolvik beat Dara Brenmor on points.", "--summary", "Dara Brenmor won."
    )
    assert json.loads(rows)["num_pairs"] >= 0
    scored = [program, "score", "--input", ROOT / "examples/gazette.jsonl", "--output", "o.jsonl", "--report", "r.html"]
    assert "QUALS = -0.61" in run(*scored) and (elsewhere / "r.html").stat().st_size > 20_000
    code = "from quals_jax.shipped import shipped; print(shipped('configs/xsum_conseq.py').resolve())"
    found = run(environment / "bin/python", "-c", code).strip()
    assert found.startswith(str(environment.resolve())) and Path(found).is_file()
