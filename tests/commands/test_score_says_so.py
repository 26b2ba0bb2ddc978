"""What score.py's rows, table and page say without being asked: of texts that the model does not know, of what was cut, and of fields of
earlier runs."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from commands.test_score_in_process import FLAGS, lines
from fake_quals import FakeQuals, run  # noqa: F401 - run is a fixture

from quals_jax import gazette
from quals_jax.scoring.output import OUTPUT_FIELDS
from quals_jax.world import outside_gazette

NEWS = "The museum closed its doors on Friday because the roof leaks, a spokeswoman wrote."
STORY = gazette.story(3, "test", 1)


class Embedded(FakeQuals):
    """Like the embedded model: it has percentiles, and knows only Gazette. A summary of more than 200 characters is cut."""

    reference_scores = (-3.0, -2.0)

    def __init__(self):
        super().__init__()
        self.qagen.only_gazette = True
        self.qagen.config = self.qagen
        self.qagen.eos_token_id = 2

    def percentile(self, quals):
        return 50.0

    def _result(self, document, summary):
        result = super()._result(document, summary)
        cut, outside = len(document) > 2000, outside_gazette(document, summary)
        return replace(result, truncated=cut, summary=summary, summary_truncated=len(summary) > 200, outside=outside)


@pytest.fixture
def score(run, monkeypatch):  # noqa: F811
    """Runs score.py with the embedded model over these rows: its table, its page and its rows."""
    monkeypatch.setattr("quals_jax.evidence.sentences_for_report", lambda qagen: None)

    def score(*rows, flags=(), quals=None):
        Path("i.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        status, table, error = run(*FLAGS, "--overwrite", "--report", "r.html", *flags, quals=quals or Embedded())
        assert status == 0 and not error, error
        written = [json.loads(line) for line in Path("o.jsonl").read_text().splitlines()]
        return table, Path("r.html").read_text(), written

    return score


def row(document, summary="The roof leaks.", **fields):
    return {"document": document, "summary": summary} | fields


def test_texts_of_another_world_get_no_percentiles_and_no_marks(score):
    table, page, rows = score(row(NEWS), row(NEWS * 30))
    assert "note: the embedded model knows only Gazette" in table and "2 of 2 summaries are of another world" in table
    assert "documents longer than it reads: 1" in table and "there are no percentiles and no marks" in table
    assert not any("percentile" in found for found in rows)
    assert "<mark" not in page and "above 50" not in page
    assert "These scores say nothing" in page and "2 of 2 summaries are of another world" in page


def test_gazette_s_own_keep_theirs(score):
    table, page, rows = score(row(STORY.document, STORY.summary), row(NEWS))
    assert "note: the embedded model knows only Gazette" in table and "1 of 2 summaries are of another world" in table
    assert [found.get("percentile") for found in rows] == [50.0, None]
    assert page.count("<mark role") == 1 and "1 of 2 summaries are of another world" in page
    table, page, rows = score(row(STORY.document, STORY.summary))
    assert (
        "another world" not in table
        and "the embedded model knows only Gazette" in table
        and "The embedded model knows only Gazette" in page
    )


def test_force_insists(score, run):  # noqa: F811
    table, page, rows = score(row(NEWS), flags=["--force"])
    assert rows[0]["percentile"] == 50.0 and "<mark role" in page
    assert "1 of 1 summaries are of another world" in table and "as asked for" in table
    status, _, error = run(*FLAGS, quals=Embedded())
    assert status == 2 and "was made with force True, not None" in error


def test_other_models_are_not_suspected(score):
    quals = Embedded()
    quals.qagen.only_gazette = False
    table, page, _ = score(row(NEWS), flags=["--model", "m"], quals=quals)
    assert "Gazette" not in table and "Gazette" not in page and "<mark role" in page


def test_what_a_loading_model_says_is_in_the_table(run, monkeypatch, capsys):  # noqa: F811
    from quals_jax.commands import score

    Path("i.jsonl").write_bytes(lines("a"))

    def load(job):
        warnings.warn("m: every tensor's name begins with 'module.'; it is left out", stacklevel=2)
        return FakeQuals()

    run(*FLAGS)
    monkeypatch.setattr("quals_jax.scoring.run.load_quals", load)
    assert score.main([*map(str, FLAGS)]) == 0
    assert "note: m: every tensor's name begins with 'module.'" in capsys.readouterr().out


def test_cut_summaries_are_flagged_and_counted(score):
    table, page, rows = score(row("d" * 50, "s" * 201), row("d", "s"), {"document": "d", "summaries": ["s", "s" * 300]})
    assert [found["summary_truncated"] for found in rows] == [True, False, False, True]
    assert "cut summaries  2: nothing was asked about their ends" in table
    assert page.count("summary cut") >= 2 and "2 longer than the model reads: nothing was asked" in page


def test_no_field_of_the_input_stands_in_for_one_of_the_output(score):
    """Also where this run has no such field. What came later stands behind what the input brought."""
    old = {name: "OLD" for name in OUTPUT_FIELDS - {"id", "document", "summary"}} | {
        "id": 7,
        "kind": "mine",
        "score": 3,
    }
    for flags in ((), ("--force",)):
        _, page, (found,) = score(row(NEWS, **old), flags=flags)
        assert "OLD" not in json.dumps(found) and "OLD" not in page
        assert (found["id"], found["kind"], found["score"]) == (7, "mine", 3)
        assert list(found)[-5:] == ["kind", "score", "summary_truncated", "coverage", "unasked"]
