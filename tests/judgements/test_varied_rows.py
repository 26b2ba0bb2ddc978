"""Rows of the same formats that are not quite like those at hand: fields that are not there, other numbers of annotators, unknown systems."""

import json

import pytest

from quals_jax.judgements import read

DOCUMENT = "The cat sat on the mat."


def judged(tmp_path, form, *rows, **options):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read(f"{form}:{path}", **options)


@pytest.mark.parametrize(
    ("responses", "score"),
    [
        (["yes"], 1), (["no"], 0), (["yes", "no"], 0), (["yes", "no", "yes", "no"], 0), (["Yes", " yes", "NO", "no", "yes"], 1),
        (["yes", None], 1), ([None, "no", None], 0),
    ],
)  # fmt: skip
def test_qags_with_other_numbers_of_votes(tmp_path, responses, score):
    sentence = {"sentence": "A cat sat.", "responses": [{"response": one} for one in responses]}
    found = judged(tmp_path, "qags", {"article": DOCUMENT, "summary_sentences": [sentence]})
    assert found.human == [score] and found.rows[0].id == "0"


def test_qags_without_a_vote_is_refused(tmp_path):
    for responses in ([], [{"response": None}]):
        row = {"article": DOCUMENT, "summary_sentences": [{"sentence": "A cat.", "responses": responses}]}
        with pytest.raises(ValueError, match="line 1: field 'response' must be yes or no .* must be a vote"):
            judged(tmp_path, "qags", row)


def test_frank_with_other_fields(tmp_path):
    row = {
        "hash": 12,
        "model_name": "a new one",
        "Factuality": 0.5,
        "note": "by hand",
        "url": "x",
        "EntE": None,
        "Kind": "1",
    }
    other = {"hash": "b", "model_name": "bart", "Factuality": "1.0", "EntE": 0.25, "metrics": {"FactCC": 0.5}}
    found = judged(tmp_path, "frank", row, other)
    assert found.human == [0.5, 1] and [own.system for own in found.rows] == ["a new one", "bart"]
    assert [dict(own.human) for own in found.rows] == [{"Factuality": 0.5, "Kind": 1}, {"Factuality": 1, "EntE": 0.25}]
    assert [dict(own.recorded) for own in found.rows] == [{}, {"FactCC": 0.5}] and found.rows[0].document_id == "12"
    kind = judged(tmp_path, "frank", row, other, judgement="EntE")
    assert kind.human == [0.25] and kind.notes[-1] == "1 rows without the judgement EntE are left out"
    del row["Factuality"]
    assert judged(tmp_path, "frank", row, other).notes[-1] == "1 rows without the judgement Factuality are left out"
    with pytest.raises(ValueError, match="has no judgement 'Factuality'; there are Kind"):
        judged(tmp_path, "frank", row)
    with pytest.raises(ValueError, match="line 1: field 'Factuality' is \"many\", not a number"):
        judged(tmp_path, "frank", other | {"Factuality": "many"})


def test_summeval_with_other_systems_and_fewer_questions(tmp_path):
    systems = {
        "M0": {"sys_summ": "A cat.", "scores": {"consistency": 5, "fluency": None, "rouge": 0.5}},
        "unheard of": {"sys_summ": "A dog.", "scores": {"coherence": 2}},
    }
    found = judged(tmp_path, "summeval", {"document": DOCUMENT, "systems": systems})
    assert found.human == [5] and found.rows[0].references == () and found.rows[0].recorded == {"rouge": 0.5}
    assert found.notes[-1] == "1 rows without the judgement consistency are left out"
    other = judged(tmp_path, "summeval", {"document": DOCUMENT, "systems": systems}, judgement="coherence")
    assert [row.system for row in other.rows] == ["unheard of"] and other.human == [2]


def test_xsum_hallucination_with_more_annotators(tmp_path):
    """Of four words one of five annotators marked two, another one: faithful is 1 - 3 / 20. With four annotators two of whom marked something
    it is not most of them who marked nothing."""

    def span(worker, start, end):
        return {"worker": worker, "start": start, "end": end}

    row = {"bbcid": 7, "system": "new", "summary": "a cat sat there", "spans": [span("a", 1, 6), span("b", 1, 2)]}
    five = row | {"factual": {"a": "no", "b": "yes", "c": "yes", "d": "yes", "e": "no"}}
    four = row | {"factual": {"a": "no", "b": "no", "c": "yes", "d": "no"}}
    found = judged(tmp_path, "xsum-hallucination", five, four, row)
    assert found.human == pytest.approx([1 - 3 / 20, 1 - 3 / 16, 1 - 3 / 12])
    assert found.labels == [True, False, False] and found.rows[0].document_id == "7"
    factual = judged(tmp_path, "xsum-hallucination", five, four, row, judgement="factual")
    assert factual.human == pytest.approx([3 / 5, 1 / 4])


def test_xsum_hallucination_finds_the_reference_of_a_numbered_document(tmp_path):
    gold = {"bbcid": 7, "system": "Gold", "summary": "cats sit", "spans": []}
    found = judged(tmp_path, "xsum-hallucination", gold, gold | {"system": "new", "bbcid": "7"})
    assert found.rows[1].references == ("cats sit",)


def test_gofigure_with_other_numbers_of_errors(tmp_path):
    row = {
        "document": DOCUMENT,
        "reference": "A cat sat.",
        "entity_errors": ["A dog sat.", "A dog sat.", "A hen sat.", "A cow sat."],
    }
    found = judged(tmp_path, "gofigure", row, row | {"random_summary": "It rains.", "verb_errors": None})
    assert found.rows[-1].human == {"degree": -5}
    assert [(own.system, own.human["degree"]) for own in found.rows[:4]] == [
        ("reference", 0), ("entity-1", -1), ("entity-3", -3), ("entity-4", -4),
    ]  # fmt: skip
    assert found.notes[-1] == "2 texts without a further error are left out"
    judged_rows = [
        {"article": DOCUMENT, "summary": "A cat.", "label": label} for label in ("Factual", "factually incorrect ")
    ]
    assert judged(tmp_path, "gofigure", *judged_rows).labels == [True, False]


def test_summedits_with_labels_of_every_kind(tmp_path):
    rows = [{"doc": DOCUMENT, "summary": "A cat.", "label": label} for label in (True, False, "1", 0, 1.0)]
    assert judged(tmp_path, "summedits", *rows).labels == [True, False, True, False, True]
    with pytest.raises(ValueError, match="field 'label' is 2; it must be 0 or 1"):
        judged(tmp_path, "summedits", rows[0] | {"label": 2})
