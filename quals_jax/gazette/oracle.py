"""The oracle: which facts a text states, and whether the story supports them.

It reads with the grammar that writes (`Kind`): every wording, summary's or document's, becomes a pattern over normal forms
(no articles, commas or auxiliaries; words by their stems, so that tense and number do not matter). A sentence must be read whole,
as a chain of pieces, or it is not judged: the oracle never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from quals_jax.gazette.kind import CHOICE, DATE, NUMBER, ORGANISATION, PERSON, PLACE, SUM, Kind
from quals_jax.gazette.kinds import all_kinds
from quals_jax.gazette.names import MONTHS
from quals_jax.gazette.story import Story
from quals_jax.gazette.template import Template

MINIMUM_WORDS = 5  # of a text that can pass for a summary
MAXIMUM_PIECES = 10  # of one text


@dataclass(frozen=True)
class Claim:
    """What a text says of one slot: `value`, as the text has it. place: where it stands there, start and end in characters; of no
    matter when claims are compared."""

    slot: str
    value: str
    place: tuple[int, int] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Verdict:
    """What the oracle found.

    supported, unsupported: the claims that the story's facts bear out, and those that they do not.
    judged: every sentence could be read; if False, the two lists hold only what could be.
    well_formed: the text is judged, and is built as a newspaper would: capital letters, full stops, no fact told twice,
        no person in two places of one statement.
    """

    supported: tuple[Claim, ...]
    unsupported: tuple[Claim, ...]
    well_formed: bool
    judged: bool


def check(story: Story, text: str) -> Verdict:
    """Reads any text as a summary of the story. A text without readable statements is not judged."""
    reader = _reader(story.kind.name)
    claims, readable = [], True
    position = 0
    for sentence in _sentences(text):
        position = text.index(sentence, position)
        pieces = reader.read(sentence)
        if pieces is None:
            readable = False
        else:
            claims += [replace(c, place=(position + c.place[0], position + c.place[1])) for c in pieces]
        position += len(sentence)
    judged = readable and bool(claims)
    truth = {slot: reader.normal(value) for slot, value in story.values.items()}
    supported = tuple(claim for claim in claims if _agrees(story.kind, claim, truth))
    unsupported = tuple(claim for claim in claims if claim not in supported)
    return Verdict(supported, unsupported, judged and _well_formed(story.kind, text, claims), judged)


def _agrees(kind: Kind, claim: Claim, truth: dict[str, str]) -> bool:
    true = truth[claim.slot]
    if kind.slots[claim.slot].type == PERSON and " " not in claim.value:
        return claim.value in true.split()  # one of the two names will do
    return true == claim.value


def _well_formed(kind: Kind, text: str, claims: list[Claim]) -> bool:
    sentences = _sentences(text)
    slots = [claim.slot for claim in claims]
    people = [claim.value for claim in claims if kind.slots[claim.slot].type == PERSON]
    return (
        text.strip()[-1:] in (".", '"')
        and all(sentence[0].isupper() or sentence[0] in '"0123456789' for sentence in sentences)
        and len(set(slots)) == len(slots)
        and len(set(people)) == len(people)
        and len(text.split()) >= MINIMUM_WORDS
    )


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<=[.!?])\"?\s+", text.strip()) if part.strip()]


_ARTICLES = {"a", "an", "the", "has", "have", "had", "been"}
_FORMS = {
    "is": "be", "are": "be", "was": "be", "were": "be", "beaten": "beat", "won": "win", "lost": "lose", "took": "take", "taken": "take",
    "said": "say", "says": "say", "fell": "fall", "fallen": "fall", "struck": "strike", "held": "hold", "sold": "sell", "bought": "buy",
    "made": "make", "became": "become", "came": "come", "went": "go", "gone": "go", "told": "tell", "spoke": "speak", "spoken": "speak",
    "gave": "give", "given": "give", "found": "find", "left": "leave", "led": "lead", "paid": "pay", "overcame": "overcome", "put": "put",
    "grew": "grow", "grown": "grow", "began": "begin", "begun": "begin", "broke": "break", "broken": "break", "stood": "stand", "kept": "keep",
    "stole": "steal", "stolen": "steal", "brought": "bring", "caught": "catch", "fought": "fight", "rose": "rise", "ran": "run", "met": "meet",
}  # fmt: skip


def _stem(word: str) -> str:
    """One form for all tenses and numbers of a word; crude, but the same on both sides."""
    word = _FORMS.get(word, word)
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


_TOKEN = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)*|\d+|[;]")


class _Reader:
    """The grammar of one kind, as patterns."""

    def __init__(self, kind: Kind):
        self.kind = kind
        self.words = set()
        for template in kind.templates:
            self.words |= template.words()
        for slot in kind.slots.values():
            for phrase in slot.choices if slot.type == CHOICE else ():
                self.words |= set(re.findall(r"[a-z]+", phrase))
        parsed = kind.parsed
        self.openers = [self.pattern(template) for template in parsed["openers"]]
        self.closers = [self.pattern(template) for template in parsed["closers"]]
        body = tuple(template for group in parsed["body"] for template in group)
        self.clauses = [self.pattern(t) for t in parsed["mains"] + parsed["seconds"] + parsed["lead"] + body]

    def normal(self, text: str) -> str:
        """The text as stems joined by spaces; names keep their capitals."""
        return " ".join(word for word, _, _ in self._words(text))

    def _words(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Every word of the normal form, and where in the text it comes from."""
        # Not " s ": as many characters as before, so that places stay what they are.
        for match in _TOKEN.finditer(text.replace("'s", "  ")):
            token, lower = match.group(), match.group().lower()
            if token[0].isupper() and lower not in self.words:
                yield token, *match.span()
            elif lower not in _ARTICLES and lower != "s":
                yield _stem(lower), *match.span()

    def pattern(self, template: Template) -> tuple[re.Pattern, list[tuple]]:
        """A pattern over normal forms, and for every group of it the slot (and which wording means which value)."""
        parts, groups = [], []
        for item in template.items:
            if isinstance(item, str):
                parts.append(self._literal(item))
            elif item[0] == "slot":
                groups.append((item[1], None))
                parts.append(f"({self._values(item[1])})")
            elif item[0] == "any":
                parts.append("(?:" + "|".join(self._literal(wording) for wording in item[1]) + ")")
            else:
                choices = map(self.normal, self.kind.slots[item[1]].choices)
                groups.append((item[1], dict(zip(map(self.normal, item[2]), choices, strict=True))))
                parts.append("(" + "|".join(self._literal(wording) for wording in item[2]) + ")")
        text = " *".join(part for part in parts if part)
        return re.compile(text + r"(?=[ ]|$)"), groups

    def _literal(self, text: str) -> str:
        return r" +".join(re.escape(word) for word in self.normal(text).split())

    def _values(self, slot: str) -> str:
        """A pattern of everything that could stand in the slot, true or not."""
        spec = self.kind.slots[slot]
        if spec.type == PERSON:
            return r"[A-Z][a-z]+(?: [A-Z][a-z]+)?"
        if spec.type == PLACE:
            return r"[A-Z][a-z]+"
        if spec.type == ORGANISATION:
            nouns = "|".join(re.escape(self.normal(noun)) for noun in spec.choices)
            return rf"[A-Z][a-z]+ (?:{nouns})"
        if spec.type == SUM:
            return r"\d+ " + self._literal("million crowns")
        if spec.type == NUMBER:
            return r"\d+"
        if spec.type == DATE:
            return r"\d+ (?:" + "|".join(self.normal(month) for month in MONTHS) + ")"
        return "|".join(sorted((self._literal(phrase) for phrase in spec.choices), key=len, reverse=True))

    def read(self, sentence: str) -> list[Claim] | None:
        """The claims of a sentence that can be read from end to end; None for any other."""
        words = list(self._words(sentence))
        text = " ".join(word for word, _, _ in words)
        claims = self._chain(text, 0, clause_read=False, pieces=0) if text else None
        if claims is None:
            return None
        first = [text.count(" ", 0, claim.place[0]) for claim in claims]  # the number of its first word
        last = [text.count(" ", 0, claim.place[1]) for claim in claims]
        return [
            replace(claim, place=(words[start][1], words[end][2]))
            for claim, start, end in zip(claims, first, last, strict=True)
        ]

    def _chain(self, text: str, position: int, *, clause_read: bool, pieces: int) -> list[Claim] | None:
        while position < len(text) and text[position] == " ":
            position += 1
        if position == len(text):
            return [] if clause_read else None
        if pieces == MAXIMUM_PIECES:
            return None
        for start, patterns, is_clause in self._continuations(text, position, clause_read):
            for claims, end in _matches(patterns, text, start):
                rest = self._chain(text, end, clause_read=clause_read or is_clause, pieces=pieces + 1)
                if rest is not None:
                    return claims + rest
        return None

    def _continuations(self, text: str, position: int, clause_read: bool) -> Iterator[tuple]:
        """What may come next: a clause, joined or not; behind one, a closer; in front of one, an opener."""
        joint = re.compile(r"(?:; *)?(?:(?:and|whil|but) )?").match(text, position)
        yield position, self.clauses, True
        if joint.end() > position:
            yield joint.end(), self.clauses, True
        if clause_read:
            yield position, self.closers, False
        yield joint.end(), self.openers, False


def _matches(patterns, text: str, position: int) -> Iterator[tuple[list[Claim], int]]:
    """Every pattern that fits at the position, longest first: its claims, and where it ends."""
    found = []
    for pattern, groups in patterns:
        if match := pattern.match(text, position):
            claims = []
            for number, (slot, values) in enumerate(groups, 1):
                value = match[number]
                claims.append(Claim(slot, value if values is None else values[value], match.span(number)))
            found.append((match.end(), claims))
    for end, claims in sorted(found, key=lambda item: -item[0]):
        yield claims, end


@cache
def _reader(kind_name: str) -> _Reader:
    return _Reader(all_kinds()[kind_name])
