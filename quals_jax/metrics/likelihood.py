"""The plain likelihood of a summary: the mean log-probability of its tokens under a summarizer that reads the document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quals_jax import __version__
from quals_jax.metrics import MetricSettings, Reference, check_lists
from quals_jax.pairs import QAPair
from quals_jax.qagen import QAGen

EMBEDDED = Path(__file__).parents[1] / "assets" / "gazette_mle"


class Likelihood:
    """Natural logarithm, per token, the end of sentence included. Scoring a text given another is the same whoever wrote it, so
    the summarizer is loaded as a QAGen is."""

    higher_is_better = True
    uses_references = False

    def __init__(self, scorer: QAGen):
        self.scorer = scorer

    @property
    def signature(self) -> str:
        scorer = self.scorer
        return f"model:{scorer.name}@{scorer.fingerprint[:8]} | dtype:{scorer.dtype.__name__} | version:{__version__}"

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        check_lists(documents, summaries)
        pieces, end = self.scorer.tokenizer.encode_pieces(summaries), self.scorer.config.eos_token_id
        targets = [[QAPair(text, None, [*ids, end])] for text, ids in zip(summaries, pieces, strict=True)]
        return [float(logprobs[0].mean()) for logprobs in self.scorer.score(documents, targets)]


def load(model: str | None, settings: MetricSettings) -> Likelihood:
    """`likelihood=SUMMARIZER`; without one, the embedded summarizer, which knows only Gazette."""
    return Likelihood(
        QAGen.from_pretrained(
            model or EMBEDDED, settings.tokenizer, dtype=settings.dtype, batch_size=settings.batch_size
        )
    )
