"""What a list of scores says about a system: means with intervals, and whether two systems differ."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

RESAMPLES = 2000
SEED = 0
MANY = 50_000
DRAWN_AT_ONCE = 2**19  # numbers: memory must not grow with the rows


def interval_of_mean(values: Iterable[float], level: float = 0.95) -> tuple[float, float]:
    """The bootstrap percentile interval of the mean; (mean, mean) for a single value, (nan, nan) for none.

    Of more values than `MANY` the normal interval, which is the same to three digits there.
    """
    values = np.asarray(list(values), np.float64)
    if values.size < 2:
        mean = float(values.mean()) if values.size else float("nan")
        return mean, mean
    if values.size > MANY:
        from scipy.stats import norm

        error = float(values.std(ddof=1) / np.sqrt(values.size) * norm.ppf((1 + level) / 2))
        return float(values.mean()) - error, float(values.mean()) + error
    from scipy.stats import bootstrap

    together = max(1, DRAWN_AT_ONCE // values.size)
    found = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=level, method="percentile", rng=np.random.default_rng(SEED), batch=together
    )  # fmt: skip
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def area_under_roc(positive: Iterable[float], negative: Iterable[float]) -> float:
    """The chance that a positive one scores above a negative one, ties counting a half. Missing scores must be -inf."""
    from scipy.stats import rankdata

    positive, negative = np.asarray(list(positive), np.float64), np.asarray(list(negative), np.float64)
    ranks = rankdata(np.concatenate([positive, negative]))[: positive.size]
    return float((ranks.sum() - positive.size * (positive.size + 1) / 2) / (positive.size * negative.size))


def paired_significance(differences: Iterable[float], permutations: int = 10_000) -> float:
    """The two-sided p-value that paired differences this far from 0 arise by chance: signs are flipped at random."""
    differences = np.asarray(list(differences), np.float64)
    generator = np.random.default_rng(SEED)
    observed, as_far = abs(differences.sum()), 0
    together = min(500, max(1, DRAWN_AT_ONCE // max(differences.size, 1)))
    for start in range(0, permutations, together):
        signs = generator.choice((-1.0, 1.0), size=(min(together, permutations - start), differences.size))
        as_far += int(np.sum(np.abs(signs @ differences) >= observed - 1e-12))
    return (as_far + 1) / (permutations + 1)
