"""The head of the report: thresholds, histogram, groups."""

import numpy as np
import pytest

from quals_jax.report.overview import GroupCount, histogram, place_groups, threshold


def test_the_threshold_is_what_all_but_one_percent_of_the_references_reach():
    references = np.linspace(-1.0, 0.0, 101)
    marked, why = threshold(references, [-5.0] * 10)
    assert marked == pytest.approx(-0.99) and "reference" in why
    assert np.mean(references < marked) == pytest.approx(0.01, abs=0.001)


def test_without_references_outliers_among_the_pairs_are_marked():
    """On normal numbers with deviation 0.1, three deviations below the median; a tenth of outliers hardly moves it."""
    values = np.random.default_rng(0).normal(-0.3, 0.1, 100_000)
    assert threshold(None, values)[0] == pytest.approx(-0.6, abs=0.01)
    assert threshold(None, [*values, *[-5.0] * 10_000])[0] == pytest.approx(-0.65, abs=0.03)
    assert threshold(None, [])[0] < 0 and threshold(None, [0.5] * 9)[0] <= 0.0


def test_the_histogram_counts_every_score_once():
    scores = np.random.default_rng(1).normal(-0.5, 0.4, 1000)
    found = histogram(scores, [-0.1] * 50, -0.4)
    columns = found["columns"]
    assert sum(column["count"] for column in columns) == 1000 and len(columns) <= 34
    for column in columns[1:-1]:
        inside = np.sum((scores >= column["low"]) & (scores < column["high"]))
        assert column["count"] == inside
    assert columns[0]["count"] == np.sum(scores < columns[0]["high"])  # with all that is lower
    assert max(column["reference"] for column in columns) == 100.0
    assert [column["bad"] for column in columns] == sorted((column["bad"] for column in columns), reverse=True)
    labelled = [column["count"] for column in columns if column["labelled"]]
    assert labelled == [max(column["count"] for column in columns)]  # a hundred and more: the highest alone
    assert histogram([], None, -1.0) is None
    assert sum(column["count"] for column in histogram([-0.2], None, -1.0)["columns"]) == 1


def count(rows, field=None):
    groups = GroupCount(field)
    for row in rows:
        groups.add({"id": 1, "summary": "x", "quals": -1.0} | row)
    return groups


def test_the_groups_are_those_of_a_field_with_few_values_that_all_rows_have():
    rows = [{"url": f"u{n}", "some": "x", "kind": "ab"[n % 2], "late": n % 3} for n in range(12)]
    del rows[5]["some"]
    assert count(rows).chosen() == "kind"
    assert count(rows, "late").chosen() == "late" and count(rows, "absent").chosen() is None
    assert count([{"kind": str(n)} for n in range(4)]).chosen() is None  # no value repeats
    assert count([]).chosen() is None
    groups = count([{"kind": True, "quals": -1.0}, {"kind": True, "quals": -3.0}, {"kind": False, "quals": None}] * 2)
    found = place_groups(groups.groups(-2.0))
    assert [(group["name"], group["n"], group["mean"], group["bad"]) for group in found] == [
        ("true", 4, -2.0, 2), ("false", 0, None, 0),
    ]  # fmt: skip
    low, high = found[0]["low"], found[0]["high"]
    assert -3.0 <= low < -2.0 < high <= -1.0
    assert found[0]["left"] == 0.0 and found[0]["dot"] == pytest.approx(100 * (-2.0 - low) / -low, abs=0.01)


def test_of_very_many_groups_the_worst_are_shown():
    groups = count([{"who": str(n), "quals": -n / 10} for n in range(70)] + [{"quals": -9.0}], "who")
    shown = groups.groups(-1.0)
    assert len(shown) == 50 and shown[0]["name"] == "(none)" and shown[1]["name"] == "69" and groups.left_out == 21
