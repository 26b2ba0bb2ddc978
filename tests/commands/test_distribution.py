"""A model's distribution of reference scores: written from an output of score.py, read back as percentiles."""

import json
import shutil

import pytest

from quals_jax.commands import distribution
from quals_jax.commands.errors import UserError
from quals_jax.qagen import QAGen
from quals_jax.quals import Quals


@pytest.fixture
def model(tiny_model, tmp_path):
    return shutil.copytree(tiny_model, tmp_path / "model")


def scored(folder, scores, signature):
    path = folder / "scores.jsonl"
    rows = [{"id": str(n), "summary_index": 0, "quals": score, "summary": "x"} for n, score in enumerate(scores)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "scores.jsonl.run.json").write_text(json.dumps({"arguments": {"signature": signature}}))
    return path


def test_a_score_is_told_as_a_percentile_under_the_settings_that_made_the_distribution(model, tmp_path):
    signature = Quals(QAGen.from_pretrained(model)).signature
    path = scored(tmp_path, [-0.4, None, -0.1, -0.3, -0.2], signature)
    assert distribution.main([str(path), str(model), "--of", "four references"]) == 0
    qagen = QAGen.from_pretrained(model)
    quals = Quals(qagen)
    assert [quals.percentile(score) for score in (-1.0, -0.25, 0.0, None)] == [0.0, 50.0, 100.0, None]
    assert Quals(qagen, summary_score="beam").percentile(-0.25) is None
    assert Quals(qagen, max_pairs=3).percentile(-0.25) is None


def test_what_cannot_be_a_distribution_is_refused(model, tmp_path):
    with pytest.raises(UserError, match="no summary has a score"):
        distribution.main([str(scored(tmp_path, [None], "")), str(model), "--of", "x"])
    path = scored(tmp_path, [-0.4], "")
    with pytest.raises(UserError, match="is no folder"):
        distribution.main([str(path), str(tmp_path / "none"), "--of", "x"])
    (tmp_path / "scores.jsonl.run.json").unlink()
    with pytest.raises(UserError, match=r"run\.json: is not there"):
        distribution.main([str(path), str(model), "--of", "x"])


def test_scores_of_other_weights_are_no_distribution(model, tmp_path):
    signature = Quals(QAGen.from_pretrained(model)).signature
    path = scored(tmp_path, [-0.4], signature.replace("@", "@0"))
    with pytest.raises(UserError, match=r"scores\.jsonl: was scored by other weights .* than those in .*model"):
        distribution.main([str(path), str(model), "--of", "x"])
    for damaged in ("{", "[]", '{"arguments": []}', '{"arguments": {"signature": 7}}'):
        (tmp_path / "scores.jsonl.run.json").write_text(damaged)
        with pytest.raises(UserError, match=r"scores\.jsonl\.run\.json: is not there or damaged"):
            distribution.main([str(path), str(model), "--of", "x"])
