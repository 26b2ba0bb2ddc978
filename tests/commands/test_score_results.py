"""What score.py gives besides its rows: the mean, as one number or as JSON, groups, and a threshold. A fake score is -len(summary)."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from fake_quals import FakeQuals
from scipy.stats import bootstrap

ROWS = [("a", "x"), ("bbb", "y"), ("cc", "x"), ("", "y"), ("dddd", None)]
FLAGS = ("--input", "i.jsonl", "--output", "o.jsonl")


@pytest.fixture
def written(run):
    """The command, and its input: five rows, one without a score, one without a kind."""
    with open("i.jsonl", "w") as file:
        for summary, kind in ROWS:
            row = {"document": "a document", "summary": summary} | ({"kind": kind} if kind else {})
            file.write(json.dumps(row) + "\n")
    return run


def test_summary_json_has_every_field(written):
    status, table, error = written(*FLAGS, "--summary_json", "s.json", "--group_by", "kind")
    assert status == 0 and error == ""
    found = json.loads(Path("s.json").read_text())
    own = bootstrap(([-1.0, -3, -2, -4],), lambda x, axis: x.mean(axis), method="percentile", n_resamples=20_000)
    assert found["mean"] == -2.5 and found["n"] == 4 and found["without_pairs"] == 1
    assert found["low"] == pytest.approx(own.confidence_interval.low, abs=0.26)
    assert found["high"] == pytest.approx(own.confidence_interval.high, abs=0.26)
    assert (found["truncated"], found["summary_truncated"], found["skipped"]) == (0, 0, 0)
    assert found["signature"] == "model:fake"
    assert {name: (group["mean"], group["n"]) for name, group in found["groups"].items()} == {
        "x": (-1.5, 2),
        "y": (-3.0, 1),
        "(none)": (-4.0, 1),
    }
    assert "by kind" in table and [line.split()[0] for line in table.splitlines() if line.startswith(("x ", "y "))] == ["x", "y"]  # fmt: skip
    again = written(*FLAGS, "--summary_json", "t.json", "--group_by", "kind")  # of a finished run, the same
    assert again[1] == table and json.loads(Path("t.json").read_text()) == found


def test_without_output_too_and_without_scores_it_is_null(run):
    Path("i.jsonl").write_text('{"document": "d", "summary": ""}\n')
    status, rows, _ = run("--input", "i.jsonl", "--summary_json", "s.json")
    found = json.loads(Path("s.json").read_text())
    assert status == 0 and rows.count("\n") == 1
    assert [found[name] for name in ("mean", "low", "high", "n")] == [None, None, None, 0] and found["groups"] == {}


@pytest.mark.parametrize("flags", [(), ("--output", "o.jsonl")])
@pytest.mark.parametrize(
    ("threshold", "status"), [("-2.6", 0), ("-2.5", 0), ("-2.4", 1), ("-1e-3", 1), ("nan", 2), ("x", 2)]
)
def test_a_threshold_for_a_gate(written, flags, threshold, status):
    found, _, error = written("--input", "i.jsonl", *flags, "--fail_below", threshold, "--quiet")
    assert found == status and error.count("\n") == (status > 0)


def test_no_score_is_below_every_threshold(run):
    status, said, error = run("--document", "d", "--summary=", "--fail_below", "-100", "--quiet")
    assert status == 1 and said == "none\n" and "no summary has a score" in error


@pytest.mark.parametrize("flags", [(), ("--output", "o.jsonl")])
def test_quiet_is_one_number(written, flags):
    assert written("--input", "i.jsonl", *flags, "--quiet") == (0, "-2.5\n", "")


def test_a_misspelt_group_is_told_before_the_work(written):
    status, _, error = written(*FLAGS, "--group_by", "knd")
    assert status == 2 and error == "--group_by knd: the rows have no such field; they have 'id', 'kind'\n"
    assert not Path("o.jsonl").exists()


def test_one_row_has_no_interval(run):
    Path("i.jsonl").write_text('{"document": "a document", "summary": "ab"}\n')
    _, table, _ = run(*FLAGS)
    assert "mean           -2.000 (near 0" in table and "interval" not in table


def test_the_summary_goes_over_no_other_file(written):
    for path, told in (("i.jsonl", "same file"), ("o.jsonl.run.json", "which --output writes"), (".", "is a folder")):
        status, _, error = written(*FLAGS, "--summary_json", path)
        assert status == 2 and told in error


def test_people_give_patterns_columns_and_encodings(run):
    for number in range(2):
        Path(f"part-{number}.csv").write_bytes(
            f"Article;Highlights;k\nZ\xfcrich;{'s' * (number + 1)};1\n".encode("latin-1")
        )
    flags = ("--input", "part-*.csv", "--output", "o.jsonl", "--encoding", "latin-1")
    status, table, error = run(*flags)
    rows = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert (
        status == 0 and error.count("\n") == 2 and error.startswith("note: part-0.csv: takes 'Article' as the document")
    )
    found = [(row["id"], row["document"], row["summary"], row["k"]) for row in rows]
    assert found == [(0, "Zürich", "s", "1"), (1, "Zürich", "ss", "1")]
    assert run(*flags)[1] == table
    named = ("--document_column", "Article", "--summary-column", "Highlights")
    assert run(*flags, *named, "--overwrite")[2] == ""
    status, _, error = run(*flags)  # made with other arguments
    assert status == 2 and "was made with document_column 'Article'" in error
    for bad, told in ((("--encoding", "utf8000"), "no encoding"), (("--input", "no-*.csv"), "no file fits")):
        status, _, error = run(*flags, *bad)
        assert status == 2 and told in error


SAID = {
    "bbb": ("Axipor Shipyards", math.log(0.984), (0, 1)),
    "aa": (None, math.log(0.7), None),
    "the c d": ("C e", -0.1, None),
    "": (None, None, None),
}


class Asked(FakeQuals):
    def _result(self, document, summary):
        result = super()._result(document, summary)
        names = ("document_answer", "document_answer_logprob", "document_answer_span")
        answer = dict(zip(names, SAID[summary], strict=True))
        return replace(result, pairs=tuple(replace(pair, **answer) for pair in result.pairs))


def test_the_table_says_what_the_document_answers(run):
    rows = [{"document": "d", "summary": summary} for summary in ("bbb", "aa")]
    Path("i.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, table, _ = run(*FLAGS, "--document_answers", quals=Asked())
    assert status == 0
    assert "   -3.000  who? summary: bbb; document: Axipor Shipyards (0.98)" in table.splitlines()
    assert "   -2.000  who? summary: aa; document: no answer (0.70)" in table.splitlines()
    written = [json.loads(line)["pairs"][0] for line in Path("o.jsonl").read_text().splitlines()]
    assert [pair["document_answer"] for pair in written] == ["Axipor Shipyards", None]
    assert [pair["document_answer_span"] for pair in written] == [[0, 1], None]
    assert "f1" not in json.loads(Path("o.jsonl").read_text().splitlines()[0])
    # Rows with answers and rows without are not of one run.
    status, _, error = run(*FLAGS)
    assert status == 2 and "document_answers" in error


def test_agreement_of_the_answers(run):
    summaries = ["bbb", "aa", "the c d", ""]
    Path("i.jsonl").write_text(
        "".join(json.dumps({"document": "d", "summary": text, "f1": "old"}) + "\n" for text in summaries)
    )
    status, table, _ = run(*FLAGS, "--f1", "--summary_json", "s.json", quals=Asked())
    assert status == 0
    rows = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
    assert [row["f1"] for row in rows] == [0, 0, 0.5, None]  # "c d" and "c e": one word of two in common
    assert list(rows[0])[-1] == "f1"
    assert json.loads(Path("s.json").read_text())["f1"] == pytest.approx(0.5 / 3)
    assert "QUALS-F1       0.167 (1: summary and document answer alike, 0: not)" in table.splitlines()
