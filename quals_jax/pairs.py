"""Question-answer pairs, and which of them are kept: step 2 of QUALS."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

MAX_PAIRS = 10


@dataclass(frozen=True, eq=False)
class QAPair:
    """What QAGen wrote. Texts are as decoded, never stripped; log-probabilities are natural logs, one for every token.

    tokens: ids with the final end of sentence (question, connector, answer, end).
    question, answer: without exactly one connector the question is the whole text and the answer None. An empty answer is an answer.
    beam_logprobs: what the search accumulated, diversity penalties included. summary_logprobs: the model's likelihood.
    beam_score: their sum normalised by length; beam_total: the sum.
    """

    question: str
    answer: str | None
    tokens: list[int]
    beam_logprobs: np.ndarray | None = None
    summary_logprobs: np.ndarray | None = None
    beam_score: float | None = None
    beam_total: float | None = None


def split_pair(text: str, connector: str) -> tuple[str, str | None]:
    """Question and answer of a decoded text; the whole text and None unless it has exactly one connector."""
    parts = text.split(connector)
    return (parts[0], parts[1]) if len(parts) == 2 else (text, None)


def check_max_pairs(max_pairs: object) -> None:
    """How many pairs may be kept: a whole number of at least 1, or None for all.

    Raises:
        ValueError: if it is neither.
    """
    if max_pairs is not None and (type(max_pairs) is not int or max_pairs < 1):
        raise ValueError(f"max_pairs is {max_pairs!r}; it must be a whole number of at least 1, or None for all")


def check_pair_objects(name: str, pairs: object) -> list[QAPair]:
    """The pairs as a list.

    Raises:
        TypeError: for what is no list of `QAPair`s, naming list, place and type.
    """
    if isinstance(pairs, str | QAPair) or not isinstance(pairs, Iterable):
        raise TypeError(f"{name} must be a list of QAPairs, not a {type(pairs).__name__}")
    pairs = list(pairs)
    for place, pair in enumerate(pairs):
        if not isinstance(pair, QAPair):
            raise TypeError(f"{name}[{place}] is a {type(pair).__name__}; it must be a QAPair")
    return pairs


def keep_pairs(pairs: Sequence[QAPair], summary: str, max_pairs: int | None = MAX_PAIRS) -> list[QAPair]:
    """The pairs whose answer is literally in the summary, about `max_pairs` of them, going round the distinct answers, best first.

    fairseq: follows the released filter to the letter. Lower-cased answers are looked for in the lower-cased summary, unstripped; pairs are
    sorted by `beam_total`; in each round every distinct answer gives its next pair, skipped if the same (answer, question) was taken; rounds
    are never cut short, so there may be more than `max_pairs`, and a round that adds nothing is the last.

    `max_pairs=None` keeps all of them, best first, equal (question, answer) once, as the article describes it.

    Raises:
        ValueError: if `max_pairs` is less than 1. TypeError: for what is no list of pairs, or no text.
    """
    check_max_pairs(max_pairs)
    if not isinstance(summary, str):
        raise TypeError(f"summary is a {type(summary).__name__}; it must be a text")
    pairs = check_pair_objects("pairs", pairs)
    text = summary.lower()
    found = [pair for pair in pairs if pair.answer is not None and pair.answer.lower() in text]
    found.sort(
        key=lambda pair: 0.0 if pair.beam_total is None else -pair.beam_total
    )  # stable: ties in order of the beams
    if max_pairs is None:
        distinct: dict[tuple[str, str], QAPair] = {}
        for pair in found:
            distinct.setdefault(_key(pair), pair)
        return list(distinct.values())
    queues: dict[str, list[QAPair]] = {}
    for pair in found:
        queues.setdefault(pair.answer.lower(), []).append(pair)
    kept, taken = [], set()
    added = True
    while added and len(kept) < max_pairs:
        added = False
        for queue in queues.values():
            if queue and _key(pair := queue.pop(0)) not in taken:
                taken.add(_key(pair))
                kept.append(pair)
                added = True
    return kept


def with_others(pairs: Sequence[QAPair], others: Sequence[QAPair]) -> list[QAPair]:
    """The pairs, and of others those that differ from them and from each other in question or answer, upper and lower case apart."""
    both = {_key(pair): pair for pair in reversed(others)} | {_key(pair): pair for pair in pairs}
    new = [pair for pair in others if both[_key(pair)] is pair]
    return [*pairs, *new]


def _key(pair: QAPair) -> tuple[str, str]:
    return (pair.answer or "").lower(), pair.question.lower()
