"""How well a metric agrees with people: correlations over all rows, within documents and between systems; accuracy and AUC where
people said yes or no; bootstrap intervals; and whether one metric agrees better than another.

Rows of one document depend on each other, so intervals resample documents with all their rows, and significance exchanges the scores
of whole documents. An `Interval` is (value, low, high) of 95%, or None where the value is undefined: too few rows, or all equal.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from quals_jax.statistics import area_under_roc, interval_of_mean

Interval = tuple[float, float, float] | None
RESAMPLES = 1000
PERMUTATIONS = 5000
SEED = 0
LEVEL = 0.95
FOLDS = 10
COEFFICIENTS = ("pearson", "spearman", "kendall")


@dataclass(frozen=True, eq=False)
class Rows:
    """What people said of summaries, in parallel arrays over the rows.

    human: more is better. documents, systems: which of them a row belongs to, as numbers from 0. labels: consistent or not, or
    None. worse_than: the row that must score higher than this one, -1 for none.
    """

    human: np.ndarray
    documents: np.ndarray
    systems: np.ndarray
    labels: np.ndarray | None = None
    worse_than: np.ndarray | None = None

    @classmethod
    def of(
        cls, human: Sequence[float], documents: Sequence[Hashable], systems: Sequence[Hashable],
        labels: Sequence[bool] | None = None, worse_than: Sequence[int] | None = None,
    ) -> Rows:  # fmt: skip
        return cls(
            np.asarray(human, np.float64),
            _numbered(documents),
            _numbered(systems),
            None if labels is None else np.asarray(labels, bool),
            None if worse_than is None else np.asarray(worse_than, int),
        )

    def take(self, rows: np.ndarray) -> Rows:
        """Some of the rows (their places, each at most once); a pair stays where both of its rows do."""
        pairs = self.worse_than
        if pairs is not None:
            place = np.full(len(self.human), -1)
            place[rows] = np.arange(len(rows))
            pairs = np.where(pairs[rows] >= 0, place[pairs[rows]], -1)
        labels = None if self.labels is None else self.labels[rows]
        return Rows(self.human[rows], _numbered(self.documents[rows]), _numbered(self.systems[rows]), labels, pairs)


def coefficient(name: str, scores: np.ndarray, human: np.ndarray) -> float:
    """Pearson's r, Spearman's rho or Kendall's tau-b; nan where it is undefined."""
    from scipy import stats

    if len(scores) < 2 or np.ptp(scores) == 0 or np.ptp(human) == 0:
        return math.nan
    function = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two rows, or of values that are nearly equal
        return float(function(scores, human).statistic)


def agreement(scores: Sequence[float], rows: Rows, *, ranked_systems: bool, resamples: int = RESAMPLES) -> dict:
    """All figures of one metric; higher scores must be better.

    Returns: pearson, spearman, kendall over all rows; auc, balanced_accuracy, pairwise_accuracy; summary_level (within documents,
    the mean) and system_level (between the systems' means), each with the three coefficients and how many it is over, or None;
    partial_pearson, with the system held fixed.
    """
    scores = np.asarray(scores, np.float64)
    draws = _draws(rows.documents, resamples)
    found: dict = {
        name: _interval(lambda own, name=name: coefficient(name, scores[own], rows.human[own]), draws)
        for name in COEFFICIENTS
    }
    found["partial_pearson"] = None
    found["system_level"] = None
    if ranked_systems and rows.systems.max(initial=0) > 0:
        found["partial_pearson"] = _interval(
            lambda own: partial_pearson(scores[own], rows.human[own], rows.systems[own]), draws
        )
        found["system_level"] = system_level(scores, rows, resamples)
    found["summary_level"] = summary_level(scores, rows)
    found["auc"] = found["balanced_accuracy"] = found["pairwise_accuracy"] = None
    if rows.labels is not None:
        labels = rows.labels
        found["auc"] = _interval(lambda own: _area(scores[own], labels[own]), draws)
        found["balanced_accuracy"] = _balanced_accuracy(scores, rows, draws)
    if rows.worse_than is not None:
        _, found["pairwise_accuracy"] = pairs_in_order(scores, rows, None, resamples)
    return found


def partial_pearson(scores: np.ndarray, human: np.ndarray, systems: np.ndarray) -> float:
    """Pearson's r with the system held fixed: of what each row is above its system's mean (Pagnoni et al. 2021)."""

    def centred(values: np.ndarray) -> np.ndarray:
        means = np.bincount(systems, values) / np.maximum(np.bincount(systems), 1)
        return values - means[systems]

    above = centred(scores), centred(human)
    if any(np.allclose(own, 0) for own in above):
        return math.nan
    return coefficient("pearson", *above)


def summary_level(scores: np.ndarray, rows: Rows) -> dict | None:
    """The mean over documents of the correlation over the summaries of one, over documents in which it is defined."""
    order = np.argsort(rows.documents, kind="stable")
    groups = [own for own in np.split(order, np.cumsum(np.bincount(rows.documents))[:-1]) if len(own) > 1]
    found: dict = {}
    for name in COEFFICIENTS:
        values = [coefficient(name, scores[own], rows.human[own]) for own in groups]
        values = [value for value in values if not math.isnan(value)]
        found["documents"] = len(values)
        found[name] = (float(np.mean(values)), *interval_of_mean(values, LEVEL)) if values else None
    return found if found["documents"] else None


def system_level(scores: np.ndarray, rows: Rows, resamples: int = RESAMPLES) -> dict | None:
    """The correlation between the systems' mean scores and mean judgements; the interval resamples documents."""
    shape = (rows.documents.max() + 1, rows.systems.max() + 1)
    tables = [np.zeros(shape) for _ in range(3)]
    for table, values in zip(tables, (scores, rows.human, np.ones(len(scores))), strict=True):
        np.add.at(table, (rows.documents, rows.systems), values)
    generator = np.random.default_rng(SEED)
    weights = np.vstack(
        [np.ones(shape[0]), generator.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), resamples)]
    )
    sums, judged, counts = (weights @ table for table in tables)
    found: dict = {"systems": int(shape[1])}
    for name in COEFFICIENTS:
        values = []
        for own, people, count in zip(sums, judged, counts, strict=True):
            there = count > 0
            values.append(coefficient(name, own[there] / count[there], people[there] / count[there]))
        found[name] = _percentiles(values[0], values[1:])
    return found


def cross_fitted(
    scores: np.ndarray, labels: np.ndarray, documents: np.ndarray, folds: int = FOLDS
) -> np.ndarray | None:
    """Whether each row is called consistent, by the threshold that serves the other documents best; None where a fold's others
    are all of one label."""
    folds = min(folds, int(documents.max()) + 1)
    called = np.zeros(len(scores), bool)
    for fold in range(folds):
        own = documents % folds == fold
        if folds < 2 or len(set(labels[~own])) < 2:
            return None
        called[own] = scores[own] > best_threshold(scores[~own], labels[~own])
    return called


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The score above which rows are best called consistent, by balanced accuracy: halfway between two of the scores, of equally
    good ones the lowest."""
    values = np.unique(scores)
    between = np.concatenate([[-np.inf], (values[:-1] + values[1:]) / 2])
    true, false = np.sort(scores[labels]), np.sort(scores[~labels])
    above = 1 - np.searchsorted(true, between, "right") / len(true)
    below = np.searchsorted(false, between, "right") / len(false)
    return float(between[np.argmax(above + below)])


def balanced_accuracy(called: np.ndarray, labels: np.ndarray) -> float:
    """The mean of the shares of consistent rows called so, and of the others called not; nan without either."""
    if labels.all() or not labels.any():
        return math.nan
    return float((called[labels].mean() + (~called[~labels]).mean()) / 2)


@dataclass(frozen=True)
class Difference:
    """How much better one metric agrees with people than another, on the rows that both score: differences of Pearson's r and of
    Spearman's rho, and how likely so large ones are by chance (two-sided)."""

    n: int
    pearson: float
    pearson_p: float
    spearman: float
    spearman_p: float


def compare(
    first: Sequence[float], second: Sequence[float], rows: Rows, permutations: int = PERMUTATIONS
) -> Difference | None:
    """A permutation test: standardised scores (ranks for Spearman's) of the two are exchanged in random documents, as Deutsch et
    al. (2021) do over both. None where a correlation is undefined."""
    from scipy.stats import rankdata, zscore

    given = [np.asarray(values, np.float64) for values in (first, second)]
    if len(rows.human) < 3 or any(np.ptp(values) == 0 for values in (*given, rows.human)):
        return None
    plain = [zscore(values) for values in (*given, rows.human)]
    ranked = [zscore(rankdata(values)) for values in (*given, rows.human)]
    results = [_exchanged(*own, rows.documents, permutations) for own in (plain, ranked)]
    return Difference(len(rows.human), *results[0], *results[1])


def _exchanged(
    first: np.ndarray, second: np.ndarray, human: np.ndarray, documents: np.ndarray, permutations: int
) -> tuple[float, float]:
    """The difference of the two correlations of standardised values, and its p. Whole documents are exchanged, so their sums are enough."""

    def sums(values: np.ndarray) -> np.ndarray:
        """[document, 3]: of the values, their squares, and their products with `human`."""
        return np.stack([np.bincount(documents, own) for own in (values, values**2, values * human)], axis=1)

    def pearson(totals: np.ndarray) -> np.ndarray:
        total, squares, products = np.moveaxis(totals, -1, 0)
        return products / np.sqrt(np.maximum(len(human) * squares - total**2, 1e-300))  # human: mean 0, deviation 1

    own, other = sums(first), sums(second)
    observed = float(pearson(own.sum(axis=0)) - pearson(other.sum(axis=0)))
    exchanged = np.random.default_rng(SEED).integers(0, 2, (permutations, len(own))).astype(np.float64)
    moved = exchanged @ (other - own)
    found = pearson(own.sum(axis=0) + moved) - pearson(other.sum(axis=0) - moved)
    as_far = int(np.sum(np.abs(found) >= abs(observed) - 1e-12))
    return observed, (as_far + 1) / (permutations + 1)


def _area(scores: np.ndarray, labels: np.ndarray) -> float:
    if labels.all() or not labels.any():
        return math.nan
    return area_under_roc(scores[labels], scores[~labels])


def _balanced_accuracy(scores: np.ndarray, rows: Rows, draws: list[np.ndarray]) -> Interval:
    called = cross_fitted(scores, rows.labels, rows.documents)
    if called is None:
        return None
    return _interval(lambda own: balanced_accuracy(called[own], rows.labels[own]), draws)


def pairs_in_order(
    scores: np.ndarray, rows: Rows, system: int | None = None, resamples: int = RESAMPLES
) -> tuple[int, Interval]:
    """How many pairs there are (whose worse summary is this system's), and how often the better one scores higher; equal scores
    count a half. The interval resamples documents."""
    worse = rows.worse_than >= 0 if system is None else (rows.worse_than >= 0) & (rows.systems == system)
    worse = np.flatnonzero(worse)
    if not len(worse):
        return 0, None
    ahead = scores[rows.worse_than[worse]] - scores[worse]
    right = (ahead > 0) + 0.5 * (ahead == 0)
    draws = _draws(_numbered(rows.documents[worse]), resamples)
    return len(worse), _interval(lambda own: float(right[own].mean()), draws)


def _draws(documents: np.ndarray, resamples: int) -> list[np.ndarray]:
    """All rows; and for every resample the rows of as many documents, drawn with replacement."""
    order = np.argsort(documents, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(documents))[:-1])
    generator = np.random.default_rng(SEED)
    drawn = generator.integers(0, len(groups), (resamples, len(groups)))
    return [np.arange(len(documents)), *(np.concatenate([groups[place] for place in places]) for places in drawn)]


def _interval(statistic: Callable[[np.ndarray], float], draws: list[np.ndarray]) -> Interval:
    value = statistic(draws[0])
    return None if math.isnan(value) else _percentiles(value, [statistic(own) for own in draws[1:]])


def _percentiles(value: float, resampled: Sequence[float]) -> Interval:
    known = [own for own in resampled if not math.isnan(own)]
    if math.isnan(value):
        return None
    if not known:
        return value, value, value
    low, high = np.percentile(known, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(value), float(low), float(high)


def _numbered(keys: Sequence[Hashable]) -> np.ndarray:
    """The keys as numbers from 0, in order of appearance."""
    numbers: dict = {}
    return np.asarray([numbers.setdefault(key, len(numbers)) for key in keys], int)
