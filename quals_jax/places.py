"""Where in a summary answers can stand: what every span is spelled with, for a search that covers the summary (`decoding/covering.py`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from quals_jax.decoding.covering import NOTHING

LONGEST_ANSWER = 16  # tokens
# Thai, Lao, Burmese, Khmer, kana and Chinese characters, which are written without spaces between words.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def word_starts(text: str) -> list[int]:
    """Where words begin: behind a space, and where letters and digits begin; in scripts without spaces, everywhere."""
    return [place for place in range(len(text)) if not text[place].isspace() and _boundary(text, place)]


def answer_places(
    text: str,
    encode: Callable[[Sequence[str]], list[list[int]]],
    decode: Callable[[Sequence[int]], str],
    unknown: str = "",
) -> list[tuple[list[int], list[bool]]]:
    """For every word of the text the ids of what follows, encoded anew from there (answers are written without a space in front), and
    behind which of them an answer may end: at the end of a word. In scripts without spaces every piece of the text is taken for a word.
    `unknown` is a last place of its own: what the model says where the text has no answer."""
    starts = word_starts(text)
    if UNSPACED.search(text):
        ids = encode([text])[0]
        begins = {len(decode(ids[:length])) for length in range(len(ids))}
        starts = [start for start in starts if start in begins or not _within(text, start)]
    spelled = encode([text[start:] for start in starts])
    places = []
    for start, ids in zip(starts, spelled, strict=True):
        ids = ids[:LONGEST_ANSWER]
        ends = []
        for length in range(1, len(ids) + 1):
            said = decode(ids[:length])
            end = start + len(said)
            ends.append(said != "" and text[start:end] == said and not said[-1:].isspace() and _boundary(text, end))
        places.append((ids, ends))
    if unknown:
        ids = encode([unknown])[0]
        places.append((ids, [False] * (len(ids) - 1) + [True]))
    return places


def stacked_places(
    rows: Sequence[Sequence[tuple[list[int], list[bool]]]], count: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """`Places` of a batch of `count` rows, `most` places each: tokens and ends, both [batch, place, time]. What is beyond is left out."""
    tokens = np.full((count, most, LONGEST_ANSWER), NOTHING, np.int32)
    ends = np.zeros((count, most, LONGEST_ANSWER), bool)
    for row, own in enumerate(rows):
        for place, (ids, last) in enumerate(own[:most]):
            tokens[row, place, : len(ids)], ends[row, place, : len(ids)] = ids, last
    return tokens, ends


def _boundary(text: str, place: int) -> bool:
    """Whether no word goes on here."""
    if place == 0 or place == len(text):
        return True
    before, after = text[place - 1], text[place]
    if UNSPACED.match(before) or UNSPACED.match(after):
        return True
    return not (_of_word(before) and _of_word(after)) and (
        before.isspace() or _of_word(before) != _of_word(after) or after.isspace()
    )


def _within(text: str, place: int) -> bool:
    """Whether characters of a script without spaces stand on both sides."""
    return place > 0 and bool(UNSPACED.match(text[place - 1]) and UNSPACED.match(text[place]))


def _of_word(character: str) -> bool:
    return character.isalnum() or character == "_"
