"""False versions of a reference summary, each with the way in which it is false."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quals_jax.gazette.clauses import summarise
from quals_jax.gazette.kind import CHOICE, DATE, NUMBER, ORGANISATION, PERSON, PLACE, SUM
from quals_jax.gazette.names import Names

if TYPE_CHECKING:
    from quals_jax.gazette.story import (
        Story,  # which makes its corruptions: this module needs no more of it than its name
    )

# In the order. The first three of WITHIN use only names and numbers that the document holds.
KINDS = (
    "swap_within", "swap_outsider", "role_exchange", "number", "date", "place", "organisation", "outcome", "speaker",
)  # fmt: skip
WITHIN = ("swap_within", "role_exchange", "speaker")


@dataclass(frozen=True)
class Corruption:
    """A false summary. `kind` is one of KINDS; `changed` maps the falsified slots to what the text says of them."""

    text: str
    kind: str
    changed: dict[str, str]


def corrupt(story: Story) -> tuple[Corruption, ...]:
    """One corruption of every kind that the facts of the summary allow, in the order of KINDS."""
    found = []
    for kind in KINDS:
        changed = _changes(story, kind, story.generator(f"corruption {kind}"))
        if changed:
            text = summarise(story.kind, story.clauses, story.values | changed)
            found.append(Corruption(text, kind, changed))
    return tuple(found)


def _changes(story: Story, kind: str, generator: random.Random) -> dict[str, str] | None:
    """New values for some slots, or None where the summary tells nothing that could be falsified so."""
    if kind == "swap_within":
        return _replace(generator, story, (PERSON, PLACE, SUM), inside=True)
    if kind == "swap_outsider":
        return _replace(generator, story, (PERSON, PLACE, SUM, ORGANISATION), inside=False)
    if kind == "role_exchange":
        return _exchange(generator, story)
    if kind == "number":
        return _replace(generator, story, (NUMBER, SUM), inside=False)
    if kind == "date":
        return _replace(generator, story, (DATE,), inside=False)
    if kind in ("place", "organisation"):
        return _replace(generator, story, (PLACE if kind == "place" else ORGANISATION,), inside=False)
    if kind == "outcome":
        return _reverse(generator, story)
    return _misattribute(generator, story)


def _told(story: Story) -> list[str]:
    return sorted(story.told)


def _untold_values(story: Story, slot: str) -> list[str]:
    """What the document says of other things of the same sort and the summary does not mention."""
    kind = story.kind
    return [
        value
        for other, value in story.values.items()
        if other not in story.told and kind.slots[other].sort == kind.slots[slot].sort and value != story.values[slot]
    ]


def _replace(generator: random.Random, story: Story, types: tuple[str, ...], *, inside: bool) -> dict[str, str] | None:
    """One slot of these types gets a value of another slot (inside) or one that the story does not hold."""
    slots = [slot for slot in _told(story) if story.kind.slots[slot].type in types and slot not in story.kind.speakers]
    generator.shuffle(slots)
    for slot in slots:
        if inside:
            if values := _untold_values(story, slot):
                return {slot: generator.choice(values)}
            continue
        for _ in range(100):
            value = story.kind.slots[slot].draw(Names(generator, story.split))
            if not _held(story, value):
                return {slot: value}
    return None


def _held(story: Story, value: str) -> bool:
    """Whether the document mentions the value, or the name or number with which it begins."""
    words = set(story.document.replace(".", " ").replace(",", " ").replace('"', " ").split())
    return value.split()[0] in words or value in story.document


def _exchange(generator: random.Random, story: Story) -> dict[str, str] | None:
    """Two slots of one sort, both told, change places."""
    kind, told = story.kind, _told(story)
    couples = [
        (first, second)
        for position, first in enumerate(told)
        for second in told[position + 1 :]
        if kind.slots[first].sort == kind.slots[second].sort
        and kind.slots[first].type != CHOICE
        and story.values[first] != story.values[second]
    ]
    if not couples:
        return None
    first, second = generator.choice(couples)
    return {first: story.values[second], second: story.values[first]}


def _reverse(generator: random.Random, story: Story) -> dict[str, str] | None:
    """The outcome becomes one that excludes the true one."""
    for slot in _told(story):
        if story.kind.slots[slot].reverses:
            others = [phrase for phrase in story.kind.slots[slot].choices if phrase != story.values[slot]]
            return {slot: generator.choice(others)}
    return None


def _misattribute(generator: random.Random, story: Story) -> dict[str, str] | None:
    """The words are put into the mouth of another person of the story."""
    for slot in story.kind.speakers:
        if slot in story.told and (values := _untold_values(story, slot)):
            return {slot: generator.choice(values)}
    return None
