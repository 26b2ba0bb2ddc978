"""Which run may go on in a folder that another began."""

import dataclasses
import json

import pytest

from quals_jax.recipes import run_folder
from quals_jax.training.config import DataConfig, ModelConfig, TrainConfig


def test_a_folder_of_before_a_setting_existed_goes_on(tmp_path):
    config = TrainConfig(data=DataConfig(train="jsonl:x"), model=ModelConfig(tokenizer="x"))
    old = config.to_dict()
    del old["data"]["clean"], old["keep_at"]
    (tmp_path / "config.json").write_text(json.dumps(old))
    run_folder.require_same_settings(config, tmp_path)
    other = dataclasses.replace(config, data=dataclasses.replace(config.data, clean="none"))
    with pytest.raises(ValueError, match="data.clean='reference', not 'none'"):
        run_folder.require_same_settings(other, tmp_path)


def test_how_a_step_is_laid_out_may_change_between_two_starts(tmp_path):
    config = TrainConfig(data=DataConfig(train="jsonl:x"), model=ModelConfig(tokenizer="x"))
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    config.optimizer.accumulate, config.model.remat, config.model.shard_params = 4, True, True
    run_folder.require_same_settings(config, tmp_path)
    config.data.batch_size = 16  # another batch is another run
    with pytest.raises(ValueError, match="data.batch_size=8, not 16"):
        run_folder.require_same_settings(config, tmp_path)
