"""The sentences of a text, by rules."""

from __future__ import annotations

import re

END = re.compile(r"(?<=[.!?])(['\"”’)]*)\s+(?=['\"“‘(]?[A-Z0-9])|\n\s*\n|\n(?=\S)")
# What ends in a point and ends no sentence: titles, initials, and a few more.
ABBREVIATION = re.compile(
    r"(?:^|[\s(\"“])(?:Mr|Mrs|Ms|Dr|Prof|St|Sen|Rep|Gov|Gen|Col|Lt|Sgt|Rev|Jr|Sr|vs|No|[A-Z]|(?:[A-Z]\.)+[A-Z])\.$"
)

# The same for texts of any script: a mark, closing quotes, blanks, and something that can begin one; or an empty line.
_END = re.compile(r"(?<=[.!?。！？])[\"'”’»)\]]*\s+(?=[\"'“‘«(\[]*[^\Wa-z_])|\n\s*\n|(?<=[。！？])(?=\S)")
_SHORT = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Sen|Rep|Lt|Col|vs|No)|\b[A-Z])\.$")


def sentences(text: str) -> list[str]:
    """The sentences, stripped, in their order; those of a text without any are none."""
    found, start = [], 0
    for match in END.finditer(text):
        if "\n" not in match.group() and ABBREVIATION.search(text[start : match.start()]):
            continue
        found.append(text[start : match.start()] + (match.group(1) or ""))
        start = match.end()
    found.append(text[start:])
    return [sentence.strip() for sentence in found if sentence.strip()]


def sentence_places(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence, without the blanks between; titles and initials ("Dr.", "J.") end none."""
    cuts, start = [], 0
    for end in _END.finditer(text):
        last = end.start() + len(end.group().rstrip()) if end.group().strip() else end.start()
        if _SHORT.search(text[start:last]):
            continue
        cuts.append((start, last))
        start = end.end()
    cuts.append((start, len(text)))
    trimmed = []
    for start, end in cuts:
        piece = text[start:end]
        left = start + len(piece) - len(piece.lstrip())
        if piece.strip():
            trimmed.append((left, left + len(piece.strip())))
    return trimmed
