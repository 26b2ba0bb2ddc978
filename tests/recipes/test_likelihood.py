"""What a run of likelihood training counts, refuses and writes, without a step."""

import dataclasses
import json
import os
import stat

import pytest

from quals_jax.commands.gazette_tokenizer import save
from quals_jax.models.bart import BartConfig
from quals_jax.recipes import likelihood
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
    return config, likelihood.prepare_data(config, sizes, tokenizer)


def test_epochs_become_steps(tmp_path, tokenizer):
    """Five rows in batches of two are three steps an epoch."""
    config, data = prepared(rows(tmp_path / "five.jsonl", *"abcde"), tokenizer)
    assert likelihood.with_steps(config, data) is config
    counted = likelihood.with_steps(dataclasses.replace(config, steps=0, epochs=2.5), data)
    assert counted.steps == 8
    assert data.sample().steps_per_epoch == 3


def test_a_run_does_not_go_on_with_other_data(tmp_path, tokenizer):
    path = rows(tmp_path / "rows.jsonl", "one", "two")
    likelihood.require_same_data(tmp_path, prepared(path, tokenizer)[1].fingerprint())
    likelihood.require_same_data(tmp_path, prepared(path, tokenizer)[1].fingerprint())
    for changed in (("two", "one"), ("one", "twp"), ("one",)):
        rows(path, *changed)
        with pytest.raises(ValueError, match="holds a run on other data"):
            likelihood.require_same_data(tmp_path, prepared(path, tokenizer)[1].fingerprint())


def test_a_folder_of_before_a_setting_existed_goes_on(tmp_path):
    config = TrainConfig(data=DataConfig(train="jsonl:x"), model=ModelConfig(tokenizer="x"))
    old = config.to_dict()
    del old["data"]["clean"], old["keep_at"]
    (tmp_path / "config.json").write_text(json.dumps(old))
    likelihood.require_same_settings(config, tmp_path)
    other = dataclasses.replace(config, data=dataclasses.replace(config.data, clean="none"))
    with pytest.raises(ValueError, match="data.clean='reference', not 'none'"):
        likelihood.require_same_settings(other, tmp_path)


def test_how_a_step_is_laid_out_may_change_between_two_starts(tmp_path):
    config = TrainConfig(data=DataConfig(train="jsonl:x"), model=ModelConfig(tokenizer="x"))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    config.optimizer.accumulate, config.model.remat, config.model.shard_params = 4, True, True
    likelihood.require_same_settings(config, tmp_path)
    config.data.batch_size = 16  # another batch is another run
    with pytest.raises(ValueError, match="data.batch_size=8, not 16"):
        likelihood.require_same_settings(config, tmp_path)


def test_exported_files_have_the_mode_of_any_new_file(tmp_path):
    from quals_jax.checkpoints.modes import follow_umask

    before = os.umask(0o027)
    try:
        (tmp_path / "x").touch(0o600)
        follow_umask(tmp_path / "x")
    finally:
        assert os.umask(before) == 0o027
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640
