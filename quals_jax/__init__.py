"""QUALS and ConSeq (Nan et al., ACL 2021) in JAX: how well a document supports what its summary says, and training for it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.2.0"

if TYPE_CHECKING:  # what editors and type checkers read; at run time the table below does it
    from quals_jax.checkpoints import load_checkpoint
    from quals_jax.compiled import keep_compiled_programs
    from quals_jax.corpus import CorpusResult
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.metrics.evaluate_style import QualsMetric
    from quals_jax.pairs import QAPair, keep_pairs
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals, QualsResult, confidence_interval
    from quals_jax.reranking import rerank
    from quals_jax.summarizer import Summarizer

# Imported when first asked for: `import quals_jax` must not wait for JAX.
_HOMES = {
    "CorpusResult": "corpus",
    "QAGen": "qagen",
    "QAPair": "pairs",
    "Quals": "quals",
    "QualsMetric": "metrics.evaluate_style",
    "QualsResult": "quals",
    "SearchConfig": "decoding.diverse_beam",
    "Summarizer": "summarizer",
    "confidence_interval": "quals",
    "keep_compiled_programs": "compiled",
    "keep_pairs": "pairs",
    "load_checkpoint": "checkpoints",
    "rerank": "reranking",
}
__all__ = [
    "CorpusResult",
    "QAGen",
    "QAPair",
    "Quals",
    "QualsMetric",
    "QualsResult",
    "SearchConfig",
    "Summarizer",
    "__version__",
    "confidence_interval",
    "keep_compiled_programs",
    "keep_pairs",
    "load_checkpoint",
    "rerank",
]


if not TYPE_CHECKING:  # to a type checker it would say that there is every name

    def __getattr__(name: str):
        if name in _HOMES:
            return getattr(importlib.import_module(f"quals_jax.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'quals_jax' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
