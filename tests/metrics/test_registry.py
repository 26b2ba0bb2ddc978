"""The protocol that all metrics keep, and the document that says how to add one."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from quals_jax import metrics
from quals_jax.metrics import MetricSettings, compared_with, load

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "adding_a_metric.md"
DOCUMENTS = ["the cat sat on 3 mats", "a dog ate 12 bones and 7 cats"]
SUMMARIES = ["the cat sat down", "a dog ate 12 of 8 bones"]


def test_what_every_name_leads_to_is_there():
    for target in metrics.REGISTRY.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("name", [name for name in metrics.REGISTRY if name.startswith(("rouge", "overlap", "random"))])
def test_metrics_without_models_keep_the_protocol(name):
    metric = load(name)
    assert isinstance(metric, metrics.Metric)
    scores = metric.score(DOCUMENTS, SUMMARIES)
    assert len(scores) == 2 and all(isinstance(score, float) for score in scores)
    assert "version:" in metric.signature
    with pytest.raises(ValueError, match="1 documents and 2 summaries"):
        metric.score(DOCUMENTS[:1], SUMMARIES)
    with pytest.raises(TypeError, match="documents must be a list"):
        metric.score(DOCUMENTS[0], SUMMARIES)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ValueError, match="no metric 'rogue'; did you mean rouge"):
        load("rogue")
    with pytest.raises(ValueError, match="there are quals, quals-beam"):
        load("zzz")
    with pytest.raises(ValueError, match="compares with reference or document"):
        load("rouge=summary")


def test_rouge_says_what_it_compares_with():
    """Against "the cat sat down" itself every figure is 1; of two references the better one counts."""
    references = ["the cat sat down", ["nothing", "a dog ate 12 of 8 bones"]]
    auto, document = load("rouge"), load("rouge=document")
    assert compared_with(auto, references) == "reference" and compared_with(auto, None) == "document"
    assert compared_with(document, references) == "document"
    assert auto.score(DOCUMENTS, SUMMARIES, references) == [1, 1]
    assert document.score(DOCUMENTS, SUMMARIES, references) == auto.score(DOCUMENTS, SUMMARIES)
    assert load("rouge1=document").score(DOCUMENTS, SUMMARIES)[0] == pytest.approx(2 * 3 / (4 + 6))
    with pytest.raises(ValueError, match="no references"):
        load("rouge=reference").score(DOCUMENTS, SUMMARIES)


def test_overlap_by_hand():
    """Of "the cat sat down" three words, two pairs and one triple of neighbours stand in the document."""
    for number, expected in ((1, 3 / 4), (2, 2 / 3), (3, 1 / 2)):
        assert load(f"overlap{number}").score(DOCUMENTS[:1], SUMMARIES[:1]) == [expected]
    assert load("overlap2").score(["a b"], ["a"]) == [None]


def test_metrics_of_models_give_what_their_models_give(tmp_path):
    import numpy as np
    from tiny_qagen import make_tiny_qagen

    import quals_jax
    from quals_jax.pairs import QAPair

    model = str(make_tiny_qagen(tmp_path / "tiny"))
    settings = MetricSettings(batch_size=2)
    qagen = quals_jax.QAGen.from_pretrained(model, batch_size=2)
    for name, summary_score in (("quals", "likelihood"), ("quals-beam", "beam")):
        metric = load(f"{name}={model}", settings)
        expected = quals_jax.Quals(qagen, summary_score=summary_score)
        assert metric.score(DOCUMENTS, SUMMARIES) == [result.quals for result in expected.score(DOCUMENTS, SUMMARIES)]
        assert metric.signature == expected.signature and f"summary_score:{summary_score}" in metric.signature
    agreement = load(f"quals-f1={model}", settings)
    asked = quals_jax.Quals(qagen, document_answers=True).score(DOCUMENTS, SUMMARIES)
    assert agreement.score(DOCUMENTS, SUMMARIES) == [result.f1 for result in asked]
    assert isinstance(agreement, metrics.Metric) and agreement.signature.startswith("answers:token_f1 | model:tiny@")
    assert metrics.note_of(agreement) == "" and load("quals-f1").note.endswith("quals-f1=MODEL")
    likelihood = load(f"likelihood={model}", settings)
    ids = [*qagen.tokenizer.encode_pieces(SUMMARIES)[1], 2]
    (alone,) = qagen.score([DOCUMENTS[1]], [[QAPair("", None, ids)]])
    assert likelihood.score(DOCUMENTS, SUMMARIES)[1] == pytest.approx(float(np.mean(alone[0])), abs=1e-5)
    assert metrics.note_of(likelihood) == "" and "Gazette" in metrics.note_of(load("quals"))
    assert isinstance(likelihood, metrics.Metric) and "model:tiny@" in likelihood.signature


def test_the_example_of_the_documentation_works_as_it_stands(tmp_path, monkeypatch):
    """Its file is saved and its line added as it says; two numbers, one of them in the document."""
    file, line = re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "numbers.py").write_text(file)
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    monkeypatch.setattr(metrics, "REGISTRY", metrics.REGISTRY | eval("{" + line + "}"))
    monkeypatch.delitem(sys.modules, "quals_jax.metrics.numbers", raising=False)
    metric = load("numbers")
    assert isinstance(metric, metrics.Metric)
    assert metric.score(DOCUMENTS, SUMMARIES) == [None, 0.5]


def test_random_numbers_are_evenly_spread_and_stay():
    """Of 4,000 the mean is 1/2 and the variance 1/12 within 4 standard deviations; half of them below the half."""
    import numpy as np

    documents, summaries = ["d"] * 4000, [str(place) for place in range(4000)]
    scores = np.array(load("random").score(documents, summaries))
    assert abs(scores.mean() - 0.5) < 4 * (1 / 12 / 4000) ** 0.5
    assert abs(scores.var() - 1 / 12) < 4 * (1 / 180 / 4000) ** 0.5
    assert load("random").score(["d", "e"], ["7", "7"]) == [scores[7], load("random").score(["e"], ["7"])[0]]
    assert scores.min() >= 0 and scores.max() < 1 and len(set(scores)) == 4000
