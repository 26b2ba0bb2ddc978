"""Names, numbers, dates and noun phrases in English text by rules that can be read: nothing to download, nothing learnt.

They find what newspaper prose writes plainly, and miss what needs a parser (a name in lower case, a phrase without an article).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME, NUMBER, DATE, PHRASE = "name", "number", "date", "phrase"

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty"
    "|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?|dozens?"
)
# A month alone is one after these words: "May" and "March" are other things too.
BEFORE_MONTH = (
    "(?:"
    + "|".join(
        f"(?<=\\b{word} )"
        for word in ["in", "since", "until", "till", "from", "last", "next", "this", "early", "late", "of"]
    )
    + ")"
)
DATES = re.compile(
    rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)? (?:{MONTHS})(?:,? \d{{4}})?|(?:{MONTHS}) \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?(?!\d)"
    rf"|(?:{MONTHS}) \d{{4}}|{BEFORE_MONTH}(?:{MONTHS})|(?:{DAYS})|(?:1[5-9]|20)\d\d(?![\d,.]*\d)"
    rf"|(?:yesterday|today|tomorrow)|(?:last|next|this) (?:week|month|year|night))\b"
)
NUMBERS = re.compile(
    r"(?:[$€£]\s?)?\b(?:\d+(?:[.,]\d+)*|(?i:"
    + NUMBER_WORDS
    + r"))(?:-(?=\w))?(?: ?(?:hundred|thousand|million|billion|trillion|m|bn))?\b"
    r"(?: ?%| (?:percent|per cent|crowns?|dollars?|euros?|pounds?|yen)\b)?"
)
# Words of a name, which "of", "the" and the like may join where capitals stand on both sides.
WORD = r"[A-Z][\w'’]*(?:-\w+)*"
NAMES = re.compile(rf"\b(?:[A-Z]\. ?)*{WORD}(?: (?:of |the |de |van |von |al-|for |and )?(?:[A-Z]\. ?)*{WORD})*")
JOINED = re.compile(r" and ")  # two names, not one
ARTICLES = r"(?:the|a|an|his|her|its|their|this|these|those|no)"
STOPS = (
    "is|are|was|were|be|been|has|have|had|will|would|can|could|may|might|must|shall|should|do|does|did|not|and|or|but|of|in|on|at|to|by|for"
    "|from|with|after|before|during|over|under|against|about|into|who|whom|whose|which|that|when|where|while|as|than|because|if|so|then|it"
    "|he|she|they|we|you|i|there|here|said|says|told|out|up|off|also|yet|until|since|through|between|the|a|an|his|her|its|their|this"
)
PHRASES = re.compile(
    rf"\b(?i:{ARTICLES}) (?!(?:{STOPS})\b)[a-z][\w-]*(?: (?!(?:{STOPS})\b)(?!\w+(?:ed|ly)\b)[a-z][\w-]*){{0,2}}"
)
# Words that begin a sentence with a capital and name nothing.
OTHER_OPENERS = (
    "all|any|both|each|every|some|many|most|much|few|several|another|other|only|even|just|now|later|earlier|meanwhile|however|according"
    "|what|why|how|though|although|once|despite|our|my|your|one"
)
OPENERS = frozenset(
    word.capitalize() for word in "|".join((STOPS, ARTICLES[3:-1], NUMBER_WORDS, OTHER_OPENERS)).split("|")
)
SENTENCE_START = re.compile(r"(?:^|[.!?;:]['\"”’)]*\s+|[\"“‘(]\s*|\n\s*)$")


@dataclass(frozen=True)
class Entity:
    """A stretch of the text, start .. end in characters, and its kind: NAME, NUMBER, DATE or PHRASE."""

    text: str
    kind: str
    start: int
    end: int


def entities(text: str) -> list[Entity]:
    """The names, numbers and dates of a text in their order; none overlaps another."""
    return [entity for entity in candidates(text) if entity.kind != PHRASE]


def candidates(text: str) -> list[Entity]:
    """What a question can be about: dates, numbers, names and noun phrases, in their order; none overlaps another."""
    found: list[Entity] = []
    free = [True] * len(text)

    def add(kind: str, start: int, end: int) -> None:
        if start < end and all(free[start:end]):
            free[start:end] = [False] * (end - start)
            found.append(Entity(text[start:end], kind, start, end))

    for match in DATES.finditer(text):
        add(DATE, *match.span())
    for match in NUMBERS.finditer(text):
        add(NUMBER, *match.span())
    for match in NAMES.finditer(text):
        start, end = match.span()
        for own_start, own_end in _split(text, start, end):
            add(NAME, *_without_opener(text, own_start, own_end))
    for match in PHRASES.finditer(text):
        add(PHRASE, *match.span())
    return sorted(found, key=lambda entity: entity.start)


def _split(text: str, start: int, end: int):
    """The names of a run of capitals that "and" joins."""
    for match in JOINED.finditer(text, start, end):
        yield start, match.start()
        start = match.end()
    yield start, end


def _without_opener(text: str, start: int, end: int) -> tuple[int, int]:
    """The name without the first word of its sentence where that is none of it; empty where nothing is left.

    A single capital at the start of a sentence is a name if the text has it elsewhere too, inside a sentence.
    """
    if not SENTENCE_START.search(text[:start]):
        return start, end
    first = text[start:end].split(" ")[0]
    if first in OPENERS:
        start = min(end, start + len(first) + 1)
        return start, end
    if " " in text[start:end] or _inside_elsewhere(text, first, start):
        return start, end
    return start, start


def _inside_elsewhere(text: str, word: str, here: int) -> bool:
    found = re.finditer(rf"\b{re.escape(word)}\b", text)
    return any(match.start() != here and not SENTENCE_START.search(text[: match.start()]) for match in found)
