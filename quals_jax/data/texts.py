"""Texts with their targets, and how they become ids."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from quals_jax.data.batching import Example

EOS_ID = 2


@dataclass(frozen=True)
class Target:
    """What is to be written about a text: a summary, or (with an `answer`) a question and its answer.

    `end` is where the answer ends in the text: a pair whose answer was cut off with the text's end is of no use.
    """

    text: str
    answer: str | None = None
    end: int | None = None
    type: int = 0


@dataclass(frozen=True)
class Text:
    source: str
    targets: tuple[Target, ...]


class Tokenise:
    """`Tokenise(...)(text)` is its `Example`; `counts` says what was cut or left out since the start.

    `source_limit` counts the end of sentence (and `<s>`, where the model wants one in front).
    """

    def __init__(self, tokenizer, *, source_bos: bool, source_limit: int, target_limit: int):
        self.tokenizer = tokenizer
        self.source_bos = source_bos
        self.source_limit = source_limit
        self.target_limit = target_limit
        self.counts: Counter[str] = Counter()

    def __call__(self, text: Text) -> Example:
        pieces = self.tokenizer.encode_target(text.source)
        room = self.source_limit - 1 - self.source_bos
        cut = len(pieces) > room
        # fairseq: the length in characters of what the pieces that are left decode to.
        characters = len(self.tokenizer.decode(pieces[:room])) if cut else len(text.source)
        targets, types = [], []
        for target in text.targets:
            if target.end is not None and target.end >= characters:
                continue
            ids = self._target(target)
            if ids is not None:
                targets.append(ids)
                types.append(target.type)
        self.counts["texts"] += 1
        self.counts["texts_cut"] += cut
        self.counts["targets"] += len(targets)
        self.counts["targets_dropped"] += len(text.targets) - len(targets)
        source = [0] * self.source_bos + pieces[:room] + [EOS_ID]
        return Example(source, tuple(targets), tuple(types))

    def _target(self, target: Target) -> list[int] | None:
        """The ids of a target; None if it is too long."""
        pieces = self.tokenizer.encode_target(target.text)
        if target.answer is not None:
            pieces = [*pieces, self.tokenizer.connector_id, *self.tokenizer.encode_target(target.answer)]
        return [*pieces, EOS_ID] if len(pieces) < self.target_limit else None


class Joined(Sequence):
    """Several sequences one after the other."""

    def __init__(self, parts: Sequence[Sequence]):
        self.parts = [part for part in parts if len(part)]
        self.starts = [0]
        for part in self.parts:
            self.starts.append(self.starts[-1] + len(part))

    def __len__(self) -> int:
        return self.starts[-1]

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect.bisect_right(self.starts, index) - 1
        return self.parts[number][index - self.starts[number]]
