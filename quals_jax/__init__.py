"""QUALS and ConSeq (Nan et al., ACL 2021) in JAX: how well a document supports what its summary says, and training for it."""

from __future__ import annotations

import importlib

__version__ = "0.2.0"

# Imported when first asked for: `import quals_jax` must not wait for JAX.
_HOMES = {
    "QAGen": "qagen",
    "QAPair": "pairs",
    "Quals": "quals",
    "QualsResult": "quals",
    "SearchConfig": "decoding.diverse_beam",
    "confidence_interval": "quals",
    "keep_pairs": "pairs",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f"quals_jax.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'quals_jax' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
