"""A number that says nothing: what agreement with people looks like where there is none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from quals_jax import __version__
from quals_jax.metrics import MetricSettings, Reference, check_lists


class Chance:
    """At least 0 and below 1, evenly spread; of the same document and summary always the same."""

    higher_is_better = True
    uses_references = False
    signature = f"random:sha256 | version:{__version__}"

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        check_lists(documents, summaries)
        return [_drawn(document, summary) for document, summary in zip(documents, summaries, strict=True)]


def _drawn(document: str, summary: str) -> float:
    digest = hashlib.sha256("\0".join((document, summary)).encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def load(argument: str | None, settings: MetricSettings) -> Chance:
    return Chance()
