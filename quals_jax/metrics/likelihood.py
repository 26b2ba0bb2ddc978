"""The plain likelihood of a summary: the mean log-probability of its tokens under a summarizer that reads the document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quals_jax import __version__
from quals_jax.metrics import ONLY_GAZETTE, MetricSettings, Reference, check_lists
from quals_jax.summarizer import Summarizer

EMBEDDED = Path(__file__).parents[1] / "assets" / "gazette_mle"


class Likelihood:
    """Natural logarithm, per token, the end of sentence included."""

    higher_is_better = True
    uses_references = False

    def __init__(self, summarizer: Summarizer, note: str = ""):
        self.summarizer, self.note = summarizer, note

    @property
    def signature(self) -> str:
        own = self.summarizer
        model = f"{own.name}@{own.fingerprint[:8]}" if own.fingerprint else own.name
        prefix = f" | prefix:{own.tokenizer.prefix!r}" if own.tokenizer.prefix else ""
        precision, platform = own.runner.precision.name, own.runner.platform
        return f"model:{model}{prefix} | dtype:{precision} | backend:{platform} | version:{__version__}"

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        check_lists(documents, summaries)
        return [float(np.mean(own, dtype=np.float64)) for own in self.summarizer.logprobs(documents, summaries)]


def load(model: str | None, settings: MetricSettings) -> Likelihood:
    """`likelihood=SUMMARIZER`; without one, the embedded summarizer, which knows only Gazette."""
    summarizer = Summarizer.from_pretrained(
        model or EMBEDDED, settings.tokenizer, dtype=settings.dtype, batch_size=settings.batch_size
    )
    return Likelihood(summarizer, "" if model else ONLY_GAZETTE.format("likelihood"))
