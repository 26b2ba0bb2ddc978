"""How much of a summary is copied: the share of its words, or of its pairs or triples of neighbouring words, that the document has.

No measure of truth, and that is its use: on summaries that copy, it agrees with people about as well as learnt metrics do, so
agreement there proves little.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from quals_jax import __version__
from quals_jax.metrics import MetricSettings, Reference, check_lists

WORD = re.compile(r"[a-z0-9]+")


class Overlap:
    """Between 0 and 1, each occurrence in the summary counted; None for a summary of fewer words than `length`."""

    higher_is_better = True
    uses_references = False

    def __init__(self, length: int):
        self.length = length

    @property
    def signature(self) -> str:
        return f"words:{self.length} | version:{__version__}"

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        check_lists(documents, summaries)
        return [self._one(document, summary) for document, summary in zip(documents, summaries, strict=True)]

    def _one(self, document: str, summary: str) -> float | None:
        known, found = set(self._runs(document)), self._runs(summary)
        return sum(run in known for run in found) / len(found) if found else None

    def _runs(self, text: str) -> list[tuple[str, ...]]:
        words = WORD.findall(text.lower())
        return list(zip(*(words[start:] for start in range(self.length)), strict=False))


def load_1(argument: str | None, settings: MetricSettings) -> Overlap:
    return Overlap(1)


def load_2(argument: str | None, settings: MetricSettings) -> Overlap:
    return Overlap(2)


def load_3(argument: str | None, settings: MetricSettings) -> Overlap:
    return Overlap(3)
