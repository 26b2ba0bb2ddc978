import dataclasses
import re
import runpy
from pathlib import Path

import pytest

from quals_jax.commands import train
from quals_jax.training.config import DataConfig, JudgedConfig, ModelConfig, TrainConfig

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
        ("--config.keep_at_epochs=(1,)", "keep_at_epochs is .* keep_at given: Gazette is endless"),
        ("--config.keep_at_epochs=('1',)", "keep_at_epochs is .* a tuple of numbers"),
        ("--config.patience=-1", "patience is -1; it must be at least 0"),
        ("--config.judged.rows=4", "judged.rows is 4; it must be 0: a qagen writes no summaries"),
        ("--config.judged.beams=2", "judged.beams has no effect: judged.rows is 0"),
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
        (
            JudgedConfig(rows=2, min_length=9, max_length=8),
            "judged.min_length is 9; it must be at most judged.max_length, 8",
        ),
        (ModelConfig(initial="x", dtype="float16"), "model.dtype is 'float16'"),
    ],
)
def test_parts_check_themselves(config, message):
    with pytest.raises(ValueError, match=message):
        config.validate()


@pytest.mark.parametrize(
    ("changes", "message"), [({"eval_every": 0}, "eval_every is 0"), ({}, "data.validation is empty")]
)
def test_patience_needs_evaluations(changes, message):
    config = TrainConfig(patience=2, data=DataConfig(train="x"), model=ModelConfig(initial="x"), **changes)
    with pytest.raises(ValueError, match=f"patience is 2; it must be 0, as {message}"):
        config.validate()


def test_a_batch_must_be_cut_evenly():
    config = TrainConfig(data=DataConfig(train="x", batch_size=10), model=ModelConfig(initial="x"))
    config.optimizer = dataclasses.replace(config.optimizer, accumulate=4)
    with pytest.raises(
        ValueError,
        match=r"data.batch_size is 10; it must be a multiple of optimizer.accumulate, 4: optimizer.accumulate=2 would fit, or data.batch_size=12",
    ):
        config.validate()


def changed(name, changes):
    """The configuration of that name with fields set."""
    config = runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"]()
    config.validate()
    for path, value in changes.items():
        part, own = (config, path) if "." not in path else (getattr(config, path.split(".")[0]), path.split(".")[1])
        setattr(part, own, value)
    return config


HELD_OUT = {"data.validation": "gazette:validation", "data.validation_rows": 100, "eval_every": 5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eval_every": 5}, "eval_every is 5; it must be 0: data.validation is empty"),
        ({"export": "best"}, "export is 'best'; it must be 'last': data.validation is empty"),
        ({"patience": 2, "eval_every": 5}, "eval_every is 5; it must be 0: data.validation is empty"),
        ({"data.validation_rows": 5}, "data.validation_rows is 5; data.validation is empty"),
        (HELD_OUT | {"eval_every": 0}, "eval_every is 0; with data.validation it must say how often"),
        (HELD_OUT | {"data.validation_rows": 0}, "data.validation_rows is 0; Gazette is endless"),
        (
            HELD_OUT | {"judged.rows": 3, "judged.qagen": "embedded"},
            "judged.qagen is 'embedded'; in ConSeq QUALS is by scoring",
        ),
        ({"keep_at_epochs": (0,)}, r"keep_at_epochs is \(0,\); it must be above 0"),
    ],
)
def test_what_has_no_effect_on_conseq_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        changed("gazette_conseq", changes).validate()


def test_conseq_may_be_validated():
    changed(
        "gazette_conseq", HELD_OUT | {"export": "best", "patience": 3, "judged.rows": 4, "keep_at_epochs": (1,)}
    ).validate()
    for changes in (HELD_OUT, {"keep_at_epochs": (1,)}):  # there is no telling what of rounds would be held out
        with pytest.raises(ValueError, match="has no effect on rounds"):
            changed("gazette_conseq_online", changes).validate()
