"""ROUGE-1, ROUGE-2 and ROUGE-L (F1) of the `rouge-score` package, in parallel processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache, partial

from quals_jax import __version__
from quals_jax.metrics import MetricSettings, Reference, check_lists

AGAINST = ("reference", "document")
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


class RougeMetric:
    """One of ROUGE's figures, or their mean, as a metric: F1, between 0 and 1, of several references the highest.

    against: "reference", "document", or None for the references where `score` is given them and the documents otherwise.
    """

    higher_is_better = True

    def __init__(self, figure: str, against: str | None = None):
        if against not in (None, *AGAINST):
            raise ValueError(f"rouge={against}: ROUGE compares with {' or '.join(AGAINST)}")
        _scorer()
        self.figure, self.against = figure, against

    @property
    def uses_references(self) -> bool:
        return self.against != "document"

    @property
    def signature(self) -> str:
        against = self.against or "reference if given, else document"
        return f"rouge:{self.figure} | against:{against} | stemmer:porter | version:{__version__}"

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        check_lists(documents, summaries, references)
        if references is None and self.against == "reference":
            raise ValueError("rouge=reference: there are no references")
        targets = references if self.uses_references and references is not None else documents
        lists = [[target] if isinstance(target, str) else list(target) for target in targets]
        pairs = [(target, summary) for own, summary in zip(lists, summaries, strict=True) for target in own]
        found = iter(rouge([target for target, _ in pairs], [summary for _, summary in pairs]))
        return [max(getattr(next(found), self.figure) for _ in own) for own in lists]


def load(argument: str | None, settings: MetricSettings, figure: str) -> RougeMetric:
    """`rouge=reference` and `rouge=document` say what to compare with."""
    return RougeMetric(figure, argument)


load_mean, load_1, load_2, load_l = (partial(load, figure=figure) for figure in ("mean", *NAMES))
