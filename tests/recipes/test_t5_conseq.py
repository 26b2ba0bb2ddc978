"""The ConSeq recipe from a tiny T5, whose padding is 0 and whose end of sentence is 1, a BART's padding; with S+ and S- of documents
held out."""

import json

import numpy as np
import pytest
from tiny_qagen import make_tiny_qagen
from tiny_t5 import make_tiny_t5

from quals_jax.data.loader import evaluation_batches
from quals_jax.data.texts import Target, Text
from quals_jax.recipes import conseq as conseq_recipe
from quals_jax.recipes import conseq_training, steps
from quals_jax.recipes.config import CandidateConfig, ConseqConfig, EvaluationConfig, ScoringConfig, SelectionConfig
from quals_jax.summarizer import Summarizer
from quals_jax.training.config import DataConfig, JudgedConfig, ModelConfig, OptimizerConfig


def write_rows(path, names):
    texts = [{"document": f"the mayor spoke to {name}", "summary": f"a {name}"} for name in names]
    path.write_text("".join(json.dumps(row) + "\n" for row in texts))
    return path


def contrastive_loss(summarizer, rows):
    """By the formula: the mean over all tokens of -log p in S+ and of -log(1 - p) in S-."""
    sums = [(0.0, 0)]
    for place, loss in enumerate((lambda p: -np.log(p), lambda p: -np.log1p(-p))):
        found = summarizer.logprobs([row["document"] for row in rows], [row["summaries"][place] for row in rows])
        sums += [(loss(np.exp(own.astype(float))).sum(), len(own)) for own in found]
    total, count = np.sum(sums, axis=0)
    return total / count


def test_it_is_sampled_from_trained_and_evaluated(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", ("bridge", "mayor", "a"))
    others = write_rows(tmp_path / "others.jsonl", ("spoke", "the", "to"))
    task = {"task_specific_params": {"summarization": {"prefix": "summarize: "}}}
    initial, qagen = make_tiny_t5(tmp_path / "t5", kind="none", **task), make_tiny_qagen(tmp_path / "qagen")
    config = ConseqConfig(
        seed=3, epochs=3.0, checkpoint_minutes=0, checkpoint_every=100, log_every=1, eval_every=2, export="best",
        data=DataConfig(
            train=f"jsonl:{rows}", validation=f"jsonl:{others}", validation_rows=2, batch_size=2, source_buckets=(64,),
            target_buckets=(64,),
        ),
        model=ModelConfig(initial=str(initial), dropout=0.0),
        optimizer=OptimizerConfig(learning_rate=1e-2), judged=JudgedConfig(rows=1, beams=2, min_length=2, max_length=6),
        candidates=CandidateConfig(samples=2, k=20, min_length=2, max_length=6, batch_size=1, block_rows=4),
        scoring=ScoringConfig(qagen=str(qagen), beams=20, min_length=2, max_length=12, batch_size=1),
        selection=SelectionConfig(candidate_ratio=1.0, reference_ratio=1.0),
        evaluation=EvaluationConfig(data=f"jsonl:{rows}", rows=1, beams=2, min_length=2, max_length=6, batch_size=1),
    )  # fmt: skip
    assert "conseq" in conseq_recipe.run(config, tmp_path / "run")
    selected = list(steps.read_rows(tmp_path / "run" / "selected.jsonl"))
    assert len(selected) == 3
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["likelihood/positive"] for row in lines if "loss" in row]
    assert losses[-1] < losses[0]

    held_out = list(steps.read_rows(tmp_path / "run" / "validation" / "selected.jsonl"))
    assert sorted(row["document"] for row in held_out) == ["the mayor spoke to spoke", "the mayor spoke to the"]
    evaluated = {row["step"]: row for row in lines if "validation_loss" in row}
    assert list(evaluated) == [2, 4, 6] and all("validation/rouge1" in row for row in evaluated.values())
    trained = Summarizer.from_pretrained(tmp_path / "run" / "model")
    lowest = min(row["validation_loss"] for row in evaluated.values())
    assert contrastive_loss(trained, held_out) == pytest.approx(lowest, rel=1e-4)

    assert trained.tokenizer.prefix == "summarize: "
    _, tokenizer, triples, data = conseq_training.prepare_training(config, trained.conventions(trained.search))
    (batch, other) = evaluation_batches(
        [Text(row["document"], tuple(map(Target, row["summaries"]))) for row in selected],
        triples, data,
    )  # fmt: skip
    ids = np.concatenate([part["rows"]["target_ids"] for part in (batch, other)]).reshape(8, 64)
    sources = np.concatenate([part["rows"]["source_ids"] for part in (batch, other)])
    read = [tokenizer.decode(own[own != 0]) for own in sources[:3]]
    assert sorted(read) == sorted(f"summarize: {row['document']}" for row in selected)
    assert sources[0, 0] == tokenizer.encode("x")[0]  # no `<s>` in front: T5 has none, and 0 is its padding
    assert tokenizer.pad_id == 0 and (ids[:6] == 1).sum(axis=1).tolist() == [1] * 6  # every target ends once
    assert not ids[6:].any()  # the row that only fills the batch

    assert type(trained.config).__name__ == "T5Config" and trained.summarize(["the mayor spoke to a"])[0]
