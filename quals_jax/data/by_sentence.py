"""Questions with the one sentence that holds their answer for a text: summaries are as short, and paragraphs alone do not teach them."""

from __future__ import annotations

from collections.abc import Sequence

from quals_jax.data.texts import Target, Text
from quals_jax.sentences import sentences


def by_sentence(texts: Sequence[Text]) -> list[Text]:
    """Every sentence of the texts with the questions whose answer it holds, as a text; sentences without any are left out.

    A question counts only where its answer stands once in the whole text: of several places it is not known which one is meant.
    """
    found = []
    for number in range(len(texts)):
        text = texts[number]
        once = [target for target in text.targets if target.answer and text.source.count(target.answer) == 1]
        for sentence in sentences(text.source) if once else ():
            held: list[Target] = [target for target in once if target.answer in sentence]
            if held:
                found.append(Text(sentence, tuple(held)))
    return found
