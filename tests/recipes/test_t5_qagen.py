"""A tiny T5 fine-tuned into a QAGen in both formats of T5: it writes what it was taught, and the folder says how."""

import json

import jax
import numpy as np
import pytest
from tiny_t5 import make_tiny_t5

from quals_jax import QAGen, SearchConfig, parallel
from quals_jax.data.texts import Target, Text, Tokenise
from quals_jax.pair_formats import FORMATS, PairCodec
from quals_jax.pairs import QAPair
from quals_jax.recipes import likelihood, model_folders
from quals_jax.sentencepiece import SentencePieceTokenizer
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig

CONTEXT, PAIRS = "the mayor spoke to a bridge", {"who spoke?": "mayor", "to what?": "bridge"}


def config(tmp_path, initial, pair_format):
    rows = [{"context": CONTEXT, "question": question, "answer": answer} for question, answer in PAIRS.items()]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TrainConfig(
        kind="qagen", steps=300, eval_every=0, log_every=100, export="last", checkpoint_every=300, checkpoint_minutes=0,
        data=DataConfig(train=f"jsonl:{file}", batch_size=4, source_buckets=(32,), pair_buckets=(2,), target_buckets=(32,)),
        model=ModelConfig(initial=str(initial), pair_format=pair_format, dropout=0.0),
        optimizer=OptimizerConfig(learning_rate=4e-3, clip_norm=1.0),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["qag", "sep"])
def test_it_writes_what_it_was_taught(tmp_path, kind):
    initial = make_tiny_t5(tmp_path / "initial", kind=kind)
    folder = likelihood.run(config(tmp_path, initial, ""), tmp_path / "run", mesh=parallel.make_mesh(jax.devices()[:1]))
    losses = [
        json.loads(line)["loss"]
        for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
        if "loss" in line
    ]
    assert losses[-1] < losses[0] / 4
    block = json.loads((folder / "config.json").read_text())["quals_jax"]
    assert block["pair_format"] == kind and block["prefix"] == (
        "generate question and answer: " if kind == "qag" else ""
    )
    qagen = QAGen.from_pretrained(
        folder, search=SearchConfig(num_beams=2, num_groups=1, min_length=2, max_length=24), devices=jax.devices()[:1]
    )
    written = {pair.question: pair.answer for pair in qagen.generate([CONTEXT])[0]}
    assert set(written) <= set(PAIRS) and written.items() & PAIRS.items()  # its format, and a pair that it was taught
    taught = [QAPair(question, answer, qagen.codec.encode(question, answer)) for question, answer in PAIRS.items()]
    # Two pairs of one text: the best that can be is that the first words are even odds, and the rest certain.
    assert min(logprobs.mean() for logprobs in qagen.score([CONTEXT], [taught])[0]) > -0.5


def test_targets_and_padding_are_the_models_own(tmp_path):
    folder = make_tiny_t5(tmp_path / "t5", kind="qag")
    tokenizer = SentencePieceTokenizer.from_pretrained(folder)
    codec = PairCodec(FORMATS["qag"], tokenizer, eos_id=1)
    tokenizer.prefix = "generate question and answer: "
    tokenise = Tokenise(tokenizer, source_limit=64, target_limit=32, codec=codec)
    (example,) = tokenise([Text(CONTEXT, (Target("who spoke?", "mayor"),))])
    assert tokenizer.decode(example.targets[0]) == "question: who spoke?, answer: mayor"
    assert example.source == tokenizer.encode(CONTEXT) and example.source[-1] == example.targets[0][-1] == 1
    from quals_jax.data.loader import cut_window

    data = DataConfig(train="x", batch_size=2, source_buckets=(64,), target_buckets=(32,), pair_buckets=(1,))
    (batch,) = cut_window([example], data, pad_id=tokenise.pad_id)
    assert np.array_equal(batch["rows"]["source_ids"][1], np.zeros(64)) and batch["rows"]["target_ids"][0, 0, -1] == 0


def test_a_t5_of_unknown_format_wants_one_named(tmp_path):
    initial = make_tiny_t5(tmp_path / "initial", kind="none")
    with pytest.raises(ValueError, match="it is not known how"):
        model_folders.prepare_model(config(tmp_path, initial, ""))
    model, tokenizer = model_folders.prepare_model(config(tmp_path, initial, "qag"))
    assert tokenizer.pair_format == "qag" and model.config.dropout == 0.0
