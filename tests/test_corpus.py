"""A corpus as one object: its numbers, and what it turns into."""

import csv
import io
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from tiny_qagen import make_tiny_qagen

import quals_jax
from quals_jax.spans import spans

DOCUMENTS = ["a tea at ten", "eat a date <b>", "tea time"]
SUMMARIES = ["a date", "", "tea & eat <i>"]


@pytest.fixture(scope="module")
def quals(tmp_path_factory):
    folder = make_tiny_qagen(tmp_path_factory.mktemp("model"))
    search = quals_jax.SearchConfig(num_beams=4, num_groups=4, min_length=1, max_length=8)
    return quals_jax.Quals(quals_jax.QAGen.from_pretrained(folder, search=search))


@pytest.fixture(scope="module")
def corpus(quals):
    return quals.corpus(DOCUMENTS, SUMMARIES)


def test_the_results_are_those_of_score(quals, corpus):
    expected = quals.score(DOCUMENTS, SUMMARIES)
    assert [result.to_json() for result in corpus.results] == [result.to_json() for result in expected]
    scores = [result.quals for result in expected if result.quals is not None]
    assert corpus.n == len(scores) > 0 and corpus.mean == pytest.approx(np.mean(scores))
    assert (corpus.low, corpus.high) == pytest.approx(quals_jax.confidence_interval(expected))
    assert corpus.signature == quals.signature
    assert repr(corpus).startswith(f"CorpusResult(mean={corpus.mean:.3f}, low=") and len(repr(corpus)) < 500
    for result, summary in zip(corpus.results, SUMMARIES, strict=True):
        assert result.summary == summary and result.spans == spans(summary, result.pairs)


def test_blocks_change_nothing(quals, corpus, monkeypatch, capfd):
    monkeypatch.setattr("quals_jax.quals.rows_together", lambda places: 2)
    again = quals.corpus(np.array(DOCUMENTS), tuple(SUMMARIES), progress=True)
    assert [result.quals for result in again.results] == pytest.approx([result.quals for result in corpus.results])
    assert "3/3" in capfd.readouterr().err


def test_a_corpus_as_plain_data(corpus):
    found = json.loads(json.dumps(corpus.to_dict(), allow_nan=False))
    assert found["mean"] == corpus.mean and found["n"] == corpus.n
    assert found["without_pairs"] == 3 - corpus.n and found["truncated"] == 0 and found["summary_truncated"] == 0
    assert [row["summary"] for row in found["results"]] == SUMMARIES
    assert [row["quals"] for row in found["results"]] == [result.quals for result in corpus.results]


def test_a_corpus_as_a_table(corpus):
    pytest.importorskip("pandas")
    table = corpus.to_pandas()
    assert list(table["summary"]) == SUMMARIES and list(table.index) == [0, 1, 2]
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    for row, result in zip(rows, corpus.results, strict=True):
        worst = min((pair.score for pair in result.pairs), default=None)
        assert (float(row["worst_score"]) if row["worst_score"] else None) == worst


def test_a_corpus_as_a_page(corpus, tmp_path):
    corpus.save_report(tmp_path / "deep" / "report.html")
    text = (tmp_path / "deep" / "report.html").read_text()
    assert f"QUALS {corpus.mean:.3f}" in text and text.count("<article") == 3 and "<b>eat" not in text


def test_a_corpus_in_a_notebook(corpus):
    text = corpus._repr_html_()
    assert f"<b>QUALS {corpus.mean:.3f}</b> (n = {corpus.n}" in text
    assert "<i>" not in text
    scores = [float(score) for score in re.findall(r"<td>(-?\d+\.\d+)</td>", text)]
    assert scores == sorted(scores) and len(scores) == corpus.n


def test_what_is_no_corpus_is_refused_before_anything_is_scored(quals):
    with pytest.raises(TypeError, match=r"documents\[1\] is .*it must be a text"):
        quals.corpus(["a", 1], ["a", "b"])
    with pytest.raises(ValueError, match=r"documents\[0\] is empty"):
        quals.corpus([" "], ["a"])
    with pytest.raises(ValueError, match="1 documents and 2 summaries"):
        quals.corpus(["a"], ["a", "b"])


def test_an_empty_corpus_has_no_mean(quals):
    empty = quals.corpus([], [])
    assert (empty.mean, empty.low, empty.high, empty.n) == (None, None, None, 0)
    assert "QUALS none" in empty._repr_html_()


def test_compute_as_evaluate_has_it(quals, corpus):
    metric = quals_jax.QualsMetric(quals)
    found = metric.compute(predictions=SUMMARIES, references=["ignored"] * 3, sources=DOCUMENTS)
    assert found["quals"] == corpus.mean and found["n"] == corpus.n
    assert found["scores"] == [result.quals for result in corpus.results]
    for document, summary in zip(DOCUMENTS, SUMMARIES, strict=True):
        metric.add(prediction=summary, source=document)
    assert metric.compute() == found
    assert metric.compute()["n"] == 0  # what was added is forgotten once it is computed
    with pytest.raises(ValueError, match="sources="):
        metric.compute(predictions=SUMMARIES, references=DOCUMENTS)
    with pytest.raises(ValueError, match="quals or model"):
        quals_jax.QualsMetric(quals, model="x")


def test_every_name_is_there_and_importing_is_fast():
    for name in quals_jax.__all__:
        assert getattr(quals_jax, name) is not None
    code = "import sys, quals_jax; sys.exit('jax' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert callable(quals_jax.rerank)  # a function, whatever module was imported meanwhile
