"""What a QAGen would do in practice: on short texts, each with a true and a false summary, how many of its pairs split and are kept, and
how far apart true and false come out."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import jax

from quals_jax.pairs import QAPair
from quals_jax.quals import Quals

LEAST_SPLIT = 0.1  # share of hypotheses; below it a model hardly writes pairs at all


@dataclass(frozen=True)
class ModelCheck:
    """split, kept: shares of the hypotheses that are a question with an answer, and whose answer is in the summary. unscored: texts of
    which a summary has no score. true, false: mean QUALS of the others. right: the share of texts whose true summary scores higher.
    examples: (summary, kept pairs). rate: summaries a second, compilation apart. memory: the most gigabytes that were in use, of devices
    that say so, else of this process."""

    split: float
    kept: float
    unscored: int
    true: float | None
    false: float | None
    right: float | None
    examples: tuple[tuple[str, tuple[QAPair, ...]], ...]
    rate: float
    memory: float


def check_model(quals: Quals, documents: Sequence[str], true: Sequence[str], false: Sequence[str]) -> ModelCheck:
    """Looks at the model through a document's true and false summary each.

    Raises:
        ValueError: if the lists differ in length, or are empty.
    """
    if not len(documents) == len(true) == len(false) > 0:
        raise ValueError(f"there are {len(documents)} documents, {len(true)} true and {len(false)} false summaries")
    summaries = [*true, *false]
    written = zip(quals.qagen.generate(summaries), map(quals.qagen.codec.as_read, summaries), strict=True)
    hypotheses = [(pair.answer, text.lower()) for own, text in written for pair in own]
    split = [answer is not None for answer, _ in hypotheses]
    kept = [answer is not None and answer.lower() in text for answer, text in hypotheses]
    quals.score([*documents] * 2, summaries)  # compiles
    began = time.perf_counter()
    results = quals.score([*documents] * 2, summaries)
    rate = len(results) / (time.perf_counter() - began)
    both = [
        (one.quals, two.quals)
        for one, two in zip(results[: len(documents)], results[len(documents) :], strict=True)
        if one.quals is not None and two.quals is not None
    ]
    count = max(len(hypotheses), 1)
    return ModelCheck(
        split=sum(split) / count,
        kept=sum(kept) / count,
        unscored=len(documents) - len(both),
        true=sum(one for one, _ in both) / len(both) if both else None,
        false=sum(two for _, two in both) / len(both) if both else None,
        right=sum(one > two for one, two in both) / len(both) if both else None,
        examples=tuple((result.summary, tuple(result.pairs[:3])) for result in results[:3]),
        rate=rate,
        memory=peak_memory() / 1e9,
    )


def peak_memory() -> int:
    """The most bytes that were in use on a device that says so, else by this process."""
    stats = [device.memory_stats() or {} for device in jax.local_devices() if device.platform != "cpu"]
    used = max((own.get("peak_bytes_in_use", 0) for own in stats), default=0)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    return used or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
