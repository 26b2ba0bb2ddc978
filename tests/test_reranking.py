"""Best of n."""

import json
from types import SimpleNamespace

import pytest

from quals_jax.commands.errors import UserError
from quals_jax.commands.rerank import main, read
from quals_jax.reranking import highest, rerank


class FakeQuals:
    """Scores a summary by the number written in it."""

    def __init__(self):
        self.asked = []

    def score(self, documents, summaries):
        self.asked.append((list(documents), list(summaries)))
        return [SimpleNamespace(quals=float(text) if text else None) for text in summaries]


def test_the_highest_of_every_document_in_one_call():
    quals = FakeQuals()
    found = rerank(quals, ["a", "b"], [["-2", "-1", ""], ["", "-3"]])
    assert [(choice.index, choice.summary, choice.quals) for choice in found] == [(1, "-1", -1.0), (1, "-3", -3.0)]
    assert found[0].scores == (-2.0, -1.0, None)
    assert quals.asked == [(["a", "a", "a", "b", "b"], ["-2", "-1", "", "", "-3"])]


def test_ties_and_missing_scores():
    assert highest([-1.0, -1.0]) == 0
    assert highest([None, None]) == 0
    assert highest([None, -9.0]) == 1
    with pytest.raises(ValueError, match="no candidates"):
        highest([])


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="1 documents, and candidates of 2"):
        rerank(FakeQuals(), ["a"], [["-1"], ["-2"]])


class FakeQAGen(FakeQuals):
    """Stands for the model too."""

    signature = "model:fake"
    fingerprint = "f"

    @classmethod
    def from_pretrained(cls, *_):
        return cls()


@pytest.fixture
def command(monkeypatch, tmp_path):
    monkeypatch.setattr("quals_jax.commands.runtime.prepare", lambda: None)
    monkeypatch.setattr("quals_jax.qagen.QAGen", FakeQAGen)
    monkeypatch.setattr("quals_jax.quals.Quals", lambda qagen, **settings: qagen)
    rows, best = tmp_path / "rows.jsonl", tmp_path / "best.jsonl"

    def run(*documents, **fields):
        written = [{"document": text, "summaries": ["-2", "-1", ""]} | fields for text in documents]
        rows.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in written), encoding="utf-8")
        main(["--input", str(rows), "--output", str(best)])
        return [json.loads(line) for line in best.read_text(encoding="utf-8").removesuffix("\n").split("\n")]

    return run


def test_characters_that_end_lines_elsewhere_are_characters(command, capsys):
    text = "A storm hit\u2028the town\x85of Ashwold\x0b."
    (found,) = command(text, note=text)
    assert found == {
        "id": 0, "document": text, "note": text, "summary": "-1", "summary_index": 1, "quals": -1.0, "scores": [-2.0, -1.0, None]
    }  # fmt: skip
    assert "QUALS = -1.000 (n = 1), best of each" in capsys.readouterr().out
    assert command(text, note=text) == [found]
    with pytest.raises(UserError, match="was made from other rows"):
        command(text, note="other")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"document": "x", "summaries": ["\\ud800"]}', "line 1: field 'summaries' holds a lone surrogate"),
        ('{"document": "x", "summaries": []}', "line 1: field 'summaries' must be a list of texts"),
        ('{"document": "x"}', "line 1: has no field 'summary'"),
        ('{"summaries": ["x"]}', "line 1: has no field 'document'"),
        ("{", "line 1: is no JSON"),
        ("", "holds no rows"),
    ],
)
def test_a_bad_row_is_one_line(tmp_path, line, message):
    (tmp_path / "rows.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=message):
        read(tmp_path / "rows.jsonl")


def test_a_metric_of_which_less_is_better_chooses_the_lowest():
    class Length:
        higher_is_better = False

        def score(self, documents, summaries):
            return [None if text == "" else float(len(text)) for text in summaries]

    (found,) = rerank(Length(), ["a"], [["long one", "", "one", "two"]])
    assert found.summary == "one" and found.score == 3 and found.scores == (8, None, 3, 3)


def test_fields_of_an_earlier_run_are_dropped(command):
    (found,) = command("d", percentile=50.0, pairs=[], quals=7, coverage=1, scores="old", metric="old", note="mine")
    assert found == {
        "id": 0, "document": "d", "note": "mine", "summary": "-1", "summary_index": 1, "quals": -1.0, "scores": [-2.0, -1.0, None]
    }  # fmt: skip
