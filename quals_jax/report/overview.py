"""What the head of the report tells of all rows: the threshold of the marks, a histogram of scores, and the groups."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from quals_jax.statistics import interval_of_mean

REFERENCES_BELOW = 0.01  # marked is what scores lower than all but this share of the reference summaries
DEVIATIONS = 3.0  # without reference summaries: this many standard deviations below the median of the run's own pairs
NORMAL = 1.4826  # the standard deviation of a normal distribution over its median absolute deviation
COLUMNS = 32
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
MOST_GROUPS = 20
MOST_SHOWN = 50  # of the groups of a field that was asked for, the worst
NONE = "(none)"  # the group of rows without the field, as in the table of score.py
OURS = {
    *("id", "summary_index", "quals", "num_pairs", "truncated", "summary_truncated", "coverage", "pairs", "spans"),
    *("percentile", "unasked", "document", "summary"),
}


def threshold(reference_scores: Sequence[float] | None, pair_scores: Sequence[float]) -> tuple[float, str]:
    """The score below which words are marked, in nats per token, and in words where it comes from.

    With the QUALS of reference summaries, what 99% of them reach; without, what is an outlier among the pairs of this run:
    three standard deviations below their median, the deviation taken from the median absolute deviation.
    """
    if reference_scores is not None and len(reference_scores):
        return float(
            np.quantile(np.asarray(reference_scores), REFERENCES_BELOW)
        ), "99% of reference summaries reach more"
    if not len(pair_scores):
        return -1.0, "there are no pairs to compare with"
    values = np.asarray(pair_scores)
    middle = float(np.median(values))
    deviation = NORMAL * float(np.median(np.abs(values - middle)))
    why = "far below the other questions of this run; the model came without scores of reference summaries"
    return min(middle - DEVIATIONS * max(deviation, 0.01), 0.0), why


def histogram(scores: Sequence[float], reference_scores: Sequence[float] | None, marked: float) -> dict | None:
    """Columns from low to high: `low`, `high`, `count`, and `share` and `reference` in percent of the highest column.

    The first column also has all that is lower than its end. None without scores.
    """
    if not len(scores):
        return None
    values = np.asarray(scores, float)
    references = np.asarray(reference_scores if reference_scores is not None else [], float)
    low = float(np.quantile(values, 0.01 if values.size >= 100 else 0.0))
    high = max(0.0, float(values.max()))
    if references.size:
        low = min(low, float(np.quantile(references, 0.01)))
    step = next((step for step in STEPS if (high - low) / step <= COLUMNS), max(STEPS))
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    edges = np.arange(first, last + 1) * step
    counts = _counts(values, edges)
    shares = counts / values.size
    own = _counts(references, edges) / max(references.size, 1)
    top = max(float(shares.max()), float(own.max())) or 1.0
    columns = [
        {
            "low": float(left),
            "high": float(right),
            "count": int(count),
            "share": round(100 * float(share) / top, 1),
            "reference": round(100 * float(reference) / top, 1),
            "bad": bool(right <= marked + 1e-9),
        }
        for left, right, count, share, reference in zip(edges, edges[1:], counts, shares, own, strict=False)
    ]
    highest = int(counts.max())
    for column in columns:  # counts of three digits do not stand side by side
        column["labelled"] = column["count"] > 0 and (highest < 100 or column["count"] == highest)
    return {"columns": columns, "low": float(edges[0]), "high": float(edges[-1]), "references": bool(references.size)}


def _counts(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]


class GroupCount:
    """Finds the field by which the rows fall into a few groups, and sums up each group, in one pass."""

    def __init__(self, field: str | None = None):
        self.field = field
        self._scores: dict[str, dict[str, list[float | None]]] = defaultdict(lambda: defaultdict(list))
        self._rows: Counter[str] = Counter()
        self._total = 0

    def add(self, row: Mapping) -> None:
        """Counts one row."""
        self._total += 1
        names = [self.field] if self.field else [name for name in row if name not in OURS]
        for name in names:
            if not self.field and (
                len(self._scores[name]) > MOST_GROUPS or not isinstance(row[name], str | bool | int)
            ):
                continue
            value = row.get(name, NONE)
            self._rows[name] += name in row
            self._scores[name][group_name(value)].append(row["quals"])

    def chosen(self) -> str | None:
        """The field asked for; else the first that all rows have, with 2 to 20 values that repeat."""
        if self.field:
            return self.field if self._rows[self.field] else None
        for name, values in self._scores.items():
            few = 2 <= len(values) <= min(MOST_GROUPS, self._total / 2)
            if few and self._rows[name] == self._total:
                return name
        return None

    def groups(self, marked: float) -> list[dict]:
        """The worst groups, the worst first: `name`, `n` (summaries that have a score), `mean`, `low`, `high` (95% interval of the mean),
        and `bad`, the number below `marked`."""
        groups = []
        for name, own in self._scores.get(self.chosen() or "", {}).items():
            scores = [score for score in own if score is not None]
            low, high = interval_of_mean(scores)
            mean = sum(scores) / len(scores) if scores else None
            bad = sum(score < marked for score in scores)
            groups.append({"name": name, "n": len(scores), "mean": mean, "low": low, "high": high, "bad": bad})
        groups.sort(key=lambda group: (group["mean"] is None, group["mean"] or 0.0, group["name"]))
        return groups[:MOST_SHOWN]

    @property
    def left_out(self) -> int:
        """How many groups `groups` leaves out."""
        return max(0, len(self._scores.get(self.chosen() or "", {})) - MOST_SHOWN)


def place_groups(groups: Iterable[dict]) -> list[dict]:
    """The groups with `left`, `dot` and `right`: where mean and interval stand, in percent of the way from the lowest to 0."""
    groups = list(groups)
    ends = [end for group in groups if group["mean"] is not None for end in (group["low"], group["high"])]
    low, high = min([*ends, -0.01]), max([*ends, 0.0])
    for group in groups:
        if group["mean"] is not None:
            for name, value in (("left", group["low"]), ("dot", group["mean"]), ("right", group["high"])):
                group[name] = round(100 * (value - low) / (high - low), 2)
    return groups


def group_name(value: object) -> str:
    """A value of a field as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
