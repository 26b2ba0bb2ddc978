"""QUALS for those who know the `evaluate` library: an object whose `compute` takes predictions and sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quals_jax.inputs import check_texts
from quals_jax.quals import Quals


class QualsMetric:
    """`QualsMetric(quals)`, or `QualsMetric(model="path")`; without either the embedded model, which knows only Gazette."""

    name = "quals"

    def __init__(self, quals: Quals | None = None, *, model: str | Path | None = None):
        if quals is not None and model is not None:
            raise ValueError("give quals or model, not both")
        if quals is None:
            from quals_jax.qagen import QAGen

            quals = Quals(QAGen.from_pretrained(model))
        self.quals = quals
        self._predictions: list[str] = []
        self._sources: list[str] = []

    def add(self, *, prediction: str, source: str, reference: object = None) -> None:
        """Keeps one summary and its document until `compute`."""
        self.add_batch(predictions=[prediction], sources=[source])

    def add_batch(self, *, predictions: Sequence[str], sources: Sequence[str], references: object = None) -> None:
        """Keeps summaries and their documents until `compute`."""
        predictions, sources = check_texts("predictions", predictions), check_texts("sources", sources, empty=False)
        if len(predictions) != len(sources):
            raise ValueError(f"there are {len(predictions)} predictions and {len(sources)} sources")
        self._predictions += predictions
        self._sources += sources

    def compute(
        self,
        *,
        predictions: Sequence[str] | None = None,
        references: object = None,
        sources: Sequence[str] | None = None,
        progress: bool = False,
    ) -> dict:
        """The mean as `quals`, with `low` and `high` (95% interval), `n`, and `scores`, one a summary (None where no pair was kept).

        predictions: the summaries. sources: their documents, which QUALS compares with. references: ignored, since QUALS needs
        none; they are taken so that a call for many metrics fits.

        Raises:
            ValueError: without sources, if their number is not that of the predictions, or if one is empty.
            TypeError: for what is no list of texts, naming list, row and type.
        """
        if predictions is not None:
            if sources is None:
                raise ValueError("QUALS compares summaries with their documents: give them as sources=")
            self.add_batch(predictions=predictions, sources=sources)
        predictions, sources = self._predictions, self._sources
        self._predictions, self._sources = [], []
        corpus = self.quals.corpus(sources, predictions, progress=progress)
        scores = [result.quals for result in corpus.results]
        ends = {"low": corpus.low, "high": corpus.high, "n": corpus.n}
        return {"quals": corpus.mean, **ends, "scores": scores, "signature": corpus.signature}
