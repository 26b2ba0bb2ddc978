"""Which words Gazette can write, and how much of a text is made of others."""

from __future__ import annotations

import re
from functools import cache

from quals_jax.gazette.kinds import all_kinds

WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
GENITIVE = re.compile(r"['\u2019]s$")
OTHERS = ("million", "crowns", "and", "while")  # what sums and the joints of clauses are made of


@cache
def vocabulary() -> frozenset[str]:
    """Every word that Gazette writes, in lower case; names apart, of which there are as many as anyone likes."""
    words = set(OTHERS)
    for kind in all_kinds().values():
        for template in kind.templates + kind.question_templates:
            words |= template.words()
        for slot in kind.slots.values():
            words.update(word for phrase in slot.choices for word in WORD.findall(phrase.lower()))
    return frozenset(words)


def foreign_share(text: str) -> float | None:
    """The share of a text's words that Gazette never writes; None for a text of names, numbers and signs alone.

    A genitive is no other word. Words that begin with a capital letter may be names, and are not counted; of a text without small letters all are.
    """
    words = WORD.findall(text)
    counted = [word for word in words if not word[0].isupper()] or [word.lower() for word in words if word.isupper()]
    known = vocabulary()
    return sum(GENITIVE.sub("", word) not in known for word in counted) / len(counted) if counted else None
