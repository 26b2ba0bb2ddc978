"""QUALS as one of the metrics. `quals=MODEL` takes another QAGen than the embedded one."""

from __future__ import annotations

from collections.abc import Sequence

from quals_jax.metrics import ONLY_GAZETTE, MetricSettings, Reference, check_lists
from quals_jax.quals import Quals


class QualsMetric:
    """The scores of a `Quals`, which it holds as `quals`. Never above 0 by much; None where no pair was kept."""

    higher_is_better = True
    uses_references = False

    def __init__(self, quals: Quals, note: str = ""):
        self.quals, self.note = quals, note

    @property
    def signature(self) -> str:
        return self.quals.signature

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        check_lists(documents, summaries)
        return [result.quals for result in self.quals.score(documents, summaries)]


def load(model: str | None, settings: MetricSettings) -> QualsMetric:
    """QUALS against the model's likelihood of the pairs given the summary, as the article has it."""
    return _load(model, settings, "likelihood", "quals")


def load_beam(model: str | None, settings: MetricSettings) -> QualsMetric:
    """QUALS against what diverse beam search accumulated, as the released code has it."""
    return _load(model, settings, "beam", "quals-beam")


def _load(model: str | None, settings: MetricSettings, summary_score: str, name: str) -> QualsMetric:
    from quals_jax.qagen import QAGen

    qagen = QAGen.from_pretrained(model, settings.tokenizer, dtype=settings.dtype, batch_size=settings.batch_size)
    quals = Quals(qagen, summary_score=summary_score, long_documents=settings.long_documents)
    return QualsMetric(quals, "" if model else ONLY_GAZETTE.format(name))
