"""Texts with their targets, and how they become ids."""

from __future__ import annotations

import bisect
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from quals_jax.data.batching import Example
from quals_jax.pair_formats import PairCodec
from quals_jax.tokenizer import BOS

UNKNOWN = "unknown"  # the answer to what a text does not tell; never literally in one, so the filter drops it


@dataclass(frozen=True)
class Target:
    """What is to be written about a text: a summary, or (with an `answer`) a question and its answer.

    `end` is where the answer ends in the text: a pair whose answer was cut off with the text's end is of no use. `given`: the question is
    not learnt, its answer alone.
    """

    text: str
    answer: str | None = None
    end: int | None = None
    given: bool = False


@dataclass(frozen=True)
class Text:
    """`unanswered` counts its questions that it does not answer, whether they are among the targets or not."""

    source: str
    targets: tuple[Target, ...]
    unanswered: int = 0


class Tokenise:
    """`Tokenise(...)(texts)` are their examples; `counts` says what was cut or left out since the start.

    Both limits count every token of a source or target, the end of sentence included. `collapse` makes every run of white
    space a single space, and none at the ends: some of SQuAD's questions are hundreds of spaces. `codec` writes questions with
    their answers as a model's format has them; without one, the reference's.
    """

    together = False  # whether the targets of a text must stay in one row of a batch
    noisy = False  # whether what is made of a text is drawn anew each time, from a generator

    def __init__(
        self, tokenizer, *, source_limit: int, target_limit: int, collapse: bool = False, codec: PairCodec | None = None
    ):  # fmt: skip
        self.tokenizer, self.pad_id = tokenizer, tokenizer.pad_id
        self.codec = codec if codec and codec.format.name != "connector" else None
        self.collapse = collapse
        self.source_limit = source_limit
        self.target_limit = target_limit
        self.counts: Counter[str] = Counter()

    def __call__(self, texts: Sequence[Text]) -> list[Example]:
        if self.collapse:
            texts = [collapsed(text) for text in texts]
        targets = [target for text in texts for target in text.targets]
        strings = [self.tokenizer.prefix + text.source for text in texts] + [target.text for target in targets]
        strings += [target.answer or "" for target in targets]
        pieces = self.tokenizer.encode_pieces(strings)
        sources = pieces[: len(texts)]
        questions, answers = pieces[len(texts) : len(texts) + len(targets)], pieces[len(texts) + len(targets) :]
        ids = iter(map(self._target, targets, questions, answers))
        return [
            self._example(text, source, [next(ids) for _ in text.targets])
            for text, source in zip(texts, sources, strict=True)
        ]

    def _target(self, target: Target, question: list[int], answer: list[int]) -> list[int] | None:
        """The ids of a target; None if it is too long."""
        if target.answer is None:
            pieces = question
        elif self.codec:
            pieces = self.codec.encode(target.text, target.answer)[:-1]
        else:
            pieces = [*question, self.tokenizer.connector_id, *answer]
        return [*pieces, self.tokenizer.eos_id] if len(pieces) < self.target_limit else None

    def _example(self, text: Text, pieces: list[int], targets: list[list[int] | None]) -> Example:
        start = [BOS] if self.tokenizer.source_bos else []
        room = self.source_limit - 1 - len(start)
        cut = len(pieces) > room
        # fairseq: an answer is there if it ends before the last character of what the pieces that are left decode to.
        characters = len(self.tokenizer.decode(pieces[:room])) - len(self.tokenizer.prefix) if cut else len(text.source)
        both = [
            (target, ids)
            for target, ids in zip(text.targets, targets, strict=True)
            if ids is not None and (target.end is None or target.end < characters)
        ]
        kept = tuple(ids for _, ids in both)
        prompts = tuple(self._question_length(ids) if target.given else 0 for target, ids in both)
        self.counts["texts"] += 1
        self.counts["texts_cut"] += cut
        self.counts["targets"] += len(kept)
        if text.unanswered:
            self.counts["questions_unanswered"] += text.unanswered
        self.counts["targets_dropped"] += len(targets) - len(kept)
        source = [*start, *pieces[:room], self.tokenizer.eos_id]
        return Example(source, kept, prompts=prompts if any(prompts) else ())

    def _question_length(self, ids: list[int]) -> int:
        """Tokens up to the answer."""
        return ids.index(self.codec.separator_id if self.codec else self.tokenizer.connector_id) + 1


def collapsed(text: Text) -> Text:
    """The text with every run of white space a single space, and the ends of answers where they are then."""

    def shorter(string: str) -> str:
        return " ".join(string.split())

    def target(own: Target) -> Target:
        answer = None if own.answer is None else shorter(own.answer)
        end = None if own.end is None else len(shorter(text.source[: own.end]))
        return Target(shorter(own.text), answer, end, own.given)

    return Text(shorter(text.source), tuple(map(target, text.targets)), text.unanswered)


def fingerprint(texts: Sequence[Text]) -> str:
    """A hash of all texts and targets, in their order."""
    digest = hashlib.sha256()
    for index in range(len(texts)):
        text = texts[index]
        fields = [text.source, *(str(field) for own in text.targets for field in (own.text, own.answer, own.end))]
        fields += ["given"] * any(own.given for own in text.targets)
        digest.update("\0".join([*fields, ""]).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def by_source(texts: Sequence[Text]) -> list[Text]:
    """The texts with the targets of equal sources together, so that each is encoded once for all of them."""
    together: dict[str, list[Target]] = {}
    unanswered: Counter[str] = Counter()
    for index in range(len(texts)):
        text = texts[index]
        together.setdefault(text.source, []).extend(text.targets)
        unanswered[text.source] += text.unanswered
    return [Text(source, tuple(targets), unanswered[source]) for source, targets in together.items()]


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


class First(Sequence):
    """The first `count` elements of a sequence."""

    def __init__(self, whole: Sequence, count: int):
        self.whole = whole
        self.count = min(count, len(whole))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.whole[index]
