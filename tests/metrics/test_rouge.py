"""ROUGE against values worked out by hand, and in several processes."""

import pytest

from quals_jax.metrics.rouge import SMALLEST_PARALLEL, Rouge, processes_for, rouge


def test_values_by_hand():
    """Four words against five, three in common (the, cat, sat), one pair of neighbours (the cat; cat sat): 2 of 3 and of 4."""
    (found,) = rouge(["the cat sat on mats"], ["the cat sat down"])
    assert found.rouge1 == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))
    assert found.rouge2 == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert found.rougeL == pytest.approx(found.rouge1)
    assert found.mean == pytest.approx((found.rouge1 + found.rouge2 + found.rougeL) / 3)


def test_empty_summaries_and_stems():
    assert rouge(["the cat"], [""]) == [Rouge(0, 0, 0)]
    assert rouge(["he paints houses"], ["he painted house"])[0].rouge1 == 1


def test_processes_change_nothing():
    references = [f"story number {number} of many" for number in range(100)]
    summaries = [f"number {number} of stories" for number in range(100)]
    with processes_for(SMALLEST_PARALLEL) as pool, processes_for(1) as none:
        assert none is None
        assert rouge(references, summaries, pool=pool) == rouge(references, summaries)


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="2 references and 1 summaries"):
        rouge(["a", "b"], ["a"])
