"""A question and a text that is longer than a BERT reads: the text in overlapping windows, each behind the question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quals_jax.wordpiece import PairTokenizer

QUESTION_TOKENS = 64  # as in the programs for SQuAD 2.0; what is longer is cut


@dataclass(frozen=True)
class Window:
    """A part of a text after its question. first: the number of the text's first piece in it. start: where that piece stands in `ids`."""

    ids: list[int]
    segments: list[int]
    first: int
    start: int
    count: int


def windows(
    tokenizer: PairTokenizer, question: Sequence[int], text: Sequence[int], *, length: int, stride: int
) -> Iterator[Window]:
    """`[CLS] question [SEP] part [SEP]`, of at most `length` ids, for parts that together are the text; each begins `stride` pieces
    behind the last.

    Raises:
        ValueError: if the question leaves no room for the text.
    """
    question = list(question)[:QUESTION_TOKENS]
    room = length - len(question) - 3
    if room < 1:
        raise ValueError(f"windows of {length} ids have no room behind a question of {len(question)}")
    first = 0
    while True:
        part = list(text)[first : first + room]
        ids, segments = tokenizer.pair(question, part)
        yield Window(ids, segments, first, len(question) + 2, len(part))
        if first + len(part) >= len(text):
            return
        first += min(stride, room)
