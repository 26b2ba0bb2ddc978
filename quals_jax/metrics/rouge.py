"""ROUGE-1, ROUGE-2 and ROUGE-L (F1) of the `rouge-score` package, in parallel processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache

NAMES = ("rouge1", "rouge2", "rougeL")
ROWS_PER_TASK = 64
SMALLEST_PARALLEL = 2000  # pairs; fewer are done before processes have started


@dataclass(frozen=True)
class Rouge:
    """F1 between 0 and 1."""

    rouge1: float
    rouge2: float
    rougeL: float

    @property
    def mean(self) -> float:
        """The mean of the three: what the paper's ROUGE-driven twin of ConSeq selects by."""
        return (self.rouge1 + self.rouge2 + self.rougeL) / 3


def rouge(references: Sequence[str], summaries: Sequence[str], *, pool=None) -> list[Rouge]:
    """ROUGE of every summary against its reference, with Porter's stemmer as in most published figures.

    Args:
        pool: processes to share the work, from `processes_for`; those of other calls will do. Without it, some of its
            own where there is enough to do.

    Raises:
        ValueError: if the lists differ in length, or the package is not installed.
    """
    if len(references) != len(summaries):
        raise ValueError(f"there are {len(references)} references and {len(summaries)} summaries")
    _scorer()
    pairs = list(zip(references, summaries, strict=True))
    with nullcontext(pool) if pool else processes_for(len(pairs)) as pool:
        return pool.map(_one, pairs, chunksize=ROWS_PER_TASK) if pool else [_one(pair) for pair in pairs]


def processes_for(pairs: int):
    """A context of as many processes as there are cores, or of None where so few pairs are not worth them."""
    if pairs < SMALLEST_PARALLEL:
        return nullcontext()
    # Spawned: a fork of a process that runs JAX's threads can stand still.
    return multiprocessing.get_context("spawn").Pool(os.cpu_count() or 1)


def _one(pair: tuple[str, str]) -> Rouge:
    scores = _scorer().score(*pair)
    return Rouge(*(scores[name].fmeasure for name in NAMES))


@cache
def _scorer():
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise ValueError("ROUGE needs the package rouge-score: pip install 'quals_jax[train]'") from None
    return RougeScorer(list(NAMES), use_stemmer=True)
