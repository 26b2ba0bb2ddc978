"""QUALS-F1: how far the answers from summary and document agree, as in QAGS, but asked of one model. `quals-f1=MODEL` takes another
QAGen than the embedded one."""

from __future__ import annotations

from collections.abc import Sequence

from quals_jax.metrics import ONLY_GAZETTE, MetricSettings, Reference, check_lists
from quals_jax.metrics.quals import load as load_quals
from quals_jax.quals import Quals


class QualsF1Metric:
    """The `f1` of a `Quals`, which it holds as `quals`: from 0 to 1; None where no pair was kept."""

    higher_is_better = True
    uses_references = False

    def __init__(self, quals: Quals, note: str = ""):
        self.quals, self.note = quals, note

    @property
    def signature(self) -> str:
        return f"answers:token_f1 | {self.quals.signature}"

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        check_lists(documents, summaries)
        return [result.f1 for result in self.quals.score(documents, summaries, document_answers=True)]


def load(model: str | None, settings: MetricSettings) -> QualsF1Metric:
    """QUALS-F1 of the kept pairs of QUALS."""
    return QualsF1Metric(load_quals(model, settings).quals, "" if model else ONLY_GAZETTE.format("quals-f1"))
