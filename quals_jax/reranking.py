"""Best of n: of several candidate summaries of a document, the one that the document supports best, by QUALS or another metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quals_jax.inputs import check_lists_of_texts, check_texts
from quals_jax.metrics import Metric
from quals_jax.quals import Quals


@dataclass(frozen=True)
class Choice:
    """The chosen candidate: its place among the document's, its text, and the scores of all of them (None: no score)."""

    index: int
    summary: str
    scores: tuple[float | None, ...]

    @property
    def score(self) -> float | None:
        """Of the chosen one."""
        return self.scores[self.index]

    @property
    def quals(self) -> float | None:
        """The score, where QUALS chose."""
        return self.score


def highest(scores: Sequence[float | None], *, lowest: bool = False) -> int:
    """The place of the highest score (or of the lowest), the first on ties; a candidate without score only where none has one.

    Raises:
        ValueError: if there are no scores.
    """
    if not scores:
        raise ValueError("there are no candidates to choose from")
    sign = -1 if lowest else 1
    return max(range(len(scores)), key=lambda place: -math.inf if scores[place] is None else sign * scores[place])


def score_candidates(
    metric: Quals | Metric, documents: Sequence[str], candidates: Sequence[Sequence[str]]
) -> list[tuple[float | None, ...]]:
    """The score of every candidate of every document; each document is read once for all of them.

    Raises:
        ValueError: if the lists differ in length, or a document is empty.
        TypeError: for what is no list of texts, or of lists of texts, naming list, row and type.
    """
    documents, candidates = (
        check_texts("documents", documents, empty=False),
        check_lists_of_texts("candidates", candidates),
    )
    if len(documents) != len(candidates):
        raise ValueError(f"there are {len(documents)} documents, and candidates of {len(candidates)}")
    repeated = [document for document, own in zip(documents, candidates, strict=True) for _ in own]
    results = iter(metric.score(repeated, [text for own in candidates for text in own]))
    return [tuple(_number(next(results)) for _ in own) for own in candidates]


def rerank(quals: Quals | Metric, documents: Sequence[str], candidates: Sequence[Sequence[str]]) -> list[Choice]:
    """The best of every document's candidates, by a `Quals` or any metric of `quals_jax.metrics`, held against the document.

    Raises:
        ValueError: if the lists differ in length, a document is empty, or has no candidates.
        TypeError: for what is no list of texts, or of lists of texts, naming list, row and type.
    """
    documents, candidates = (
        check_texts("documents", documents, empty=False),
        check_lists_of_texts("candidates", candidates),
    )
    without = next((row for row, own in enumerate(candidates) if not own), None)
    if without is not None:
        raise ValueError(f"candidates[{without}] is empty; there is nothing to choose from")
    chosen, lowest = [], not getattr(quals, "higher_is_better", True)
    for own, scores in zip(candidates, score_candidates(quals, documents, candidates), strict=True):
        index = highest(scores, lowest=lowest)
        chosen.append(Choice(index, own[index], scores))
    return chosen


def _number(result) -> float | None:
    """The score in what `score` gives for a summary: a `QualsResult` of a `Quals`, the number itself of a metric."""
    return result.quals if hasattr(result, "quals") else result
