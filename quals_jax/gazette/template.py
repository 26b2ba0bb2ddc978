"""A template: the one markup in which documents, summaries and questions are written.

    {winner}                the value of a slot
    [beat|outpointed]       any one of the wordings, at random (an empty one is allowed)
    [title:kept|lost]       the wording that belongs to the slot's value (its first, its second, ...)

A template renders to text (`render`), and turns into a regular expression that reads it back (`pattern`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

_ITEM = re.compile(r"\{(\w+)\}|\[(?:(\w+):)?([^\]\[{}]*)\]")


@dataclass(frozen=True)
class Template:
    """One wording. `items` are plain strings, ("slot", name), ("any", wordings) or ("by", name, wordings)."""

    text: str

    @cached_property
    def items(self) -> tuple:
        items, position = [], 0
        for match in _ITEM.finditer(self.text):
            if match.start() > position:
                items.append(self.text[position : match.start()])
            slot, by, wordings = match.groups()
            if slot:
                items.append(("slot", slot))
            elif by:
                items.append(("by", by, tuple(wordings.split("|"))))
            else:
                items.append(("any", tuple(wordings.split("|"))))
            position = match.end()
        if position < len(self.text):
            items.append(self.text[position:])
        return tuple(items)

    @cached_property
    def slots(self) -> frozenset[str]:
        """The slots whose value this wording states."""
        return frozenset(item[1] for item in self.items if not isinstance(item, str) and item[0] != "any")

    @cached_property
    def mentions(self) -> tuple[str, ...]:
        """The slots that it names literally, in order."""
        return tuple(item[1] for item in self.items if item[0] == "slot" and not isinstance(item, str))

    def render(self, value: Callable[[str], str], index: Callable[[str], int], generator: random.Random) -> str:
        """Its text, with `value(slot)` for a slot and `index(slot)` choosing among wordings that depend on a slot."""
        parts = []
        for item in self.items:
            if isinstance(item, str):
                parts.append(item)
            elif item[0] == "slot":
                parts.append(value(item[1]))
            elif item[0] == "any":
                parts.append(generator.choice(item[1]))
            else:
                parts.append(item[2][index(item[1])])
        return re.sub(r"\s+", " ", "".join(parts)).replace(" ,", ",").replace(" .", ".").strip()

    def words(self) -> set[str]:
        """Every word that it can write by itself, in lower case."""
        words = set()
        for item in self.items:
            texts = (item,) if isinstance(item, str) else item[-1] if item[0] != "slot" else ()
            for text in texts:
                words.update(re.findall(r"[a-z]+(?:-[a-z]+)*", text.lower()))
        return words


def sentence(text: str) -> str:
    """The text with a capital first letter, within a quotation too, and a full stop."""
    first = 1 if text.startswith('"') else 0
    text = text[:first] + text[first : first + 1].upper() + text[first + 1 :]
    return text if text.endswith((".", "!", "?", '."')) else text + "."
