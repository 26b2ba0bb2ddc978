"""Agreement with people: against closed forms, other formulas, and cases worked out by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from quals_jax.metrics.correlation import (
    Rows,
    agreement,
    balanced_accuracy,
    best_threshold,
    compare,
    cross_fitted,
    partial_pearson,
    summary_level,
    system_level,
)


def one_each(human, **others):
    """Rows of a document each, by one system."""
    return Rows.of(human, list(range(len(human))), [0] * len(human), **others)


def test_coefficients_by_definition():
    """Pearson from sums, Spearman as Pearson of ranks, Kendall by counting pairs."""
    generator = np.random.default_rng(1)
    scores, human = generator.normal(size=40), generator.integers(0, 4, 40).astype(float)
    found = agreement(scores, one_each(human), ranked_systems=False, resamples=50)
    centred = scores - scores.mean(), human - human.mean()
    pearson = centred[0] @ centred[1] / math.sqrt((centred[0] @ centred[0]) * (centred[1] @ centred[1]))
    assert found["pearson"][0] == pytest.approx(pearson, abs=1e-12)
    ranks = [
        [np.mean([sum(other < one for other in own) + 1, sum(other <= one for other in own)]) for one in own]
        for own in (scores, human)
    ]
    assert found["spearman"][0] == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-12)
    pairs = list(itertools.combinations(range(40), 2))
    signs = [(np.sign(scores[a] - scores[b]), np.sign(human[a] - human[b])) for a, b in pairs]
    different = sum(second != 0 for _, second in signs)
    assert found["kendall"][0] == pytest.approx(
        sum(a * b for a, b in signs) / math.sqrt(len(pairs) * different), abs=1e-12
    )
    assert found["auc"] is None and found["system_level"] is None and found["partial_pearson"] is None


def test_the_interval_is_fishers_on_normal_data():
    """With r = 0.6 of 400 rows the closed form is tanh(atanh r +- 1.96 / sqrt(n - 3)); the bootstrap agrees to 0.02."""
    generator = np.random.default_rng(2)
    human = generator.normal(size=400)
    scores = 0.6 * human + 0.8 * generator.normal(size=400)
    value, low, high = agreement(scores, one_each(human), ranked_systems=False)["pearson"]
    expected = np.tanh(np.arctanh(value) + np.array([-1.96, 1.96]) / math.sqrt(397))
    assert [low, high] == pytest.approx(expected, abs=0.02)


def test_the_interval_knows_that_rows_of_a_document_go_together():
    """The same 30 rows four times over are 30 rows' worth of knowledge: the interval is that of 30 rows."""
    generator = np.random.default_rng(3)
    human = generator.normal(size=30)
    scores = human + generator.normal(size=30)
    alone = agreement(scores, one_each(human), ranked_systems=False)["pearson"]
    repeated = Rows.of(np.tile(human, 4), list(range(30)) * 4, [0] * 120)
    assert agreement(np.tile(scores, 4), repeated, ranked_systems=False)["pearson"] == pytest.approx(alone, abs=1e-12)


def test_levels_by_hand():
    """Two documents, three systems. Within the first document the order is that of people (1), within the second the reverse (-1);
    a third document is judged all alike, and left out. Systems' means: scores (2, 2, 2.5), people (2, 2, 2) and so on."""
    scores = np.array([1.0, 2, 3, 3, 2, 1, 5, 5, 6])
    rows = Rows.of([1, 2, 3, 1, 2, 3, 2, 2, 2], [0, 0, 0, 1, 1, 1, 2, 2, 2], ["a", "b", "c"] * 3)
    within = summary_level(scores, rows)
    assert within["documents"] == 2
    assert [within[name][0] for name in ("pearson", "spearman", "kendall")] == pytest.approx([0, 0, 0])
    between = system_level(scores, rows, 20)
    means = [(1 + 3 + 5) / 3, (2 + 2 + 5) / 3, (3 + 1 + 6) / 3], [4 / 3, 6 / 3, 8 / 3]
    assert between["systems"] == 3
    assert between["pearson"][0] == pytest.approx(np.corrcoef(*means)[0, 1])
    assert between["kendall"][0] == pytest.approx(2 / math.sqrt(2 * 3))  # systems a and b are tied


def test_partial_correlation_is_that_of_the_residuals_of_a_regression():
    generator = np.random.default_rng(4)
    systems = generator.integers(0, 5, 200)
    human = generator.normal(size=200) + systems
    scores = 0.3 * human + 2 * systems + generator.normal(size=200)
    dummies = np.eye(5)[systems]
    residuals = [own - dummies @ np.linalg.lstsq(dummies, own, rcond=None)[0] for own in (scores, human)]
    assert partial_pearson(scores, human, systems) == pytest.approx(np.corrcoef(*residuals)[0, 1], abs=1e-12)
    assert math.isnan(partial_pearson(systems.astype(float), human, systems))


def test_area_is_the_share_of_pairs_in_order():
    generator = np.random.default_rng(5)
    scores, labels = generator.integers(0, 6, 30).astype(float), generator.random(30) < 0.5
    found = agreement(scores, one_each(labels.astype(float), labels=labels), ranked_systems=False, resamples=20)
    pairs = [(one > other) + (one == other) / 2 for one in scores[labels] for other in scores[~labels]]
    assert found["auc"][0] == pytest.approx(np.mean(pairs))


def test_the_threshold_is_the_best_one_and_comes_from_other_documents():
    scores, labels = np.array([1.0, 2, 3, 4, 5]), np.array([False, False, True, False, True])
    every = [(balanced_accuracy(scores > threshold, labels), threshold) for threshold in (-1, 1.5, 2.5, 3.5, 4.5)]
    assert best_threshold(scores, labels) == max(every, key=lambda pair: pair[0])[1] == 2.5
    # Two documents: each is judged by the other's threshold, which is wrong for it.
    called = cross_fitted(np.array([1.0, 2, 11, 12]), np.array([False, True, False, True]), np.array([0, 0, 1, 1]))
    assert called.tolist() == [False, False, True, True]
    # Noise cannot be told from truth by looking at it: about a half, though its own best threshold looks better.
    generator = np.random.default_rng(6)
    noise, random = generator.normal(size=400), generator.random(400) < 0.5
    own = balanced_accuracy(noise > best_threshold(noise, random), random)
    fitted = balanced_accuracy(cross_fitted(noise, random, np.arange(400)), random)
    assert own > 0.53 and fitted < own and fitted == pytest.approx(0.5, abs=0.06)


def test_pairs_by_hand():
    """Rows 1, 2 and 3 must score below row 0: one does, one is equal, one scores higher."""
    rows = Rows.of([1, 0, 0, 0], [0] * 4, [0] * 4, labels=[True, False, False, False], worse_than=[-1, 0, 0, 0])
    found = agreement([3, 1, 3, 4], rows, ranked_systems=False, resamples=10)
    assert found["pairwise_accuracy"] == (0.5, 0.5, 0.5)
    assert (
        agreement([4, 1], rows.take(np.array([0, 3])), ranked_systems=False, resamples=10)["pairwise_accuracy"][0] == 1
    )
    assert agreement([1], rows.take(np.array([3])), ranked_systems=False, resamples=10)["pairwise_accuracy"] is None


def williams(first, second, human):
    """The p-value of Williams' test that two correlations with the same variable differ (Steiger 1980)."""
    one, other, between = (stats.pearsonr(*own).statistic for own in ((first, human), (second, human), (first, second)))
    n, determinant = len(human), 1 - one**2 - other**2 - between**2 + 2 * one * other * between
    mean = (one + other) / 2
    t = (one - other) * math.sqrt(
        (n - 1) * (1 + between) / (2 * determinant * (n - 1) / (n - 3) + mean**2 * (1 - between) ** 3)
    )
    return 2 * stats.t.sf(abs(t), n - 3)


@pytest.mark.parametrize(("seed", "noise"), [(7, 1.0), (8, 1.05), (9, 1.1), (10, 1.3)])
def test_significance_is_that_of_williams_test_on_normal_data(seed, noise):
    generator = np.random.default_rng(seed)
    human = generator.normal(size=1000)
    first, second = human + generator.normal(size=1000), human + noise * generator.normal(size=1000)
    found = compare(first, second, one_each(human))
    expected = stats.pearsonr(first, human).statistic - stats.pearsonr(second, human).statistic
    assert found.pearson == pytest.approx(expected, abs=1e-12) and found.n == 1000
    assert found.pearson_p == pytest.approx(williams(first, second, human), abs=0.05)
    assert compare(first, first, one_each(human)).pearson_p == 1


def test_what_is_undefined_is_none_and_never_nan():
    rows = Rows.of([1, 1, 1], [0, 1, 2], ["a", "a", "b"], labels=[True] * 3)
    found = agreement([1, 2, 3], rows, ranked_systems=True, resamples=10)
    assert all(found[name] is None for name in ("pearson", "spearman", "kendall", "auc", "balanced_accuracy"))
    assert found["summary_level"] is None and found["system_level"]["pearson"] is None
    assert compare([1, 2, 3], [3, 2, 2], rows) is None
    assert agreement([], Rows.of([], [], []), ranked_systems=True, resamples=3)["pearson"] is None
