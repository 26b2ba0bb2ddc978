"""What is correlated with people: the scores that a metric gives, or those recorded with the data."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quals_jax.judgements import Judged, Judgements
from quals_jax.metrics import REGISTRY, Metric, MetricSettings, compared_with, load

RECORDED = "recorded"
WITHOUT_REFERENCE = "no reference"


@dataclass(frozen=True)
class Column:
    """One metric on one set of judged summaries.

    name: as the user wrote it. compared: what summaries are held against: "document", "reference", or "recorded" where the scores
    came with the data. metric: None where they did, and then `recorded` is their name there.
    """

    name: str
    compared: str
    signature: str
    higher_is_better: bool = True
    metric: Metric | None = None
    recorded: str = ""

    def missing(self, row: Judged) -> str:
        """Why the row cannot be scored; empty where it can."""
        if self.metric is None:
            return "" if self.recorded in row.recorded else "not recorded"
        if row.summary is None:
            return "no summary"
        if self.compared == "reference":
            return "" if row.references else WITHOUT_REFERENCE
        return "" if row.document and row.document.strip() else "no document"

    def scores(self, rows: Sequence[Judged]) -> list[float | None]:
        """Of every row; None where it cannot be scored, or the metric has nothing to say.

        Raises:
            ValueError: what the metric raises.
        """
        if self.metric is None:
            return [row.recorded.get(self.recorded) for row in rows]
        there = [place for place, row in enumerate(rows) if not self.missing(row)]
        found: list[float | None] = [None] * len(rows)
        if there:
            own = [rows[place] for place in there]
            references = [list(row.references) for row in own] if self.compared == "reference" else None
            scores = self.metric.score([row.document or "" for row in own], [row.summary for row in own], references)
            if len(scores) != len(own):
                raise ValueError(f"--metric {self.name}: gave {len(scores)} scores of {len(own)} summaries")
            for place, score in zip(there, scores, strict=True):
                found[place] = float(score) if score is not None and math.isfinite(score) else None
        return found


def columns(names: Sequence[str], data: Judgements, settings: MetricSettings) -> list[Column]:
    """One for every name: of a metric, or (`recorded:NAME`; without the word where it is clear) of scores that came with the data;
    `recorded` alone is all of these.

    Raises:
        ValueError: if a name is given twice, is neither, or the data has not what its metric needs.
    """
    recorded = list(dict.fromkeys(name for row in data.rows for name in row.recorded))
    texts = any(row.summary is not None for row in data.rows)
    found: list[Column] = []
    for name in names:
        if name == RECORDED:
            if not recorded:
                raise ValueError("--metric recorded: the data came without scores of metrics")
            found += [_recorded(own, own) for own in recorded]
        else:
            found.append(_column(name, data, {_plain(own): own for own in recorded}, texts, settings))
    twice = [own.name for place, own in enumerate(found) if own.name in [other.name for other in found[:place]]]
    if twice:
        raise ValueError(f"--metric {twice[0]}: is there twice")
    for own in found:
        reasons = [own.missing(row) for row in data.rows]
        if all(reasons):
            raise ValueError(f"--metric {own.name}: none of the {len(reasons)} rows can be scored: {reasons[0]}")
    return found


def _column(name: str, data: Judgements, recorded: Mapping[str, str], texts: bool, settings: MetricSettings) -> Column:
    prefix, _, rest = name.partition(":")
    known = name.partition("=")[0] in REGISTRY
    if prefix == RECORDED or not (texts and known):
        wanted = _plain(rest if prefix == RECORDED else name)
        if wanted in recorded:
            return _recorded(name, recorded[wanted])
        there = f"recorded are {', '.join(recorded.values())}" if recorded else "none are recorded"
        if prefix == RECORDED:
            raise ValueError(f"--metric {name}: the data has no such scores; {there}")
        if not texts:
            raise ValueError(f"--metric {name}: the data has no texts, only scores of metrics; {there}")
    metric = load(name, settings)
    references = [row.references for row in data.rows if row.references]
    return Column(name, compared_with(metric, references or None), metric.signature, metric.higher_is_better, metric)


def _recorded(name: str, recorded: str) -> Column:
    return Column(name, RECORDED, f"{RECORDED}:{recorded}", recorded=recorded)


def _plain(name: str) -> str:
    """A name without what differs between spellings: `BertScore P Art` and `bertscore-p-art` are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
