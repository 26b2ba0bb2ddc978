"""The whole loop on a tiny model: where it stops it goes on, to the same bits."""

import dataclasses
import json
import os
import shutil
import signal

import grain
import jax
import numpy as np
import pytest
from flax import nnx
from tiny import CONFIG, random_part

from quals_jax import parallel
from quals_jax.models.bart import Bart
from quals_jax.training import loop
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig
from quals_jax.training.journal import Journal, clock, means
from quals_jax.training.losses import likelihood_loss, likelihood_sums

SETTINGS = TrainConfig(
    seed=3,
    steps=12,
    checkpoint_every=5,
    checkpoint_minutes=0.0,
    eval_every=4,
    log_every=2,
    export="last",
    data=DataConfig(train="x"),
    model=ModelConfig(tokenizer="x"),
    optimizer=OptimizerConfig(learning_rate=0.03, warmup_steps=3, clip_norm=1.0),
)


class Batches:
    """Batches made from their number; one of them may do something first."""

    def __init__(self, before=None):
        self.before = before or {}

    def __len__(self):
        return 1000

    def __getitem__(self, number):
        self.before.get(number, lambda: None)()
        return {"rows": random_part(number)}


def once(function):
    """The function's first result, whatever it is asked later."""
    results = []

    def first(*arguments):
        results.extend([] if results else [function(*arguments)])
        return results[0]

    return first


@pytest.fixture(scope="module")
def run():
    """Trains; programs are compiled once for all tests of this file, as they are all of one model and one schedule."""
    patch = pytest.MonkeyPatch()
    for name in ("compile_train_step", "compile_eval_step"):
        patch.setattr(loop, name, once(getattr(loop, name)))
    sizes = dataclasses.replace(CONFIG, dropout=0.1)

    def train(workdir, before=None, until=None, judge=None, profile=None, **changes):
        config = dataclasses.replace(SETTINGS, **changes)
        journal = Journal(workdir / "metrics.jsonl", steps=config.steps, profile=profile)
        return loop.train(
            config,
            workdir,
            model=Bart(sizes, rngs=nnx.Rngs(0)),
            loss=likelihood_loss(),
            batches=grain.MapDataset.source(Batches(before)).to_iter_dataset(grain.ReadOptions(1, 1)),
            evaluate=likelihood_sums,
            evaluation_batches=[{"rows": random_part(seed)} for seed in (900, 901)],
            judge=judge,
            journal=journal,
            mesh=parallel.make_mesh(jax.devices()[:2]),
            until=until,
        )

    yield train
    patch.undo()


@pytest.fixture(scope="module")
def unbroken(run, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unbroken")
    return run(workdir), workdir


def rows(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_metrics_are_written_in_order(unbroken):
    _, workdir = unbroken
    steps = [row["step"] for row in rows(workdir)]
    assert steps == [2, 4, 4, 6, 8, 8, 10, 12, 12]
    losses = [row["loss"] for row in rows(workdir) if "loss" in row]
    assert losses[-1] < losses[0]
    first = rows(workdir)[0]
    assert first["learning_rate"] == pytest.approx(0.02)  # of step 2 of 3 of the warm-up
    assert {"gradient_norm", "tokens_per_second", "nll/rows"} <= set(first)


def test_a_profile_changes_nothing_of_what_is_learnt(run, unbroken, tmp_path):
    params = run(tmp_path / "run", profile=tmp_path / "profile")
    assert same(params, unbroken[0])
    assert len(list((tmp_path / "profile").rglob("perfetto_trace.json.gz"))) == 1


def test_the_last_and_the_best_checkpoint_are_kept(unbroken):
    _, workdir = unbroken
    validation = {row["step"]: row["validation_loss"] for row in rows(workdir) if "validation_loss" in row}
    best = min(validation, key=validation.get)
    kept = {int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdecimal()}
    assert {best, 12} <= kept and len(kept) <= 3


def test_a_stopped_run_goes_on_to_the_same_bits(run, unbroken, tmp_path):
    """SIGTERM between checkpoints: saved, ended, and taken up again. Twice."""
    handler = signal.getsignal(signal.SIGTERM)
    for number in (6, 9):
        with pytest.raises(loop.Stopped) as stopped:
            run(tmp_path, before={number: lambda: os.kill(os.getpid(), signal.SIGTERM)})
        assert 0 < stopped.value.args[0] <= number + 1
    params = run(tmp_path)
    assert same(params, unbroken[0])
    wanted = [(row["step"], row.get("validation_loss")) for row in rows(unbroken[1]) if "validation_loss" in row]
    assert [(row["step"], row["validation_loss"]) for row in rows(tmp_path) if "validation_loss" in row] == wanted
    assert signal.getsignal(signal.SIGTERM) == handler


def test_rows_of_a_stopped_run_are_means_over_whole_windows(run, unbroken, tmp_path):
    """Stopped and saved after step 7, in the midst of the row of steps 7 and 8."""
    with pytest.raises(loop.Stopped):
        run(tmp_path, before={6: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    run(tmp_path)
    wanted = {row["step"]: (row["loss"], row["gradient_norm"]) for row in rows(unbroken[1]) if "loss" in row}
    assert {row["step"]: (row["loss"], row["gradient_norm"]) for row in rows(tmp_path) if "loss" in row} == wanted


def test_who_waits_in_vain_for_a_lower_validation_loss_ends(run, tmp_path, monkeypatch):
    """Losses 3, 2, 2.5, 2.4: the second is the best, and two are waited for, also over a stop in between."""
    losses = {1: 3.0, 2: 2.0, 3: 2.5, 4: 2.4}
    monkeypatch.setattr(loop, "evaluate_all", lambda eval_step, state, batches: {"nll": losses[int(state.step)]})
    changes = {"eval_every": 1, "patience": 2, "log_every": 3, "checkpoint_every": 100, "export": "best"}
    with pytest.raises(loop.Stopped):
        run(tmp_path, before={2: lambda: os.kill(os.getpid(), signal.SIGTERM)}, **changes)
    params = run(tmp_path, **changes)
    found = rows(tmp_path)
    assert {row["step"]: row["validation_loss"] for row in found if "validation_loss" in row} == losses
    assert [row["step"] for row in found if "loss" in row] == [3, 4]
    before = (tmp_path / "metrics.jsonl").read_text()
    assert same(run(tmp_path, before={0: lambda: pytest.fail("no batch is needed")}, **changes), params)
    assert (tmp_path / "metrics.jsonl").read_text() == before
    model = Bart(dataclasses.replace(CONFIG, dropout=0.1), rngs=nnx.Rngs(0))
    assert same(loop.load_params(SETTINGS, tmp_path, model=model, step=2), params)


def test_a_judge_sees_the_parameters_after_every_evaluation(run, tmp_path):
    name = "encoder.layers.fc1.bias"
    params = run(tmp_path, judge=lambda params: {"bias": float(params[name].sum())})
    found = {row["step"]: row["validation/bias"] for row in rows(tmp_path) if "validation_loss" in row}
    assert list(found) == [4, 8, 12] and found[12] == float(params[name].sum()) and len(set(found.values())) == 3


def test_a_run_that_broke_off_goes_on_from_its_last_checkpoint(run, unbroken, tmp_path):
    def fail():
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        run(tmp_path, before={9: fail})
    assert same(run(tmp_path), unbroken[0])


def test_a_finished_run_asked_for_again_trains_no_more(run, unbroken):
    params, workdir = unbroken
    before = (workdir / "metrics.jsonl").read_text()
    assert same(run(workdir, before={0: lambda: pytest.fail("no batch is needed")}), params)
    assert (workdir / "metrics.jsonl").read_text() == before


def test_a_checkpoint_half_removed_when_the_run_was_killed_is_passed_over(run, unbroken, tmp_path):
    params, workdir = unbroken
    for missing in ("metrics", "everything"):
        copy = shutil.copytree(workdir, tmp_path / missing)
        oldest = min(
            (path for path in (copy / "checkpoints").iterdir() if path.name.isdecimal()), key=lambda p: int(p.name)
        )
        for part in list(oldest.iterdir()) if missing == "everything" else [oldest / missing]:
            shutil.rmtree(part) if part.is_dir() else part.unlink()
        assert same(run(copy), params)


def test_the_best_parameters_are_those_of_the_lowest_validation_loss(run, unbroken):
    _, workdir = unbroken
    validation = {row["step"]: row["validation_loss"] for row in rows(workdir) if "validation_loss" in row}
    best = run(workdir, export="best")
    model = Bart(CONFIG, rngs=nnx.Rngs(0))
    found = loop.take_apart(model)[0].bart({name: jax.numpy.asarray(array) for name, array in best.items()})
    sums = jax.jit(lambda part: likelihood_sums(found, {"rows": part})["nll"])
    total, count = np.sum([sums(random_part(seed)) for seed in (900, 901)], axis=0)
    assert total / count == pytest.approx(min(validation.values()), rel=1e-5)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(run, unbroken, tmp_path, monkeypatch):
    new_state = loop.new_state

    def broken(params, optimizer, seed):
        params = dict(params)
        params["shared.embedding"] = params["shared.embedding"].at[20].set(float("nan"))
        return new_state(params, optimizer, seed)

    monkeypatch.setattr(loop, "new_state", broken)
    with pytest.raises(FloatingPointError, match="not finite in step 1;"):
        run(tmp_path)
    assert not [path for path in (tmp_path / "checkpoints").iterdir() if path.name.isdecimal()]


def test_means_divide_once():
    """Two batches of 1 and 3 tokens: the mean of all four, not of the two means."""
    assert means([{"nll": (2.0, 1.0), "x": (0.0, 0.0)}, {"nll": (3.0, 3.0)}]) == {"nll": 1.25}


def test_lines_of_steps_not_kept_are_forgotten(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"st')
    Journal(path, steps=5).begin(2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_time_left_is_told_in_hours():
    assert clock(3723.4) == "1:02:03"


def test_checkpoints_of_asked_steps_stay_and_can_be_had(run, tmp_path):
    params = run(tmp_path, keep=1, keep_at=(3, 7), eval_every=0, checkpoint_every=100)
    kept = sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir() if path.name.isdecimal())
    assert kept == [3, 7, 12]
    config = dataclasses.replace(SETTINGS, keep=1)
    model = Bart(dataclasses.replace(CONFIG, dropout=0.1), rngs=nnx.Rngs(0))
    last = loop.load_params(config, tmp_path, model=model, step=12)
    third = loop.load_params(config, tmp_path, model=model, step=3)
    name = next(iter(params))
    assert np.array_equal(last[name], params[name]) and not np.array_equal(third[name], params[name])
    with pytest.raises(ValueError, match="there is no checkpoint of step 4; there are 3, 7, 12"):
        loop.load_params(config, tmp_path, model=model, step=4)


def test_parts_of_a_run_end_where_they_are_told_and_together_are_the_whole(run, unbroken, tmp_path):
    run(tmp_path, until=7)
    assert rows(tmp_path)[-1]["step"] == 7
    half = run(tmp_path, until=7)  # asked for again: what it had, and no step more
    assert rows(tmp_path)[-1]["step"] == 7
    whole = run(tmp_path, until=99)
    assert same(whole, unbroken[0]) and not same(half, whole)
