"""tf32 is a choice of every command, and where there is no GPU each says so in one line; so it is for a name that is none."""

import json

import jax
import pytest

from quals_jax.commands import check, correct, evaluate, prefer, rerank
from quals_jax.commands.errors import UserError
from quals_jax.commands.score import job_of
from quals_jax.commands.score_flags import parser
from quals_jax.qagen import EMBEDDED
from quals_jax.scoring.metric import load_quals

pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="of machines without a GPU")


def score_rows(arguments):
    load_quals(job_of(parser().parse_args(arguments)))


COMMANDS = {
    "score": (score_rows, ["--input", "in.jsonl"]),
    "rerank": (rerank.main, ["--input", "in.jsonl"]),
    "prefer": (prefer.main, ["--input", "in.jsonl", "--output", "out.jsonl"]),
    "correct": (correct.main, ["--input", "in.jsonl"]),
    "check": (check.main, [str(EMBEDDED), "--input", "in.jsonl"]),
    "evaluate": (evaluate.main, ["--system", f"a={EMBEDDED}", "--output", "out", "--rows", "1"]),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_tf32_without_a_gpu_is_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("quals_jax.commands.runtime.prepare", lambda *verbose: None)
    (tmp_path / "in.jsonl").write_text(json.dumps({"document": "a", "summaries": ["b", "c"]}) + "\n")
    command, arguments = COMMANDS[name]
    with pytest.raises(UserError, match="dtype tf32 is of GPUs alone, and this is a cpu; use float32"):
        command([*arguments, "--dtype", "tf32"])


def test_training_in_tf32_without_a_gpu_is_one_line(tmp_path):
    from quals_jax.recipes import likelihood
    from quals_jax.training.config import DataConfig, ModelConfig, TrainConfig

    config = TrainConfig(
        steps=1, data=DataConfig(train="gazette:train"), model=ModelConfig(initial=str(EMBEDDED), dtype="tf32")
    )
    with pytest.raises(ValueError, match="dtype tf32 is of GPUs alone"):
        likelihood.run(config, tmp_path)
