"""The sentences of a text, by rules."""

from __future__ import annotations

import re

END = re.compile(r"(?<=[.!?])(['\"”’)]*)\s+(?=['\"“‘(]?[A-Z0-9])|\n\s*\n|\n(?=\S)")
# What ends in a point and ends no sentence: titles, initials, and a few more.
ABBREVIATION = re.compile(
    r"(?:^|[\s(\"“])(?:Mr|Mrs|Ms|Dr|Prof|St|Sen|Rep|Gov|Gen|Col|Lt|Sgt|Rev|Jr|Sr|vs|No|[A-Z]|(?:[A-Z]\.)+[A-Z])\.$"
)


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
