"""Questions, texts, and where in a text the answer stands (or that it does not): what a reader learns from."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np

from quals_jax import gazette
from quals_jax.data.encoder_batching import PairExample, compact, stack_pairs
from quals_jax.data.gazette import GazetteBatches, chosen_questions, unanswered_questions
from quals_jax.data.pairs import read_squad
from quals_jax.windows import Window, windows
from quals_jax.wordpiece import PairTokenizer, Pieces

NOWHERE = ((0,), (0,))  # both at the first position: the text does not answer the question
# Gazette's longest, with the three special tokens: a document and a question, a summary and a question.
DOCUMENT_LENGTH, SUMMARY_LENGTH = 208, 88


def occurrences(text: str, answer: str) -> list[tuple[int, int]]:
    """Where the answer stands in the text as a whole word or words: (start, end) in characters."""
    found, start = [], text.find(answer) if answer else -1
    while start >= 0:
        end = start + len(answer)
        inside = (start > 0 and text[start - 1].isalnum() and answer[0].isalnum()) or (
            end < len(text) and text[end].isalnum() and answer[-1].isalnum()
        )
        if not inside:
            found.append((start, end))
        start = text.find(answer, start + 1)
    return found


def piece_range(pieces: Pieces, start: int, end: int) -> tuple[int, int] | None:
    """The first and the last piece that hold characters start .. end; None if none does."""
    inside = [number for number, (own, last) in enumerate(pieces.spans) if last > start and own < end and last > own]
    return (inside[0], inside[-1]) if inside else None


def example(window: Window, ranges: Sequence[tuple[int, int]]) -> PairExample:
    """The window with those of the answer's places that lie whole in it; without any, it does not answer the question."""
    shift, last = window.start - window.first, window.first + window.count
    inside = [(first + shift, end + shift) for first, end in ranges if window.first <= first and end < last]
    target = (tuple(first for first, _ in inside), tuple(end for _, end in inside)) if inside else NOWHERE
    return PairExample(window.ids, window.segments, target)


def squad_examples(tokenizer: PairTokenizer, path: str, *, length: int, stride: int) -> Iterator[PairExample]:
    """The questions of a file in the layout of SQuAD 1.1 or 2.0, cut into windows; questions marked `is_impossible` have no answer.

    Raises:
        ValueError: naming the file, and the place in it that is not as it should be.
    """
    for context, questions in read_squad(path):
        encoded = tokenizer.encode([context, *(question.text for question in questions)])
        text, rest = encoded[0], encoded[1:]
        for question, pieces in zip(questions, rest, strict=True):
            ranges = [piece_range(text, start, start + len(answer)) for answer, start in question.answers]
            ranges = list(dict.fromkeys(own for own in ranges if own))
            for window in windows(tokenizer, pieces.ids, text.ids, length=length, stride=stride):
                yield compact(example(window, ranges))


class ReaderBatches(GazetteBatches):
    """Batch number `index` of Gazette: `rows` questions about documents and as many about summaries (of other stories), half of
    these without an answer in the summary."""

    unanswered_share = 0.5

    def batch(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        generator = random.Random(f"reading/{self.seed}/{self.split}/{index}")
        stories = [gazette.story(self.seed, self.split, index * 2 * self.rows + row) for row in range(2 * self.rows)]
        return {
            "documents": self._part(stories[: self.rows], generator, in_summary=False),
            "summaries": self._part(stories[self.rows :], generator, in_summary=True),
        }

    def _part(
        self, stories: list[gazette.Story], generator: random.Random, *, in_summary: bool
    ) -> dict[str, np.ndarray]:
        length = SUMMARY_LENGTH if in_summary else DOCUMENT_LENGTH
        rows = [self._row(story, generator, in_summary) for story in stories]
        encoded = self.tokenizer.encode([text for row in rows for text in row[:2]])
        examples = []
        for (_, text, answer), question, pieces in zip(rows, encoded[::2], encoded[1::2], strict=True):
            window = next(windows(self.tokenizer, question.ids, pieces.ids, length=length, stride=length))
            ranges = [piece_range(pieces, start, end) for start, end in occurrences(text, answer)]
            examples.append(example(window, [own for own in ranges if own]))
        return stack_pairs(examples, rows=self.rows, source=length, pad_id=self.tokenizer.pad_id)

    def _row(self, story: gazette.Story, generator: random.Random, in_summary: bool) -> tuple[str, str, str]:
        """A question, the text, and the answer in it ("" for none)."""
        text = story.summary if in_summary else story.document
        if in_summary and generator.random() < self.unanswered_share:
            return unanswered_questions(story, generator, 1)[0], text, ""
        question = chosen_questions(story, generator, in_summary=in_summary)[0]
        return question.question, text, question.answer
