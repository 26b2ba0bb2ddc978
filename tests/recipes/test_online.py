"""Online ConSeq with random models that fit any machine: rounds, their pools, and that a killed run ends as one never killed."""

import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_qagen import make_tiny_qagen

from quals_jax import conseq as selection
from quals_jax.qagen import QAGen
from quals_jax.recipes import candidates as candidates_step
from quals_jax.recipes import conseq as conseq_recipe
from quals_jax.recipes import online, steps
from quals_jax.recipes import selection as selection_step
from quals_jax.recipes.config import (
    CandidateConfig,
    EvaluationConfig,
    OnlineConfig,
    OnlineConseqConfig,
    ScoringConfig,
    SelectionConfig,
)
from quals_jax.summarizer import Summarizer
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig
from quals_jax.training.plan import table

ROUNDS = 3
RESULTS = ("candidates.jsonl", "quals.jsonl", "selected.jsonl")


class Killed(BaseException):
    """As a kill: nothing catches it."""


@pytest.fixture(scope="module", autouse=True)
def kept_programs():
    """Models are loaded, and their programs compiled, once for all runs; so are training's."""
    loaded = {}

    def load(kind, make, *arguments, **named):
        key = kind, repr((arguments, named))
        if key not in loaded:
            loaded[key] = make(*arguments, **named)
        return loaded[key]

    def use(self, params):
        self.summarizer = loaded.get("sampled")
        real(self, params)
        loaded["sampled"] = self.summarizer

    real = online.Rounds._use
    with pytest.MonkeyPatch.context() as patched:
        for kind in (Summarizer, QAGen):
            patched.setattr(kind, "from_pretrained", functools.partial(load, kind, kind.from_pretrained))
        patched.setattr(
            online,
            "prepare",
            lambda config, model, *own: dataclasses.replace(
                load("prepare", lambda *_: prepare(config, model, *own)),
                params=online.take_apart(model)[1],
            ),
        )
        patched.setattr(online.Rounds, "_use", use)
        yield


prepare = online.prepare


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = make_tiny_qagen(tmp_path_factory.mktemp("models"))
    rows = folder.parent / "rows.jsonl"
    texts = [{"document": f"Storm {number} hit.", "summary": f"A storm, {number}."} for number in range(5)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in texts))
    return OnlineConseqConfig(
        seed=3,
        steps=2 * ROUNDS,
        online=OnlineConfig(every=2, documents=2),
        checkpoint_every=1,
        data=DataConfig(train=f"jsonl:{rows}", batch_size=8, source_buckets=(64,), target_buckets=(64,)),
        model=ModelConfig(initial=str(folder), dropout=0.0),
        optimizer=OptimizerConfig(name="fairseq_adam", learning_rate=3e-2),
        candidates=CandidateConfig(samples=2, k=20, min_length=2, max_length=6, batch_size=1, block_rows=1),
        scoring=ScoringConfig(qagen=str(folder), beams=20, min_length=2, max_length=12, batch_size=1),
        selection=SelectionConfig(candidate_ratio=1.0, reference_ratio=1.0),
        evaluation=EvaluationConfig(data=f"jsonl:{rows}", beams=2, min_length=2, max_length=6, batch_size=1),
    )


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """A run never stopped: its folder and its table."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, online.run(config, workdir)


def rows_of(workdir, number, name="quals.jsonl"):
    return list(steps.read_rows(workdir / "rounds" / f"{number:03}" / name))


def test_every_round_reads_the_next_documents_and_behind_the_last_the_first(finished):
    whole, table = finished
    assert [[row["id"] for row in rows_of(whole, number)] for number in range(ROUNDS)] == [
        ["0", "1"],
        ["2", "3"],
        ["4", "0"],
    ]
    assert "conseq_online" in table
    logged = [json.loads(line)["step"] for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert logged == [2, 4, 6]  # of the ends of rounds


def test_the_first_round_is_the_offline_recipes(config, finished, tmp_path):
    """Its candidates are those of the model at the start, its selection that of `conseq.select`."""
    whole, _ = finished
    settings = dataclasses.replace(config.candidates, rows=2)
    candidates = conseq_recipe.sample(dataclasses.replace(config, candidates=settings), tmp_path, lambda line: None)
    assert [row["candidates"] for row in steps.read_rows(candidates)] == [
        row["candidates"] for row in rows_of(whole, 0)
    ]
    for number in range(ROUNDS):
        rows = rows_of(whole, number)
        chosen = selection.select([r["candidate_scores"] for r in rows], [r["reference_score"] for r in rows], 1.0, 1.0)
        selected = rows_of(whole, number, "selected.jsonl")
        assert [row["summaries"][1] for row in selected] == [rows[d]["candidates"][place] for d, place in chosen]


def test_later_rounds_sample_from_the_model_of_their_moment(config, finished, tmp_path):
    """Round 2 begins after 2 steps: what it sampled is what the model writes that such a run of 2 steps ends with."""
    whole, _ = finished
    online.run(dataclasses.replace(config, steps=2), tmp_path)
    other = Summarizer.from_pretrained(str(tmp_path / "model"), dtype="float32", batch_size=1)
    settings, documents = config.candidates, [row["document"] for row in rows_of(whole, 1)]
    sampled = other.sample(documents, settings.samples, settings.sampling(), settings.seed + 1)
    assert sampled == [row["candidates"] for row in rows_of(whole, 1)]
    start = Summarizer.from_pretrained(config.model.initial, None)
    assert sampled != start.sample(documents, settings.samples, settings.sampling(), settings.seed + 1)


def same_ends(whole, other):
    for number in range(ROUNDS):
        for name in RESULTS:
            path = f"rounds/{number:03}/{name}"
            assert (other / path).read_bytes() == (whole / path).read_bytes(), path
    for path in ("model/model.safetensors", "evaluation/2-conseq-online.jsonl", "evaluation/table.txt"):
        found = next(iter(other.glob(path)), None) or next(other.glob("evaluation/2-*.jsonl"))
        assert found.read_bytes() == (whole / found.relative_to(other)).read_bytes(), path


def test_killed_at_every_point_it_ends_as_one_never_killed(config, finished, tmp_path, monkeypatch):
    """One run, killed ten times: while it samples and scores (after the first block of the second round), between all steps of every
    round, in the middle of training's first and last round, and before the model is written."""
    whole, table = finished
    kills = []

    def killed(patch):
        with monkeypatch.context() as patched:
            patch(patched)
            with pytest.raises(Killed):
                online.run(config, tmp_path)
        kills.append(sorted(path.name for path in (tmp_path / "rounds").glob("*/*.jsonl")))

    def at_call(owner, name, number, *, after=False):
        """Kills in the call of that number, before it does anything or behind it."""

        def patch(patched):
            real, calls = getattr(owner, name), []

            def call(*arguments, **named):
                calls.append(1)
                if len(calls) == number and not after:
                    raise Killed
                result = real(*arguments, **named)
                if len(calls) == number:
                    raise Killed
                return result

            patched.setattr(owner, name, call)

        return patch

    for patch in (
        at_call(candidates_step, "score", 1),
        at_call(selection_step, "select", 1),
        at_call(online, "train_loop", 1),
        at_call(online.Checkpoints, "save", 1, after=True),  # after the first step of the first round
        at_call(online, "train_loop", 1, after=True),  # the round is trained, the next not begun
        at_call(steps, "write_whole", 3, after=True),  # one block of the second round's candidates is there
        at_call(candidates_step, "quals_scores", 2),
        at_call(online.Checkpoints, "save", 1),
        at_call(online.Checkpoints, "save", 3, after=True),  # in the last round
        at_call(online.model_folders, "export", 1),
    ):
        killed(patch)
    assert len({tuple(own) for own in kills}) >= 4  # it came further from kill to kill
    assert online.run(config, tmp_path) == table
    same_ends(whole, tmp_path)


def test_a_finished_run_makes_nothing_again_and_one_of_other_settings_begins_anew(config, finished, monkeypatch):
    whole, table = finished
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.jsonl")}

    def never(*_, **__):
        raise Killed

    monkeypatch.setattr(candidates_step, "quals_scores", never)
    monkeypatch.setattr(online, "train_loop", never)
    assert online.run(config, whole) == table
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.jsonl")} == before


def test_the_model_may_lie_on_the_way_to_the_trained_weights(config, finished, tmp_path, monkeypatch):
    """Its rounds sample from the trained weights as ever, and are not made again."""
    whole, _ = finished
    workdir = shutil.copytree(whole, tmp_path / "run")
    monkeypatch.setattr(conseq_recipe, "compare", lambda config, workdir, model, say: model)
    monkeypatch.setattr(candidates_step, "quals_scores", None)
    online.run(dataclasses.replace(config, interpolate=0.5), workdir)
    start, trained, found = (
        load_file(f"{folder}/model.safetensors")
        for folder in (config.model.initial, whole / "model", workdir / "model")
    )
    for name in start:
        np.testing.assert_allclose(found[name], (start[name] + trained[name]) / 2, atol=1e-7)


def test_changed_candidates_of_a_round_at_work_are_refused(config, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(online.model_folders, "export", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            online.run(dataclasses.replace(config, steps=2), tmp_path)
    path = tmp_path / "rounds" / "000" / "candidates.jsonl"
    path.write_text(path.read_text().replace("Storm", "Storms"))
    with pytest.raises(ValueError, match="is not what the checkpoints of this run were trained on"):
        online.run(dataclasses.replace(config, steps=2), tmp_path)
    online.run(dataclasses.replace(config, steps=2, seed=4), tmp_path)  # another run takes the folder
    assert "Storms" not in path.read_text()


def test_the_folder_of_an_offline_run_is_refused_and_the_other_way_round(config, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"kind": "conseq"}))
    with pytest.raises(ValueError, match="holds a run of kind 'conseq'; give another --workdir"):
        online.run(config, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"kind": "conseq_online"}))
    with pytest.raises(ValueError, match="holds a run of kind 'conseq_online'"):
        conseq_recipe.require_recipe_folder(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "conseq"}, "kind is 'conseq'"),
        ({"steps": 0}, "steps is 0"),
        ({"epochs": 2.0}, "epochs is 2.0; it must be 0"),
        ({"online": OnlineConfig(every=0)}, "online.every is 0"),
        ({"online": OnlineConfig(documents=0)}, "online.documents is 0"),
        ({"candidates": CandidateConfig(folder="out")}, "candidates.folder is 'out'"),
        ({"candidates": CandidateConfig(samples=0)}, "candidates.samples is 0"),
        ({"model": ModelConfig(tokenizer="x")}, "model.initial is ''"),
    ],
)
def test_settings_that_cannot_be_are_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change).validate()


def test_a_plan_has_the_rounds_and_the_epochs_of_one(config, finished, tmp_path):
    """Two documents a round, both selected, one batch: 2 steps are two epochs of a round's S+ and S-, in three rounds."""
    whole, _ = finished
    for workdir, sampled in ((tmp_path, 2), (whole, len(rows_of(whole, ROUNDS - 1, "selected.jsonl")))):
        plan = online.plan(config, workdir, limit=10**12)
        assert (plan.steps, plan.round_steps, plan.sample["of"], plan.fits) == (6, 2, sampled, True)
        assert plan.steps_per_epoch == 1.0 and plan.epochs == 2.0
        assert "6 in 3 rounds; of each, on texts of its own, 2 steps = 2.00 epochs of about 1 steps" in table(plan)
    assert online.plan(dataclasses.replace(config, steps=7), whole, limit=10**12).steps == 7
    assert "7 in 4 rounds" in table(online.plan(dataclasses.replace(config, steps=7), whole, limit=10**12))


def test_a_part_of_the_documents_goes_round():
    part = online.Part("abcde", 3, 4)
    assert [part[n] for n in range(len(part))] == list("deab") and list(part) == list("deab")
    with pytest.raises(IndexError):
        part[4]


def test_a_position_of_another_round_is_not_taken_over():
    import grain

    def batches(number):
        return online.OfRound(number, grain.MapDataset.range(10).to_iter_dataset(grain.ReadOptions(1, 1)))

    one = iter(batches(1))
    assert [next(one) for _ in range(3)] == [0, 1, 2]
    same, other = iter(batches(1)), iter(batches(2))
    for iterator in (same, other):
        iterator.set_state(json.loads(json.dumps(one.get_state())))
    assert (next(same), next(other)) == (3, 0)
    assert np.asarray(next(one)) == 3
