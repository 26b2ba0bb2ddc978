"""Best of n: of several candidate summaries of a document, the one that the document supports best, by QUALS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quals_jax.inputs import check_lists_of_texts, check_texts
from quals_jax.quals import Quals


@dataclass(frozen=True)
class Choice:
    """The chosen candidate: its place among the document's, its text, and the QUALS of all of them (None: no score)."""

    index: int
    summary: str
    scores: tuple[float | None, ...]

    @property
    def quals(self) -> float | None:
        """Of the chosen one."""
        return self.scores[self.index]


def highest(scores: Sequence[float | None]) -> int:
    """The place of the highest score, the first on ties; a candidate without score only where none has one.

    Raises:
        ValueError: if there are no scores.
    """
    if not scores:
        raise ValueError("there are no candidates to choose from")
    return max(range(len(scores)), key=lambda place: -math.inf if scores[place] is None else scores[place])


def score_candidates(
    quals: Quals, documents: Sequence[str], candidates: Sequence[Sequence[str]]
) -> list[tuple[float | None, ...]]:
    """QUALS of every candidate of every document; each document is read once for all of them.

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
    results = iter(quals.score(repeated, [text for own in candidates for text in own]))
    return [tuple(next(results).quals for _ in own) for own in candidates]


def rerank(quals: Quals, documents: Sequence[str], candidates: Sequence[Sequence[str]]) -> list[Choice]:
    """The best of every document's candidates.

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
    chosen = []
    for own, scores in zip(candidates, score_candidates(quals, documents, candidates), strict=True):
        index = highest(scores)
        chosen.append(Choice(index, own[index], scores))
    return chosen
