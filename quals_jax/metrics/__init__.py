"""Metrics of summaries behind one small protocol, by name: `load("quals").score(documents, summaries)`.

A metric is one file in this package and one line in `REGISTRY`; `docs/adding_a_metric.md` says how. Nothing heavy is imported
before a metric is loaded.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from quals_jax.inputs import check_lists_of_texts, check_texts

# A reference summary, or several, of which the best match counts.
Reference = str | Sequence[str]

ONLY_GAZETTE = "its embedded model knows only Gazette, the generated newspaper; other texts need {}=MODEL"

# Name -> module and function. The function gets what stands behind `=` in the name (None without it), and a `MetricSettings`.
REGISTRY = {
    "quals": "quals_jax.metrics.quals:load",
    "quals-beam": "quals_jax.metrics.quals:load_beam",
    "quals-f1": "quals_jax.metrics.quals_f1:load",
    "rouge": "quals_jax.metrics.rouge:load_mean",
    "rouge1": "quals_jax.metrics.rouge:load_1",
    "rouge2": "quals_jax.metrics.rouge:load_2",
    "rougeL": "quals_jax.metrics.rouge:load_l",
    "likelihood": "quals_jax.metrics.likelihood:load",
    "qags": "quals_jax.metrics.qags:load",
    "factcc": "quals_jax.metrics.factcc:load",
    "overlap1": "quals_jax.metrics.overlap:load_1",
    "overlap2": "quals_jax.metrics.overlap:load_2",
    "overlap3": "quals_jax.metrics.overlap:load_3",
    "random": "quals_jax.metrics.chance:load",
}


@runtime_checkable
class Metric(Protocol):
    """Scores of summaries.

    higher_is_better: how to read the score. uses_references: whether `score` compares with the references when it is given them
    (else with the documents, always). signature: all that changes the number, as `name:value | name:value`. A metric may also have
    a `note`: what one must know to read its scores, shown beside them.
    """

    higher_is_better: bool
    uses_references: bool

    @property
    def signature(self) -> str: ...

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        """One score for every summary, in order; None (never NaN) where the metric has nothing to say.

        Raises:
            ValueError: if the lists differ in length.
        """
        ...


@dataclass(frozen=True)
class MetricSettings:
    """What commands ask of every metric. tokenizer: a folder, for models that have none beside them. batch_size: per device. long_documents: how
    QUALS reads what is longer than its model (`quals_jax.long_documents`)."""

    tokenizer: str | None = None
    dtype: str = "float32"
    batch_size: int = 8
    long_documents: str = "truncate"


def load(name: str, settings: MetricSettings | None = None) -> Metric:
    """The metric of this name, or of `NAME=ARGUMENT`: for most metrics the argument is the model, for ROUGE what it compares with.

    Raises:
        ValueError: if there is no such metric, or its model or its packages are not there.
    """
    require_known(name)
    known, _, argument = name.partition("=")
    module, _, function = REGISTRY[known].partition(":")
    return getattr(importlib.import_module(module), function)(argument or None, settings or MetricSettings())


def require_known(name: str) -> None:
    """Raises ValueError if there is no metric of this name, without loading one."""
    known = name.partition("=")[0]
    if known not in REGISTRY:
        close = difflib.get_close_matches(known, REGISTRY, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(REGISTRY)}"
        raise ValueError(f"there is no metric {known!r}; {hint}")


def compared_with(metric: Metric, references: Sequence[Reference] | None) -> str:
    """What `metric.score` holds the summaries against: "reference" or "document". To be shown beside every score."""
    return "reference" if metric.uses_references and references is not None else "document"


def note_of(metric: Metric) -> str:
    """What one must know to read the metric's scores; mostly nothing."""
    return getattr(metric, "note", "")


def check_lists(
    documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
) -> None:
    """Raises TypeError for what is no list of texts, naming list, row and type; ValueError if the lists differ in length."""
    counts = {"documents": len(check_texts("documents", documents))}
    if references is not None:
        counts["references"] = len(check_lists_of_texts("references", references, or_text=True))
    own = len(check_texts("summaries", summaries))
    for name, count in counts.items():
        if count != own:
            raise ValueError(f"there are {count} {name} and {own} summaries")
