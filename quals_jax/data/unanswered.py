"""Questions that a text does not answer, borrowed from other texts, for a QAGen to answer with "unknown"."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence

from quals_jax.data.texts import UNKNOWN, Target, Text

NEAR = 10  # texts before and after: in SQuAD mostly paragraphs of the same article, whose questions are the harder ones
TRIES = 8  # for every question wanted; some texts have no fitting neighbours


class WithUnanswered(Sequence):
    """The texts, each with questions of others: `share` for each of its own (0.5: one for two). Half come from neighbours, half from
    anywhere. Which ones hangs on `seed` and the text's number alone.

    Borrowed questions are given, not learnt (`Target.given`): only that the answer is "unknown". One whose own answer stands in the text
    is not taken, in whatever letters: the text might answer it.
    """

    def __init__(self, texts: Sequence[Text], share: float, *, seed: int):
        self.texts, self.share, self.seed = texts, share, seed

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> Text:
        text = self.texts[index]
        generator = random.Random(f"unanswered/{self.seed}/{index}")
        wanted = self.share * len(text.targets)
        count = math.floor(wanted) + (generator.random() < wanted % 1)
        own = {target.text for target in text.targets}
        lowered, borrowed = text.source.lower(), {}
        for _ in range(TRIES * count):
            if len(borrowed) == count:
                break
            other = self.texts[self._place(index, generator)]
            if not other.targets or other.source == text.source:
                continue
            target = generator.choice(other.targets)
            answered = not target.answer or target.answer == UNKNOWN or target.answer.strip().lower() in lowered
            if not answered and target.text not in own:
                borrowed[target.text] = Target(target.text, UNKNOWN, given=True)
        return dataclasses.replace(
            text, targets=(*text.targets, *borrowed.values()), unanswered=text.unanswered + len(borrowed)
        )

    def _place(self, index: int, generator: random.Random) -> int:
        if generator.random() < 0.5:
            return generator.randrange(len(self.texts))
        return generator.randrange(max(0, index - NEAR), min(len(self.texts), index + NEAR + 1))
