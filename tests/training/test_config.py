import dataclasses
import re
import runpy
from pathlib import Path

import pytest

from quals_jax.commands import train
from quals_jax.training.config import DataConfig, ModelConfig, TrainConfig

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid_and_says_how_to_run_it(path):
    values = runpy.run_path(str(path))
    values["get_config"]().validate()
    assert f"python train.py --config configs/{path.name} --workdir" in values["__doc__"]


def arguments(*changes):
    return [f"--config={ROOT / 'configs' / 'gazette_qagen.py'}", "--workdir=out", *changes]


def test_changes_are_typed_by_the_field():
    config, options = train.parse(
        arguments(
            "--config.optimizer.learning_rate=3e-5",
            "--config.steps=7",
            "--config.model.remat=true",
            "--config.data.source_buckets=(32,64)",
            "--cpu_devices=2",
        )
    )
    assert config.optimizer.learning_rate == 3e-5
    assert config.steps == 7
    assert config.model.remat is True
    assert config.data.source_buckets == (32, 64)
    assert options.cpu_devices == 2
    assert config.model.d_model == 192  # what is not changed stays


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--config.optimizer.learning_rat=1", "--config.optimizer.learning_rat: .* nearest is optimizer.learning_rate"),
        ("--config.learning_rate=1", "--config.learning_rate: .* nearest is optimizer.learning_rate"),
        ("--config.optimiser.beta1=1", "nearest is optimizer.beta1"),
        ("--config.steps=many", "steps=many"),
        ("--config.model.remat=maybe", "maybe"),
        ("--config.steps=0", "steps is 0; it must be at least 1"),
        ("--config.kind=rl", "kind is 'rl'; it must be one of qagen, mle"),
        ("--config.model.dropout=1.5", r"model.dropout is 1.5; it must be -1 or in 0 .. 1"),
        ("--workdirs=x", "--workdirs: there is no such flag; the nearest is workdir"),
        ("--workdir=", "--workdir is missing"),
        ("--workdir=gs://bucket/run", "is no folder of a file system"),
        ("--export=newest", "export"),
        ("surplus", "'surplus' is no flag"),
        ("--config.optimizer.learning_rate=inf", "optimizer.learning_rate is inf; it must be a finite number"),
        ("--config.optimizer.weight_decay=nan", "optimizer.weight_decay is nan; it must be a finite number"),
        ("--config.data.source_buckets=('a','b')", "data.source_buckets is .* a tuple of whole numbers"),
        ("--config.data.false_kinds=(1,)", "data.false_kinds is .* a tuple of texts"),
        ("--config.epochs=2", "steps is 3600; it must be 0, as epochs is 2.0"),
        ("--config.keep_at=(0,)", "keep_at is .* steps, from 1"),
        ("--memory=3", "--memory is for --dry_run"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(change, message, capsys):
    assert train.main(arguments(change)) == 2
    error = capsys.readouterr().err
    assert error.startswith("train.py: ") and error.count("\n") == 1
    assert re.search(message, error), error


@pytest.mark.parametrize("given", [["--config=no.py", "--workdir=x"], ["--workdir=x"]])
def test_a_config_that_is_not_there(given, capsys):
    assert train.main(given) == 2
    assert "--config" in capsys.readouterr().err


def test_help_is_one_screen(capsys):
    assert train.main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("usage: python train.py") and shown.count("\n") <= 24


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig(), "data.train is ''"),
        (DataConfig(train="x", source_buckets=(64, 32)), r"data.source_buckets is \(64, 32\); .* increasing"),
        (ModelConfig(), "model.tokenizer is ''"),
        (ModelConfig(initial="x", dtype="float16"), "model.dtype is 'float16'"),
    ],
)
def test_parts_check_themselves(config, message):
    with pytest.raises(ValueError, match=message):
        config.validate()


def test_a_batch_must_be_cut_evenly():
    config = TrainConfig(data=DataConfig(train="x", batch_size=10), model=ModelConfig(initial="x"))
    config.optimizer = dataclasses.replace(config.optimizer, accumulate=4)
    with pytest.raises(
        ValueError,
        match=r"data.batch_size is 10; it must be a multiple of optimizer.accumulate, 4: optimizer.accumulate=2 would fit, or data.batch_size=12",
    ):
        config.validate()


@pytest.mark.parametrize(
    ("name", "value"), [("data.validation", "gazette:validation"), ("eval_every", 5), ("export", "best")]
)
def test_what_has_no_effect_on_conseq_is_refused(name, value):
    config = runpy.run_path(str(ROOT / "configs" / "gazette_conseq.py"))["get_config"]()
    config.validate()
    part, own = (config.data, "validation") if "." in name else (config, name)
    setattr(part, own, value)
    with pytest.raises(ValueError, match=f"{name} is .*ConSeq's training has no validation"):
        config.validate()
