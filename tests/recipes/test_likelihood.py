"""What a run of likelihood training counts, refuses and writes, without a step."""

import dataclasses
import json

import pytest

from quals_jax.commands.gazette_tokenizer import save
from quals_jax.models.bart import BartConfig
from quals_jax.recipes import likelihood, run_folder, training_data
from quals_jax.tokenizer import Tokenizer
from quals_jax.training.config import DataConfig, ModelConfig, TrainConfig


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save(folder)
    return Tokenizer.from_pretrained(folder)


def rows(path, *summaries):
    path.write_text("".join(json.dumps({"document": "a b", "summary": own}) + "\n" for own in summaries))
    return path


def prepared(path, tokenizer, **changes):
    data = DataConfig(
        train=f"jsonl:{path}", batch_size=2, window=1, max_targets=1, source_buckets=(8,), target_buckets=(8, 32)
    )
    config = TrainConfig(data=dataclasses.replace(data, **changes), model=ModelConfig(tokenizer="x"))
    sizes = BartConfig(
        vocab_size=tokenizer.size, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8, max_position_embeddings=64,
    )  # fmt: skip
    return config, training_data.prepare_data(config, sizes, tokenizer)


def test_epochs_become_steps(tmp_path, tokenizer):
    """Five rows in batches of two are three steps an epoch."""
    config, data = prepared(rows(tmp_path / "five.jsonl", *"abcde"), tokenizer)
    assert likelihood.with_steps(config, data) is config
    counted = likelihood.with_steps(dataclasses.replace(config, steps=0, epochs=2.5), data)
    assert counted.steps == 8
    assert data.sample().steps_per_epoch == 3


def test_a_run_does_not_go_on_with_other_data(tmp_path, tokenizer):
    path = rows(tmp_path / "rows.jsonl", "one", "two")
    run_folder.require_same_data(tmp_path, prepared(path, tokenizer)[1].fingerprint())
    run_folder.require_same_data(tmp_path, prepared(path, tokenizer)[1].fingerprint())
    for changed in (("two", "one"), ("one", "twp"), ("one",)):
        rows(path, *changed)
        with pytest.raises(ValueError, match="holds a run on other data"):
            run_folder.require_same_data(tmp_path, prepared(path, tokenizer)[1].fingerprint())
