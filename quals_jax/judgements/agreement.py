"""From judged summaries and their scores to the figures: one entry a metric, and every two metrics against each other."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from quals_jax.judgements import Judgements
from quals_jax.judgements.columns import Column
from quals_jax.metrics import note_of
from quals_jax.metrics.correlation import PERMUTATIONS, RESAMPLES, Rows, agreement, compare, pairs_in_order

Scores = Mapping[str, Sequence[float | None]]


def figures(data: Judgements, columns: Sequence[Column], scores: Scores, *, resamples: int = RESAMPLES) -> dict:
    """What a study says of metrics, ready for JSON: "metrics", per name the figures of `correlation.agreement` (each [value, low,
    high] or None), `n` rows they are over and what was left out and why, what summaries were compared with, and the signature;
    "differences", per two metrics those of `correlation.compare` on the rows that both score; "systems", per system the means."""
    rows = as_rows(data)
    signed = {column.name: _signed(column, scores[column.name]) for column in columns}
    found: dict = {}
    for column in columns:
        own = signed[column.name]
        there = np.flatnonzero(~np.isnan(own))
        reasons = Counter(column.missing(data.rows[place]) or "no score" for place in np.flatnonzero(np.isnan(own)))
        found[column.name] = {
            "n": len(there),
            "rows": len(own),
            "left_out": dict(reasons),
            "compared": column.compared,
            "higher_is_better": column.higher_is_better,
            "signature": column.signature,
            "note": note_of(column.metric) if column.metric else "",
            **_listed(agreement(own[there], rows.take(there), ranked_systems=data.ranked_systems, resamples=resamples)),
            "pairs_by_system": _listed(pairs_by_system(data, own, rows, resamples)),
        }
    return {"metrics": found, "differences": differences(signed, rows), "systems": by_system(data, scores)}


def pairs_by_system(data: Judgements, scores: np.ndarray, rows: Rows, resamples: int = RESAMPLES) -> dict | None:
    """System (of FIB: the set) -> how many pairs of its summaries with a better one there are, and which share is in order; None of
    data without pairs."""
    if rows.worse_than is None:
        return None
    there = np.flatnonzero(~np.isnan(scores))
    own, taken = rows.take(there), scores[there]
    names = list(dict.fromkeys(data.rows[place].system for place in there))  # numbered in this order
    found = {name: pairs_in_order(taken, own, number, resamples) for number, name in enumerate(names)}
    return {name: {"pairs": pairs, "in_order": share} for name, (pairs, share) in found.items() if pairs}


def by_system(data: Judgements, scores: Scores) -> dict[str, dict]:
    """System -> how many rows it has, people's mean, and every metric's mean as it is, over the rows that it scores."""
    found: dict[str, dict] = {}
    human = data.human
    for name in dict.fromkeys(row.system for row in data.rows):
        places = [place for place, row in enumerate(data.rows) if row.system == name]
        found[name] = {"n": len(places), "human": float(np.mean([human[place] for place in places]))}
        means = {}
        for metric, own in scores.items():
            known = [own[place] for place in places if own[place] is not None]
            means[metric] = float(np.mean(known)) if known else None
        found[name]["metrics"] = means
    return found


def as_rows(data: Judgements) -> Rows:
    """The judgements as arrays."""
    place = {row.id: number for number, row in enumerate(data.rows)}
    pairs = [place.get(row.worse_than, -1) for row in data.rows]
    return Rows.of(
        data.human,
        [row.document_id for row in data.rows],
        [row.system for row in data.rows],
        data.labels,
        pairs if max(pairs, default=-1) >= 0 else None,
    )


def differences(signed: Mapping[str, np.ndarray], rows: Rows, permutations: int = PERMUTATIONS) -> list[dict]:
    """For every two metrics, on the rows that both score, how much more the first agrees with people, and its p."""
    found = []
    for first, second in itertools.combinations(signed, 2):
        both = np.flatnonzero(~np.isnan(signed[first]) & ~np.isnan(signed[second]))
        if (own := compare(signed[first][both], signed[second][both], rows.take(both), permutations)) is not None:
            found.append({"first": first, "second": second, **vars(own)})
    return found


def _signed(column: Column, scores: Sequence[float | None]) -> np.ndarray:
    """Scores of which higher is better; nan for none."""
    own = np.array([np.nan if score is None else score for score in scores], np.float64)
    return own if column.higher_is_better else -own


def _listed(found):
    """Intervals as lists."""
    if isinstance(found, dict):
        return {name: _listed(own) for name, own in found.items()}
    return list(found) if isinstance(found, tuple) else found
