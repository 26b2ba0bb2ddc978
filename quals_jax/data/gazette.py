"""Batches of Gazette, each made from its number alone: no story comes twice, and where a run is is one number."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from quals_jax import gazette
from quals_jax.data.batching import Example, stack
from quals_jax.gazette import kind
from quals_jax.tokenizer import EOS, Tokenizer

# The longest of 12,000 stories: 182, 50 and 22; of the pairs 1 in 14,000 is longer than 20 and left out. What is longer is
# cut, as any text is that a model cannot hold. So a whole run compiles two programs.
DOCUMENT_TOKENS, SUMMARY_TOKENS, PAIR_TOKENS = 192, 64, 20
DOCUMENT_PAIRS, SUMMARY_PAIRS = 20, 8
SPAN_TOKENS = (5, 14)  # of the copying stage
LISTED_VALUES = (4, 9)
TYPES = (kind.PERSON, kind.PLACE, kind.ORGANISATION, kind.SUM, kind.NUMBER, kind.DATE, kind.CHOICE)


class QagenBatches(Sequence):
    """Batch number `index`: `documents` with a pair of every fact, and `summaries` of other stories with the pairs
    that they answer.

    The first `copy_batches` are copying lessons instead: sources are summaries, or lists of fresh names and numbers,
    targets spans of them. Without them the answers are not learnt (training-notes).
    """

    def __init__(self, tokenizer: Tokenizer, *, seed: int, split: str, count: int, rows: int, copy_batches: int = 0):
        self.tokenizer = tokenizer
        self.seed, self.split, self.count = seed, split, count
        self.rows, self.copy_batches = rows, copy_batches

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        generator = random.Random(f"batch/{self.seed}/{self.split}/{index}")
        first = index * 2 * self.rows
        stories = [gazette.story(self.seed, self.split, first + row) for row in range(2 * self.rows)]
        if index < self.copy_batches:
            return {"copies": self._copies(stories, generator)}
        documents, summaries = stories[: self.rows], stories[self.rows :]
        return {
            "documents": self._part(documents, generator, in_summary=False),
            "summaries": self._part(summaries, generator, in_summary=True),
        }

    def _part(self, stories: list[gazette.Story], generator: random.Random, *, in_summary: bool) -> dict:
        source, most = (SUMMARY_TOKENS, SUMMARY_PAIRS) if in_summary else (DOCUMENT_TOKENS, DOCUMENT_PAIRS)
        texts = [story.summary if in_summary else story.document for story in stories]
        pieces = self.tokenizer.encode_pieces(texts)
        examples = []
        for story, ids in zip(stories, pieces, strict=True):
            questions = chosen_questions(story, generator, in_summary=in_summary)
            targets = [self.tokenizer.encode_pair(question.question, question.answer) for question in questions]
            fits = [number for number, target in enumerate(targets) if len(target) <= PAIR_TOKENS][:most]
            types = tuple(TYPES.index(questions[number].type) for number in fits)
            examples.append(Example([*ids[: source - 1], EOS], tuple(targets[number] for number in fits), types))
        return stack(examples, rows=self.rows, source=source, pair=most, target=PAIR_TOKENS, with_types=True)

    def _copies(self, stories: list[gazette.Story], generator: random.Random) -> dict:
        texts = []
        for story in stories:
            values = [fact.value for fact in story.facts]
            generator.shuffle(values)
            joint = generator.choice((", ", " and ", "; ", " "))
            listed = joint.join(values[: generator.randint(*LISTED_VALUES)])
            texts.append(story.summary if generator.random() < 0.5 else listed)
        examples = []
        for ids in self.tokenizer.encode_pieces(texts):
            ids = [*ids[: SUMMARY_TOKENS - 1], EOS]
            spans = []
            for _ in range(SUMMARY_PAIRS):
                length = generator.randint(*SPAN_TOKENS)
                start = generator.randrange(max(1, len(ids) - length))
                spans.append(ids[start : start + length])
            examples.append(Example(ids, tuple(spans)))
        return stack(
            examples, rows=2 * self.rows, source=SUMMARY_TOKENS, pair=SUMMARY_PAIRS, target=PAIR_TOKENS, with_types=True
        )


class SummaryBatches(Sequence):
    """Batch number `index` for a summarizer: documents and one reference each, of which `false_share` are false."""

    def __init__(self, tokenizer: Tokenizer, *, seed: int, split: str, count: int, rows: int, false_share: float = 0.0):
        self.tokenizer = tokenizer
        self.seed, self.split, self.count = seed, split, count
        self.rows, self.false_share = rows, false_share

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        stories = [gazette.story(self.seed, self.split, index * self.rows + row) for row in range(self.rows)]
        documents = self.tokenizer.encode_pieces([story.document for story in stories])
        references = [gazette.noisy_reference(story, self.false_share).text for story in stories]
        summaries = self.tokenizer.encode_pieces(references)
        examples = [
            Example([*document[: DOCUMENT_TOKENS - 1], EOS], ([*summary[: SUMMARY_TOKENS - 1], EOS],))
            for document, summary in zip(documents, summaries, strict=True)
        ]
        return {"rows": stack(examples, rows=self.rows, source=DOCUMENT_TOKENS, pair=1, target=SUMMARY_TOKENS)}


def chosen_questions(story: gazette.Story, generator: random.Random, *, in_summary: bool) -> list[gazette.Question]:
    """In random order: a question about every fact of a document, or two about every fact that the summary tells."""
    by_slot: dict[str, list[gazette.Question]] = {}
    for question in story.questions:
        if question.in_summary or not in_summary:
            by_slot.setdefault(question.slot, []).append(question)
    chosen = []
    for wordings in by_slot.values():
        chosen += generator.sample(wordings, min(len(wordings), 2 if in_summary else 1))
    generator.shuffle(chosen)
    return chosen


def twins(tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """Pairs of ids whose pieces differ in a leading space alone, for `copy_init`."""
    ids = {tokenizer.decode([number]): number for number in range(tokenizer.size)}
    return [(number, ids[" " + text]) for text, number in ids.items() if text and " " + text in ids]
