"""What is judged while a model trains: the summaries of the weights of that moment."""

import dataclasses
import importlib.util
import json

import jax
import pytest
from fake_quals import FakeQuals
from tiny_qagen import make_tiny_qagen

from quals_jax import parallel
from quals_jax.checkpoints import load_checkpoint
from quals_jax.recipes import likelihood
from quals_jax.recipes.documents import Document
from quals_jax.recipes.judged import make_judge
from quals_jax.summarizer import Summarizer
from quals_jax.training.config import DataConfig, JudgedConfig, ModelConfig, OptimizerConfig, TrainConfig
from quals_jax.training.state import take_apart

SETTINGS = JudgedConfig(rows=2, beams=2, min_length=2, max_length=6, batch_size=1)
ROWS = [Document("0", "Storm 1 hit the town.", "A storm."), Document("1", "Ann won.", "Ann won the race.")]


SEARCH = {"num_beams": 2, "num_groups": 1, "min_length": 2, "max_length": 6}


def written_by(folder):
    """The rows' summaries by the model in the folder."""
    return Summarizer.from_pretrained(folder, search=SEARCH).summarize([row.document for row in ROWS])


def expected_rouge(name, references, summaries):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer([name], use_stemmer=True)
    own = [scorer.score(*both)[name].fmeasure for both in zip(references, summaries, strict=True)]
    return pytest.approx(sum(own) / len(own))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return [make_tiny_qagen(tmp_path_factory.mktemp("models") / str(seed), seed) for seed in range(2)]


@pytest.fixture(scope="module")
def rows(folders):
    """References that overlap with what the first model writes."""
    texts = zip(ROWS, written_by(folders[0]), strict=True)
    return [dataclasses.replace(row, reference=f"{row.reference} {text}") for row, text in texts]


def test_summaries_are_those_of_the_weights_that_it_is_given(folders, rows):
    """Against summarizers made from the folders themselves, and the rouge_score package."""
    first = load_checkpoint(folders[0])
    judge = make_judge(SETTINGS, rows, first.model, first.tokenizer, FakeQuals(), dtype="float32")
    seen = []
    for folder in (folders[1], folders[0]):
        found, summaries = judge(take_apart(load_checkpoint(folder).model)[1]), written_by(folder)
        for name in ("rouge1", "rougeL"):
            assert found[name] == expected_rouge(name, [row.reference for row in rows], summaries)
        scored = [text for text in summaries if any(letter.isalpha() for letter in text)]
        assert found["without_quals"] == 2 - len(scored)
        assert found["quals"] == pytest.approx(-sum(map(len, scored)) / len(scored))
        seen.append((summaries, found["rouge1"]))
    assert seen[0][0] != seen[1][0] and seen[1][1] > 0
    assert "quals" not in dataclasses.replace(judge, quals=None)(take_apart(first.model)[1])


def test_a_summarizer_in_training_is_judged_at_every_evaluation(tmp_path, folders, rows):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"document": row.document, "summary": row.reference}) + "\n" for row in rows))
    config = TrainConfig(
        kind="mle", steps=0, epochs=4.0, keep=1, keep_at_epochs=(1, 2.5), eval_every=4, log_every=2, checkpoint_minutes=0,
        export="last",
        data=DataConfig(
            train=f"jsonl:{file}", validation=f"jsonl:{file}", batch_size=1, source_buckets=(64,), target_buckets=(64,)
        ),
        model=ModelConfig(initial=str(folders[0]), dropout=0.0), optimizer=OptimizerConfig(learning_rate=1e-4),
        judged=SETTINGS, tensorboard=importlib.util.find_spec("tensorboardX") is not None,
    )  # fmt: skip
    folder = likelihood.run(config, tmp_path / "run", mesh=parallel.make_mesh(jax.devices()[:1]))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    judged = {row["step"]: row["validation/rouge1"] for row in lines if "validation_loss" in row}
    assert list(judged) == [4, 8]
    assert judged[8] == expected_rouge("rouge1", [row.reference for row in rows], written_by(folder)) and judged[8] > 0
    kept = {int(path.name) for path in (tmp_path / "run" / "checkpoints").iterdir() if path.name.isdecimal()}
    assert {2, 5, 8} <= kept  # one epoch is two steps
    assert (tmp_path / "run" / "curve.png").exists()
    assert (tmp_path / "run" / "tensorboard").is_dir() == config.tensorboard


def test_epochs_are_counted_in_steps():
    config = TrainConfig(steps=0, epochs=3.0, keep_at=(7,), keep_at_epochs=(0.5, 2))
    found = likelihood.in_steps(config, 101)
    assert (found.steps, found.keep_at) == (303, (7, 51, 202))
    with pytest.raises(ValueError, match=r"keep_at_epochs has 4, but training ends after 303 steps, 3.00 epochs"):
        likelihood.in_steps(TrainConfig(steps=0, epochs=3.0, keep_at_epochs=(2, 4)), 101)
