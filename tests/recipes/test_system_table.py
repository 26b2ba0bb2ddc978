"""The table of summarizers: counts by hand, nothing left out without a word, and never wider than a terminal."""

import math
import re

import pytest

from quals_jax import gazette
from quals_jax.recipes import system_table
from quals_jax.recipes.evaluation import facts, metrics_for


def row(number, *, share, true, formed, quals=-0.5, kind="storm", **further):
    measures = {"rouge1": 0.5, "rouge2": 0.25, "rougeL": 0.5, "quals": quals, "supported_share": share}
    judged = {"fully_true": float(true), "true_and_well_formed": float(true and formed), "well_formed": float(formed)}
    return {"id": f"{kind}-{number}", "kind": kind, "summary": "a", **measures, **judged, **further}


def rows(*described):
    """40 of each, of two kinds in turn."""
    return [
        row(n, **own, kind=("storm", "trial")[n % 2]) for n, own in enumerate(d for d in described for _ in range(40))
    ]


TRUE = {"share": 1.0, "true": True, "formed": True}
BROKEN = {"share": 1.0, "true": True, "formed": False}
HALF = {"share": 0.5, "true": False, "formed": True}
SILENT = {"share": None, "true": False, "formed": False}
RESULTS = {
    "references": rows(TRUE, TRUE, TRUE, TRUE),
    "MLE": rows(TRUE, HALF, HALF, SILENT),
    "conseq": rows(TRUE, BROKEN, HALF, TRUE | {"quals": None}),
}
TEXT = system_table.table(RESULTS, "signature", remarks=["no FactCC: because"])


def cells(line):
    return line.split()


def test_summaries_that_state_nothing_are_in_every_share_but_one_and_are_named_and_counted():
    lines = TEXT.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("MLE"))
    # Of 160: 40 true; the 120 with facts have 40 * 1.0 + 80 * 0.5 of them supported; 40 of 160 true; 120 well-formed; 40 silent.
    assert cells(lines[at])[1:] == ["50.0", "25.0", "50.0", "-0.500", "66.7", "25.0", "25.0", "75.0", "40"]
    assert cells(lines[at + 1])[1:] == ["50.0", "25.0", "50.0", "-0.500", "87.5", "75.0", "50.0", "75.0", "0"]
    assert "supported leaves out summaries that state no fact that can be read: references 0, MLE 40, conseq 0" in lines
    assert "QUALS leaves out summaries of which no pair was kept: references 0, MLE 0, conseq 40" in lines
    assert "no FactCC: because" in lines and lines[-1] == "QUALS: signature"
    assert system_table.without_facts(RESULTS["MLE"]) == [
        f"{kind}-{number}" for number, kind in zip(range(120, 160), ("storm", "trial") * 20, strict=True)
    ]


def test_differences_and_intervals_are_those_of_paired_rows():
    lines = TEXT.splitlines()
    start = lines.index("difference from MLE, p of a paired permutation test")
    own = [line for line in lines[start:] if line.startswith("conseq ")]
    assert "+0.0 (p 1.000)" in own[0]
    # Rows of which both have facts: 40 equal, 40 of +0.5, 40 equal.
    assert "+16.7 (p <0.001)" in own[0] and "+50.0 (p <0.001)" in " ".join(own)
    rouge2, true = sorted(set(re.findall(r"25\.0 \(([\d.]+) to ([\d.]+)\)", TEXT)), reverse=True)
    assert rouge2 == ("25.0", "25.0")
    low, high = true
    error = 196 * math.sqrt(0.25 * 0.75 / 160)  # of a share of 160
    assert float(low) == pytest.approx(25 - error, abs=0.8) and float(high) == pytest.approx(25 + error, abs=0.8)


def test_by_kind_of_story_it_counts_summaries():
    lines = TEXT.splitlines()
    start = lines.index("fully true, by kind of story")
    assert [cells(line) for line in lines[start + 1 : start + 5]] == [
        ["storm", "trial"], ["references", "80/80", "80/80"], ["MLE", "20/80", "20/80"], ["conseq", "60/80", "60/80"]
    ]  # fmt: skip


def test_it_is_never_wider_than_a_terminal_and_long_names_stay_apart():
    names = [f"out/experiment/seed-{n}/conseq/model/with/a/long/name" for n in (1, 2)]
    metrics = {f"likelihood=some/folder/{n}": "a " * 100 for n in range(6)}
    further = {name: 0.25 for name in metrics}
    results = {name: [own | further for own in RESULTS["MLE"]] for name in [*names, "short"]}
    text = system_table.table(results, "model:x | " * 40, metrics)
    assert max(map(len, text.splitlines())) <= 100
    labels = system_table.short_names(results)
    assert len(set(labels.values())) == 3 and labels["short"] == "short"
    for name, label in labels.items():
        assert label == name or f"{label}: {name}" in text
    joined = text.replace("\n", "").replace(" ", "")
    assert all(name in joined for name in metrics)
    assert text.count("0.250") >= 6 * 3


def test_without_the_oracle_there_is_nothing_of_it():
    plain = {"a": [{"id": "1", "rouge1": 0.5, "rouge2": 0.5, "rougeL": 0.5, "quals": None}]}
    text = system_table.table(plain, "s")
    assert "supported" not in text and "states" not in text and "kind" not in text and "none" in text
    assert "QUALS leaves out summaries of which no pair was kept: a 1" in text


def test_a_metric_that_cannot_score_some_summaries_says_so():
    own = {"a": [row(0, **TRUE, qags=None), row(1, **TRUE, qags=0.5)]}
    assert "qags leaves out summaries without a score: a 1" in system_table.table(own, "s", {"qags": "q"}).splitlines()


@pytest.fixture(scope="module")
def fight():
    return next(gazette.stories(7, "test", 1, kinds=["boxing"]))


def test_fully_true_wants_every_sentence_read_and_every_fact_supported(fight):
    gate, winner = fight.values["gate"], fight.values["winner"]
    whole = f"Ticket sales reach {gate}."
    found = {
        text: facts(gazette.check(fight, text))
        for text in (whole, f"{whole} Nothing else was heard of it.", "Nothing was heard of it.", f"{whole} {whole}")
    }
    shown = [(own["supported_share"], own["fully_true"], own["true_and_well_formed"]) for own in found.values()]
    # A sentence that cannot be read may say anything; a fact told twice is true, and not well-formed.
    assert shown == [(1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (None, 0.0, 0.0), (1.0, 1.0, 0.0)]
    assert found[whole]["marks"] == [[whole.index(gate), whole.index(gate) + len(gate), True, "gate"]]
    false = facts(gazette.check(fight, f"Boxing has a new champion after {winner} overcame {winner}."))
    assert [mark[2:] for mark in false["marks"]] == [[True, "winner"], [False, "loser"]]


def test_gazettes_table_has_qags_and_other_data_say_why_not(monkeypatch, tmp_path):
    from quals_jax.metrics import factcc

    assert metrics_for("gazette:test", ["overlap1"]) == (["overlap1"], [])
    assert metrics_for("gazette:test", ["none"]) == ([], [])
    monkeypatch.setattr(factcc, "EMBEDDED", tmp_path / "missing")
    names, remarks = metrics_for("gazette:test", [])
    assert names == ["qags"] and "no FactCC: no classifier is embedded" in remarks[0]
    monkeypatch.setattr(factcc, "EMBEDDED", tmp_path)
    assert metrics_for("gazette:test", []) == (["qags", "factcc"], [])
    names, remarks = metrics_for("jsonl:rows.jsonl", [])
    assert not names and "know only Gazette" in remarks[0]
