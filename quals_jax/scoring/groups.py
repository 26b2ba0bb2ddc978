"""Means by the values of a field: of one system against another, of one kind of error against another."""

from __future__ import annotations

import json
from array import array

from quals_jax.errors import UserError
from quals_jax.statistics import interval_of_mean

NONE = "(none)"  # the group of rows without the field


class Groups:
    """The scores of output rows by the value of `field`, in the order in which values come."""

    def __init__(self, field: str):
        self.field, self.found = field, False
        self._scores: dict[str, array] = {}

    def add(self, row: dict) -> None:
        """Counts one output row."""
        self.found |= self.field in row
        value = row.get(self.field, NONE)
        name = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        scores = self._scores.setdefault(name, array("d"))
        if row["quals"] is not None:
            scores.append(row["quals"])

    def to_dict(self) -> dict[str, dict]:
        """Per group `mean`, `low`, `high` (null without scores) and `n`, the summaries that have a score.

        Raises:
            UserError: if no row had the field.
        """
        if self._scores and not self.found:
            raise UserError(f"--group_by {self.field}: no row has this field")
        return {name: mean_of(scores) for name, scores in self._scores.items()}

    def lines(self) -> list[str]:
        """A table with a line a group."""
        groups = self.to_dict()
        if not groups:
            return []
        width = max(12, *(len(_short(name)) for name in groups))
        lines = ["", f"{'by ' + self.field:{width}}  {'mean':>7}  {'95% interval':>17}  {'n':>6}"]
        for name, group in groups.items():
            mean = "none" if group["mean"] is None else f"{group['mean']:.3f}"
            interval = f"{group['low']:.3f} to {group['high']:.3f}" if group["n"] > 1 else ""
            lines.append(f"{_short(name):{width}}  {mean:>7}  {interval:>17}  {group['n']:>6}")
        return lines


def mean_of(scores: array) -> dict:
    """`mean`, `low`, `high` and `n` of these scores; null without any."""
    if not scores:
        return {"mean": None, "low": None, "high": None, "n": 0}
    low, high = interval_of_mean(scores)
    return {"mean": sum(scores) / len(scores), "low": low, "high": high, "n": len(scores)}


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= 40 else name[:39] + "…"
