"""The recipe with random models that fit any machine: killed in every step it ends as one never killed."""

import dataclasses
import functools
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_qagen import make_tiny_qagen

from quals_jax import conseq
from quals_jax.data.texts import Target, Text
from quals_jax.decoding.search_config import SearchConfig
from quals_jax.qagen import QAGen
from quals_jax.recipes import candidates as candidates_step
from quals_jax.recipes import conseq as conseq_recipe
from quals_jax.recipes import conseq_training, model_folders, steps
from quals_jax.recipes.config import (
    CandidateConfig,
    ConseqConfig,
    EvaluationConfig,
    ScoringConfig,
    SelectionConfig,
)
from quals_jax.summarizer import Conventions, Summarizer, conventions
from quals_jax.tokenizer import Tokenizer
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig


@pytest.fixture(scope="module", autouse=True)
def kept_programs():
    """Models are loaded, and their programs compiled, once for all runs."""
    loaded = {}

    def load(kind, make, *arguments, **named):
        key = kind, repr((arguments, named))
        if key not in loaded:
            loaded[key] = make(*arguments, **named)
        return loaded[key]

    with pytest.MonkeyPatch.context() as patched:
        for kind in (Summarizer, QAGen):
            patched.setattr(kind, "from_pretrained", functools.partial(load, kind, kind.from_pretrained))
        yield


class Killed(BaseException):
    """As a kill: nothing catches it."""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = make_tiny_qagen(tmp_path_factory.mktemp("models"))
    rows = folder.parent / "rows.jsonl"
    texts = [{"document": f"Storm {number} hit.", "summary": f"A storm, {number}."} for number in range(6)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in texts))
    return ConseqConfig(
        seed=3,
        epochs=1.0,
        checkpoint_every=1,
        data=DataConfig(train=f"jsonl:{rows}", batch_size=8, source_buckets=(64,), target_buckets=(64,)),
        model=ModelConfig(initial=str(folder), dropout=0.0),
        optimizer=OptimizerConfig(name="fairseq_adam", learning_rate=1e-3),
        candidates=CandidateConfig(samples=2, k=20, min_length=2, max_length=6, batch_size=1, block_rows=4),
        scoring=ScoringConfig(qagen=str(folder), beams=20, min_length=2, max_length=12, batch_size=1),
        selection=SelectionConfig(candidate_ratio=1.0, reference_ratio=0.5),
        evaluation=EvaluationConfig(
            data=f"jsonl:{rows}", beams=2, min_length=2, max_length=6, batch_size=1, metrics="overlap1"
        ),
    )


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """A run never stopped: its folder and its table."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, conseq_recipe.run(config, workdir)


RESULTS = ("candidates.jsonl", "quals.jsonl", "selected.jsonl", "model/model.safetensors", "evaluation/2-conseq.jsonl")


def test_killed_in_every_step_it_ends_as_one_never_killed(config, finished, tmp_path, monkeypatch):
    whole, table = finished
    assert "overlap1: against document" in table
    ends = {"sample": "candidates.jsonl.blocks", "score": "quals.jsonl.blocks", "train": "checkpoints"}
    for name in ("sample", "score", "select", "train", "compare"):
        real = getattr(conseq_recipe, name)
        with monkeypatch.context() as patched:
            if name in ("sample", "score"):  # in the middle: after the first block
                write = steps.write_whole

                def write_one(path, text, write=write):
                    write(path, text)
                    if path.name == "000000.jsonl":
                        raise Killed

                patched.setattr(steps, "write_whole", write_one)
            elif name == "train":  # when training is done, before anything is written
                patched.setattr(model_folders, "export", _kill)
            else:
                patched.setattr(conseq_recipe, name, _kill)
            with pytest.raises(Killed):
                conseq_recipe.run(config, tmp_path)
        assert getattr(conseq_recipe, name) is real
        assert name not in ends or (tmp_path / ends[name]).is_dir()
    assert conseq_recipe.run(config, tmp_path) == table
    for name in RESULTS:
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name


def _kill(*_, **__):
    raise Killed


def test_selected_rows_are_those_that_select_names(config, finished):
    whole, _ = finished
    rows = list(steps.read_rows(whole / "quals.jsonl"))
    chosen = conseq.select([r["candidate_scores"] for r in rows], [r["reference_score"] for r in rows], 1.0, 0.5)
    selected = list(steps.read_rows(whole / "selected.jsonl"))
    assert [(row["id"], row["candidate"]) for row in selected] == [(str(document), place) for document, place in chosen]
    for row, (document, candidate) in zip(selected, chosen, strict=True):
        assert row["summaries"] == [rows[document]["reference"], rows[document]["candidates"][candidate]]


def test_hypotheses_of_beam_search_stand_in_front_of_the_samples(config, finished, tmp_path):
    whole, _ = finished
    settings = dataclasses.replace(config.candidates, beams=2)
    own = dataclasses.replace(config, candidates=settings)
    rows = list(steps.read_rows(conseq_recipe.sample(own, tmp_path, lambda line: None)))
    searched = Summarizer.from_pretrained(config.model.initial, search=config.evaluation.search(), batch_size=1)
    beams = searched.beams([row["document"] for row in rows])
    for row, two, sampled in zip(rows, beams, steps.read_rows(whole / "candidates.jsonl"), strict=True):
        assert len(two) == 2 and row["candidates"] == two + sampled["candidates"]
    alone = dataclasses.replace(config, candidates=dataclasses.replace(settings, samples=0))
    (tmp_path / "alone").mkdir()
    found = steps.read_rows(conseq_recipe.sample(alone, tmp_path / "alone", lambda line: None))
    assert [row["candidates"] for row in found] == beams


def test_a_finished_run_makes_nothing_again_and_other_settings_only_what_they_touch(
    config, finished, monkeypatch, tmp_path
):
    _, table = finished
    whole = shutil.copytree(finished[0], tmp_path / "run")  # which is trained in
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.jsonl")}
    with monkeypatch.context() as patched:
        patched.setattr(candidates_step, "quals_scores", _kill)
        patched.setattr(model_folders, "export", _kill)
        assert conseq_recipe.run(config, whole) == table
        assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.jsonl")} == before
        other = dataclasses.replace(config, seed=4)
        with pytest.raises(Killed):  # trains again, and scores nothing again
            conseq_recipe.run(other, whole)
    assert (whole / "quals.jsonl").stat().st_mtime_ns == before[whole / "quals.jsonl"]


def test_the_model_may_lie_on_the_way_to_the_trained_weights_and_is_not_trained_again_for_that(
    config, finished, tmp_path
):
    whole, _ = finished
    workdir = shutil.copytree(whole, tmp_path / "run")
    metrics = (workdir / "metrics.jsonl").read_text()
    conseq_recipe.run(dataclasses.replace(config, interpolate=0.25), workdir)
    assert (workdir / "metrics.jsonl").read_text() == metrics  # no step was made
    start, trained, found = (
        load_file(f"{folder}/model.safetensors")
        for folder in (config.model.initial, whole / "model", workdir / "model")
    )
    moved = [name for name in start if not np.array_equal(trained[name], start[name])]
    assert len(moved) > 20
    for name in start:
        np.testing.assert_allclose(found[name], start[name] + (trained[name] - start[name]) / 4, atol=1e-7)


def test_by_rouge_the_candidates_ranking_alone_decides(config, finished, tmp_path):
    whole, _ = finished
    by_rouge = dataclasses.replace(
        config, kind="conseq_rouge", selection=SelectionConfig(candidate_ratio=0.5), candidates=dataclasses.replace(config.candidates)
    )  # fmt: skip
    candidates = whole / "candidates.jsonl"
    scores = conseq_recipe.score(by_rouge, tmp_path, candidates, lambda line: None)
    selected = conseq_recipe.select(by_rouge, tmp_path, scores, lambda line: None)
    rows = list(steps.read_rows(scores))
    lowest = sorted(range(6), key=lambda number: min(rows[number]["candidate_scores"]))[:3]
    assert [row["id"] for row in steps.read_rows(selected)] == [str(number) for number in lowest]
    assert all(row["reference_score"] is None for row in rows)


def test_the_best_candidates_may_be_unlearnt_instead(config, finished, tmp_path):
    whole, _ = finished
    other = dataclasses.replace(config, selection=SelectionConfig(0.5, 1.0, highest=True))
    selected = conseq_recipe.select(other, tmp_path, whole / "quals.jsonl", lambda line: None)
    rows = [[s for s in row["candidate_scores"] if s is not None] for row in steps.read_rows(whole / "quals.jsonl")]
    highest = sorted((max(scores) for scores in rows if scores), reverse=True)
    assert highest and [row["negative_score"] for row in steps.read_rows(selected)] == [*highest, None, None, None][:3]


def test_quals_is_computed_as_the_configuration_says(config):
    beam = dataclasses.replace(config, scoring=dataclasses.replace(config.scoring, summary_score="beam"))
    assert "summary_score:beam" in conseq_recipe.make_quals(beam).signature


def test_the_folder_of_likelihood_training_is_refused(config, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"kind": "mle"}))
    with pytest.raises(ValueError, match="holds a run of kind 'mle'; give another --workdir"):
        conseq_recipe.run(config, tmp_path)


@pytest.mark.parametrize(
    ("field", "missing"),
    [
        ("scoring", {"qagen": "not/there"}),
        ("evaluation", {"data": "jsonl:not-there.jsonl"}),
        ("evaluation", {"metrics": "factcc=not/there"}),
    ],
)
def test_what_a_late_step_needs_is_missed_before_the_first(config, tmp_path, field, missing):
    other = dataclasses.replace(config, **{field: dataclasses.replace(getattr(config, field), **missing)})
    with pytest.raises(ValueError, match="not.there"):
        conseq_recipe.run(other, tmp_path)
    assert not (tmp_path / "candidates.jsonl").exists()


def test_models_without_a_tokenizer_beside_them_are_evaluated_with_the_one_given(config, tmp_path, monkeypatch):
    monkeypatch.setattr(conseq_recipe, "evaluate", lambda *rest, **named: named["tokenizer"])
    own = dataclasses.replace(config, model=dataclasses.replace(config.model, tokenizer="bpe_files"))
    assert conseq_recipe.compare(own, tmp_path, tmp_path / "model", lambda line: None) == "bpe_files"


def test_steps_are_those_of_whole_epochs(config, finished):
    whole, _ = finished
    tokenizer = Tokenizer.from_pretrained(config.model.initial)
    triples = conseq_training.Triples(tokenizer, source_limit=64, target_limit=64)
    data = dataclasses.replace(config.data, batch_size=2, max_targets=2, pair_buckets=(2,))
    texts = conseq_training.JsonLines(whole / "selected.jsonl")
    assert len(texts) == 3
    assert [conseq_training.loader.count_steps(texts, triples, data, epochs) for epochs in (1.0, 1.5, 2.0)] == [2, 3, 4]
    triples.target_limit = 1
    with pytest.raises(ValueError, match="of 3 texts none has a target to learn"):
        conseq_training.loader.count_steps(texts, triples, data, 1.0)


def test_a_plan_has_the_steps_that_training_makes(config, finished, tmp_path):
    """After the selection of its very rows; before it of as many as two independent rankings would leave."""
    whole, _ = finished
    made = [json.loads(line)["step"] for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert conseq_recipe.plan(config, whole, limit=10**12).steps == max(made)
    before = conseq_recipe.plan(config, tmp_path, limit=10**12)
    share = config.selection.candidate_ratio * config.selection.reference_ratio
    assert before.sample["of"] == max(round(share * 6), 1) and before.fits


def test_nothing_selected_is_said(config, finished, tmp_path):
    whole, _ = finished
    nothing = dataclasses.replace(config, selection=SelectionConfig(candidate_ratio=0.01, reference_ratio=0.01))
    with pytest.raises(ValueError, match="of 6 documents none is in both"):
        conseq_recipe.select(nothing, tmp_path, whole / "quals.jsonl", lambda line: None)


def test_the_trained_model_says_how_it_is_to_be_searched(config, finished, tmp_path):
    whole, _ = finished
    own = [json.loads((whole / "model" / name).read_text()) for name in ("config.json", "generation_config.json")]
    assert conventions(*own).search == config.evaluation.search()
    shutil.copytree(whole / "model", tmp_path / "model")
    cnndm = SearchConfig(4, 1, min_length=55, max_length=140, length_penalty=2.0, no_repeat_ngram_size=3)
    conseq_training.keep_conventions(tmp_path / "model", Conventions(True, 0, cnndm))
    written = [
        json.loads((tmp_path / "model" / name).read_text()) for name in ("config.json", "generation_config.json")
    ]
    assert written[0]["forced_bos_token_id"] == 0 and written[0]["quals_jax"]
    # As facebook/bart-large-cnn has them.
    wanted = {"num_beams": 4, "min_length": 56, "max_length": 142, "length_penalty": 2.0, "no_repeat_ngram_size": 3}
    assert wanted.items() <= written[1].items() and written[1]["forced_bos_token_id"] == 0
    assert written[1]["eos_token_id"] == written[1]["forced_eos_token_id"] == 2
    assert conventions(*written).search == cnndm


def test_rows_with_one_target_too_long_are_left_out(config):
    tokenizer = Tokenizer.from_pretrained(config.model.initial)
    triples = conseq_training.Triples(tokenizer, source_limit=64, target_limit=8, forced_first_id=0)
    examples = triples(
        [Text("a b", (Target("good"), Target("bad"))), Text("c", (Target("short"), Target("far too long")))]
    )
    assert len(examples) == 1 and triples.counts["rows_dropped"] == 1
    assert [ids[0] for ids in examples[0].targets] == [0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "mle"}, "kind is 'mle'"),
        ({"epochs": 0.0}, "epochs is 0.0"),
        ({"epochs": float("inf")}, "epochs is inf"),
        ({"interpolate": 0.0}, "interpolate is 0.0; it must be more than 0 and at most 1"),
        ({"interpolate": 1.5}, "interpolate is 1.5"),
        ({"evaluation": EvaluationConfig(metrics="overlap1 qag")}, "there is no metric 'qag'"),
        ({"evaluation": EvaluationConfig(batch_size=0)}, "evaluation.batch_size is 0"),
        ({"scoring": ScoringConfig(summary_score="x")}, "scoring.summary_score is 'x'"),
        ({"selection": SelectionConfig(candidate_ratio=1.5)}, "selection.candidate_ratio is 1.5"),
        ({"selection": SelectionConfig(margin=-1.0)}, "selection.margin is -1.0"),
        ({"selection": SelectionConfig(margin=0.2, highest=True)}, "selection.margin is 0.2; it must be 0"),
        ({"kind": "conseq_rouge", "selection": SelectionConfig(margin=0.2)}, "selection.margin is 0.2; it must be 0"),
        ({"candidates": CandidateConfig(samples=0)}, "candidates.samples is 0"),
        ({"candidates": CandidateConfig(beams=-1)}, "candidates.beams is -1"),
        ({"data": DataConfig(train="gazette:train")}, "candidates.rows is 0"),
        ({"model": ModelConfig(tokenizer="x")}, "model.initial is ''"),
    ],
)
def test_settings_that_cannot_be_are_refused(config, change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **change).validate()
