"""A reader and a FactCC classifier trained from a configuration, to the folder that the metrics load; and what is refused."""

import json

import jax
import pytest

from quals_jax import parallel
from quals_jax.checkpoints.bert import load_bert
from quals_jax.encoder import Encoder
from quals_jax.metrics.factcc import FactCC
from quals_jax.metrics.reader import Reader
from quals_jax.recipes import likelihood
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig

# Eight virtual devices on two cores would only take longer.
ONE_DEVICE = parallel.make_mesh(jax.devices()[:1])
CONTEXT = "Tolvik took the title of Velmora on 14 March."
QUESTIONS = {"who took the title?": "Tolvik", "Velmora?": "14 March", "be?": ""}


def _config(golden, kind, train, **data):
    folder = golden / "bert" / "span"
    return TrainConfig(
        kind=kind, steps=80, eval_every=0, log_every=20, export="last", checkpoint_minutes=0,
        data=DataConfig(train=train, batch_size=8, source_buckets=(32,), **data),
        model=ModelConfig(initial=str(folder), tokenizer=str(folder), dropout=0.0, attention_dropout=0.0),
        optimizer=OptimizerConfig(learning_rate=3e-3, clip_norm=1.0),
    )  # fmt: skip


def test_a_reader_learns_where_answers_stand_and_that_there_is_none(golden, tmp_path):
    questions = []
    for text, answer in QUESTIONS.items():
        answers = [{"text": answer, "answer_start": CONTEXT.index(answer)}] if answer else []
        questions.append({"question": text, "answers": answers, "is_impossible": not answer})
    file = tmp_path / "squad.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": questions}]}]}))
    config = _config(golden, "reader", f"squad:{file}", validation=f"squad:{file}")
    folder = likelihood.run(config, tmp_path / "run", mesh=ONE_DEVICE)
    found = load_bert(folder, head="span")
    reader = Reader(Encoder(found.model, batch_size=1), found.tokenizer)
    assert reader.answer(list(QUESTIONS), [CONTEXT] * 3) == list(QUESTIONS.values())
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any(row.get("validation/accuracy/rows") == 1 for row in rows)
    with pytest.raises(ValueError, match="'tfds:squad' is no source for a reader"):
        likelihood.run(_config(golden, "reader", "tfds:squad"), tmp_path / "other")


def test_a_classifier_learns_which_claims_hold(golden, tmp_path):
    claims = {
        "Tolvik took the title.": "CORRECT",
        "Marlen took the title.": "INCORRECT",
        "Velmora took the title.": "INCORRECT",
    }
    file = tmp_path / "claims.jsonl"
    rows = [{"text": CONTEXT, "claim": claim, "label": label} for claim, label in claims.items()]
    file.write_text("\n".join(map(json.dumps, rows)))
    folder = likelihood.run(_config(golden, "factcc", f"claims:{file}"), tmp_path / "run", mesh=ONE_DEVICE)
    found = load_bert(folder, head="labels")
    scores = FactCC(Encoder(found.model, batch_size=1), found.tokenizer).score([CONTEXT] * 3, list(claims))
    assert scores[0] > 0.9 and max(scores[1:]) < 0.1
    with pytest.raises(ValueError, match="starts from a BERT, or from a BART's encoder"):
        config = _config(golden, "factcc", f"claims:{file}")
        config.model.initial = ""
        likelihood.run(config, tmp_path / "other")
