"""Which words of a summary its badly scored pairs speak of."""

from __future__ import annotations

import re
from collections.abc import Iterable


def locate(answer: str, summary: str) -> tuple[int, int] | None:
    """Start and end of the answer's first occurrence in the summary, whatever the case; None for an empty answer.

    Whole words and numbers go first: the answer "man" is not the end of "German", nor "4" a part of "14" or "4.5".
    """
    answer = re.escape(answer.strip())
    if not answer:
        return None
    whole = rf"(?<!\w)(?<!\d[.,]){answer}(?!\w)(?![.,]\d)"
    match = re.search(whole, summary, re.IGNORECASE) or re.search(answer, summary, re.IGNORECASE)
    return match.span() if match else None


def spans(summary: str, pairs: Iterable) -> list[dict]:
    """Every place that answers point to, with the mean score of its pairs and their questions; worst first.

    A score far below 0 says: the document does not support these words.
    """
    found: dict[tuple[int, int], list] = {}
    for pair in pairs:
        if place := locate(pair.answer, summary):
            found.setdefault(place, []).append(pair)
    gathered = [
        {
            "start": start,
            "end": end,
            "score": sum(pair.score for pair in own) / len(own),
            "questions": [pair.question for pair in sorted(own, key=lambda pair: pair.score)],
        }
        for (start, end), own in found.items()
    ]
    return sorted(gathered, key=lambda span: (span["score"], span["start"]))
