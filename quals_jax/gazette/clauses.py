"""A summary as clauses: pieces of text in which the values of a story are put, true or not."""

from __future__ import annotations

import random
from dataclasses import dataclass

from quals_jax.gazette.kind import Kind
from quals_jax.gazette.template import Template, sentence


@dataclass(frozen=True)
class Clause:
    """One piece of a summary: what to put in front of it, and its wording with the random wordings already chosen."""

    joint: str
    template: Template


def summarise(kind: Kind, clauses: tuple[Clause, ...], values: dict[str, str]) -> str:
    """The text of a summary with these values, true or not."""
    generator = random.Random(0)  # the random wordings were chosen when the clauses were made
    text = ""
    for clause in clauses:
        words = clause.template.render(
            values.__getitem__, lambda slot: kind.slots[slot].choices.index(values[slot]), generator
        )
        text = (
            sentence(text) + " " + words[0].upper() + words[1:] if clause.joint == "." else text + clause.joint + words
        )
    return sentence(text)
