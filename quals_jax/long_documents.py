"""Documents that are longer than the model reads: cut, as the reference does, or read in overlapping windows.

A window is a run of whole sentences; it begins and ends with a line where it can. Two that follow each other share up to half of what a
window holds, so that every passage of a line that is no longer than about half a window stands in one of them. A pair is supported by the
window that makes it likeliest. The work grows with the length of the document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from quals_jax.pairs import QAPair
from quals_jax.sentences import sentence_places

if TYPE_CHECKING:
    from quals_jax.qagen import QAGen
    from quals_jax.sentencepiece import SentencePieceTokenizer
    from quals_jax.tokenizer import Tokenizer

TRUNCATE, WINDOWS = "truncate", "windows"
LONG_DOCUMENTS = (TRUNCATE, WINDOWS)
OVERLAP = 0.5  # of a window's tokens, at most, that the next one reads again
LINE = "\n"  # somewhere before a sentence: it begins a line, and windows begin and end there if they can
RETRY = (
    1 / 16
)  # of a window: how much smaller the next attempt is, where sentences together have more tokens than apart


@dataclass(frozen=True)
class Window:
    """A part of a document: `document[start:end]`, and its ids as the model reads them, with prefix and end of sentence."""

    start: int
    end: int
    ids: list[int]


def document_windows(
    tokenizer: Tokenizer | SentencePieceTokenizer, document: str, tokens: int | None = None
) -> list[Window]:
    """The windows of a document, which together hold every sentence of it; a document that the model can read whole is one window.

    A sentence that no window holds is cut between words, a word that none holds within.

    tokens: of a window at most, prefix and special tokens included; what the model reads if that is less, and without a number.

    Raises:
        ValueError: if the windows have no room for a text.
    """
    ids, truncated = tokenizer.encode_batch([document])[0]
    if not truncated:
        return [Window(0, len(document), ids)]
    size = min(tokens or tokenizer.max_source_tokens, tokenizer.max_source_tokens)
    room = size - len(tokenizer.encode(""))
    while room > 0:
        places, lengths = _units(tokenizer, document, room)
        starts = [LINE in document[before:start] for before, (start, _) in zip(_ends(places), places, strict=True)]
        runs = packed(lengths, room, int(OVERLAP * room), starts)
        spans = [(places[first][0], places[last][1]) for first, last in runs]
        read = tokenizer.encode_batch([document[start:end] for start, end in spans])
        if all(len(ids) <= size and not truncated for ids, truncated in read):
            return [Window(start, end, ids) for (start, end), (ids, _) in zip(spans, read, strict=True)]
        room -= max(1, int(RETRY * room))
    raise ValueError(f"windows of {size} tokens have no room for the document beside the model's prefix")


def packed(
    lengths: Sequence[int], room: int, overlap: int, lines: Sequence[bool] | None = None
) -> list[tuple[int, int]]:
    """First and last of each run of units. `lines`: which units begin a line.

    A run has as many units as `room` tokens hold, at least one; fewer if it ends with a line then and has half of `room`. The next
    begins as early as it can while it shares at most `overlap` tokens with this one and has room for a unit more than it shares; with a
    line if one begins there.
    """
    lines = lines or [False] * len(lengths)
    runs, first = [], 0
    while True:
        last, held, line_end = first, lengths[first], None
        while last + 1 < len(lengths) and held + lengths[last + 1] <= room:
            if lines[last + 1] and 2 * held >= room:
                line_end = last
            last += 1
            held += lengths[last]
        if last + 1 == len(lengths):
            return [*runs, (first, last)]
        if not lines[last + 1] and line_end is not None:
            last = line_end
        runs.append((first, last))
        most, shared, possible = min(overlap, room - lengths[last + 1]), 0, [last + 1]
        while possible[-1] - 1 > first and (shared := shared + lengths[possible[-1] - 1]) <= most:
            possible.append(possible[-1] - 1)
        first = ([unit for unit in possible if lines[unit]] or possible)[-1]


def _units(tokenizer, document: str, room: int) -> tuple[list[tuple[int, int]], list[int]]:
    """Where the sentences stand, or the parts of those that have more than `room` tokens; and how many tokens each adds to a text."""
    waiting, places, lengths = sentence_places(document), [], []
    while waiting:
        texts = [document[before:end] for before, (_, end) in zip(_ends(waiting), waiting, strict=True)]
        counts = [len(ids) for ids in tokenizer.encode_pieces(texts)]
        places, lengths, waiting = waiting, counts, []
        if max(counts) > room:
            waiting = [
                part
                for place, count in zip(places, counts, strict=True)
                for part in _parts(document, *place, count > room)
            ]
            if waiting == places:
                break  # nothing is left to cut: single characters
    return places, lengths


def _ends(places: Sequence[tuple[int, int]]) -> list[int]:
    """Where the text before each place ended."""
    return [0, *(end for _, end in places[:-1])]


def _parts(document: str, start: int, end: int, long: bool) -> list[tuple[int, int]]:
    """The place, or the two halves of a long one: cut at the blank nearest to its middle, or in its middle."""
    if not long or end - start < 2:
        return [(start, end)]
    middle = (start + end) // 2
    blanks = [place for place in range(start + 1, end - 1) if document[place].isspace()]
    cut = min(blanks, key=lambda place: abs(place - middle), default=middle)
    halves = [(start, cut), (cut, end)]
    return [
        (low + len(text) - len(text.lstrip()), low + len(text.rstrip()))
        for low, high in halves
        if (text := document[low:high]).strip()
    ]


def score_in_windows(
    qagen: QAGen, windows: Sequence[Sequence[Window]], kept_lists: Sequence[Sequence[QAPair]]
) -> tuple[list[list[Float[np.ndarray, "target"]]], list[list[Window]]]:
    """Per document and pair, the natural log-probability of every token given the window that supports the pair best, and that window:
    the one with the highest mean over the pair's tokens, the first of equal ones. Every window is encoded once for all pairs."""
    sources = [window.ids for own in windows for window in own]
    lists = [pairs for own, pairs in zip(windows, kept_lists, strict=True) for _ in own]
    scored = iter(qagen.score_ids(sources, lists))
    logprobs, chosen = [], []
    for own, pairs in zip(windows, kept_lists, strict=True):
        found = [next(scored) for _ in own]
        best = [
            max(
                range(len(own)),
                key=lambda place, pair=pair, found=found: float(found[place][pair].mean(dtype=np.float64)),
            )
            for pair in range(len(pairs))
        ]
        logprobs.append([found[place][pair] for pair, place in enumerate(best)])
        chosen.append([own[place] for place in best])
    return logprobs, chosen


def score_documents(
    qagen: QAGen, documents: Sequence[str], kept_lists: Sequence[Sequence[QAPair]], long_documents: str = TRUNCATE
) -> tuple[list[list[Float[np.ndarray, "target"]]], list[bool]]:
    """Per document and pair, the natural log-probability of every token given the document; and of every document, whether something of it
    was not read.

    Those that the model can read whole are scored to the bit as without windows: in the same batches, whose shapes depend on the others
    too. So where there are both, the long ones take part in these batches as if they were cut, and are read in windows after that.
    """
    encoded = qagen.tokenizer.encode_batch(documents)
    truncated = [cut for _, cut in encoded]
    if long_documents == TRUNCATE or not any(truncated):
        return qagen.score_ids([ids for ids, _ in encoded], kept_lists), truncated
    scored = [[] for _ in documents] if all(truncated) else qagen.score_ids([ids for ids, _ in encoded], kept_lists)
    long = [number for number, cut in enumerate(truncated) if cut]
    windows = [document_windows(qagen.tokenizer, documents[number], qagen.window_tokens) for number in long]
    found, _ = score_in_windows(qagen, windows, [kept_lists[number] for number in long])
    for number, own in zip(long, found, strict=True):
        scored[number] = own
    return scored, [False] * len(documents)
