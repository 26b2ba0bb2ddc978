"""Batches of Gazette, each made from its number alone: no story comes twice, and where a run is is one number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np

from quals_jax import gazette
from quals_jax.data.batching import Example, stack
from quals_jax.data.texts import UNKNOWN
from quals_jax.gazette import kind
from quals_jax.tokenizer import Tokenizer

# The longest of 12,000 stories: 182, 50 and 22; of the pairs 1 in 14,000 is longer than 20 and left out. What is longer is
# cut, as any text is that a model cannot hold. So a whole run compiles two programs.
DOCUMENT_TOKENS, SUMMARY_TOKENS, PAIR_TOKENS = 192, 64, 20
DOCUMENT_PAIRS, SUMMARY_PAIRS = 20, 8
SPAN_TOKENS = (5, 14)  # of the copying stage
LISTED_VALUES = (4, 9)
TYPES = (kind.PERSON, kind.PLACE, kind.ORGANISATION, kind.SUM, kind.NUMBER, kind.DATE, kind.CHOICE, UNKNOWN)


class GazetteBatches(Sequence):
    """`count` batches of `rows` texts of a split, each made by `batch` from its number alone when it is asked for."""

    def __init__(self, tokenizer, *, seed: int, split: str, count: int, rows: int):
        self.tokenizer, self.seed, self.split, self.count, self.rows = tokenizer, seed, split, count, rows

    def batch(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        raise NotImplementedError

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.batch(index)


class QagenBatches(GazetteBatches):
    """Batch number `index`: `rows` documents with a pair of every fact, and `summaries` times as many summaries of other
    stories with the pairs that they answer.

    Beside these a summary has `unanswered` questions that it does not answer, given and not learnt, with the answer
    `UNKNOWN`: a search for 60 different pairs asks such questions too, and must not make up answers to them.

    With `longest_pair` a summary's questions are worded to pairs of at most so many tokens, where a fact has such a wording:
    a search ends when 60 hypotheses have ended, and longer pairs never do.

    The first `copy_batches` are copying lessons instead: sources are summaries, or lists of fresh names and numbers,
    targets spans of them. Without them the answers are not learnt (training-notes).
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        seed: int,
        split: str,
        count: int,
        rows: int,
        summaries: int = 1,
        unanswered: int = 0,
        longest_pair: int = 0,
        copy_batches: int = 0,
    ):
        super().__init__(tokenizer, seed=seed, split=split, count=count, rows=rows)
        self.summaries, self.unanswered = summaries, unanswered
        self.longest_pair, self.copy_batches = longest_pair, copy_batches

    def batch(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        generator = random.Random(f"batch/{self.seed}/{self.split}/{index}")
        rows = self.rows * (1 + self.summaries)
        stories = [gazette.story(self.seed, self.split, index * rows + row) for row in range(rows)]
        if index < self.copy_batches:
            return {"copies": self._copies(stories, generator)}
        documents, summaries = stories[: self.rows], stories[self.rows :]
        return {
            "documents": self._part(documents, generator, in_summary=False),
            "summaries": self._part(summaries, generator, in_summary=True),
        }

    def _part(self, stories: list[gazette.Story], generator: random.Random, *, in_summary: bool) -> dict:
        source, most = (SUMMARY_TOKENS, SUMMARY_PAIRS) if in_summary else (DOCUMENT_TOKENS, DOCUMENT_PAIRS)
        unanswered = self.unanswered if in_summary else 0
        texts = [story.summary if in_summary else story.document for story in stories]
        pieces = self.tokenizer.encode_pieces(texts)
        examples = []
        for story, ids in zip(stories, pieces, strict=True):
            fits = self._fits if in_summary and self.longest_pair else None
            questions = chosen_questions(story, generator, in_summary=in_summary, fits=fits)
            targets = [self.tokenizer.encode_pair(question.question, question.answer) for question in questions]
            fits = [number for number, target in enumerate(targets) if len(target) <= PAIR_TOKENS][:most]
            types = [TYPES.index(questions[number].type) for number in fits]
            targets, prompts = [targets[number] for number in fits], [0] * len(fits)
            for question in unanswered_questions(story, generator, unanswered):
                target = self.tokenizer.encode_pair(question, UNKNOWN)
                if len(target) <= PAIR_TOKENS:
                    targets.append(target)
                    prompts.append(target.index(self.tokenizer.connector_id) + 1)
                    types.append(TYPES.index(UNKNOWN))
            examples.append(
                Example([*ids[: source - 1], self.tokenizer.eos_id], tuple(targets), tuple(types), tuple(prompts))
            )
        pair = most + unanswered
        return stack(
            examples, rows=len(stories), source=source, pair=pair, target=PAIR_TOKENS, pad_id=self.tokenizer.pad_id,
            with_types=True,
        )  # fmt: skip

    def _fits(self, question: gazette.Question) -> bool:
        return len(self.tokenizer.encode_pair(question.question, question.answer)) <= self.longest_pair

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
            ids = [*ids[: SUMMARY_TOKENS - 1], self.tokenizer.eos_id]
            spans = []
            for _ in range(SUMMARY_PAIRS):
                length = generator.randint(*SPAN_TOKENS)
                start = generator.randrange(max(1, len(ids) - length))
                spans.append(ids[start : start + length])
            examples.append(Example(ids, tuple(spans)))
        return stack(
            examples, rows=len(stories), source=SUMMARY_TOKENS, pair=SUMMARY_PAIRS, target=PAIR_TOKENS,
            pad_id=self.tokenizer.pad_id, with_types=True,
        )  # fmt: skip


class SummaryBatches(GazetteBatches):
    """Batch number `index` for a summarizer: documents and one reference each, of which `false_share` are false, as
    `gazette.noisy_reference` makes them."""

    def __init__(
        self, tokenizer: Tokenizer, *, seed: int, split: str, count: int, rows: int, false_share: float = 0.0,
        false_kinds: Sequence[str] = (),
    ):  # fmt: skip
        super().__init__(tokenizer, seed=seed, split=split, count=count, rows=rows)
        self.false_share, self.false_kinds = false_share, false_kinds

    def batch(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        stories = [gazette.story(self.seed, self.split, index * self.rows + row) for row in range(self.rows)]
        documents = self.tokenizer.encode_pieces([story.document for story in stories])
        references = [gazette.noisy_reference(story, self.false_share, self.false_kinds).text for story in stories]
        summaries = self.tokenizer.encode_pieces(references)
        end = self.tokenizer.eos_id
        examples = [
            Example([*document[: DOCUMENT_TOKENS - 1], end], ([*summary[: SUMMARY_TOKENS - 1], end],))
            for document, summary in zip(documents, summaries, strict=True)
        ]
        part = stack(
            examples, rows=self.rows, source=DOCUMENT_TOKENS, pair=1, target=SUMMARY_TOKENS,
            pad_id=self.tokenizer.pad_id,
        )  # fmt: skip
        return {"rows": part}


def chosen_questions(
    story: gazette.Story,
    generator: random.Random,
    *,
    in_summary: bool,
    fits: Callable[[gazette.Question], bool] | None = None,
) -> list[gazette.Question]:
    """In random order: a question about every fact of a document, or two about every fact that the summary tells. Of the
    wordings those that fit are taken, if any does."""
    by_slot: dict[str, list[gazette.Question]] = {}
    for question in story.questions:
        if question.in_summary or not in_summary:
            by_slot.setdefault(question.slot, []).append(question)
    chosen = []
    for wordings in by_slot.values():
        if fits is not None:
            wordings = list(filter(fits, wordings)) or wordings
        chosen += generator.sample(wordings, min(len(wordings), 2 if in_summary else 1))
    generator.shuffle(chosen)
    return chosen


def unanswered_questions(story: gazette.Story, generator: random.Random, count: int) -> list[str]:
    """`count` questions that the story's summary does not answer.

    One in four each: about a fact that it does not tell; one that it answers, with another person (place, sum, ...) put
    in; of another story; and, as a search writes them, the head of one question with the tail of another.
    """
    texts = [question.question for question in story.questions]
    untold = [question.question for question in story.questions if question.slot not in story.told]
    told = [question.question for question in story.questions if question.slot in story.told]
    unanswered: list[str] = []
    while len(unanswered) < count:
        way = generator.randrange(4)
        if way == 0:
            question = generator.choice(untold)
        elif way == 1:
            question = _exchanged(generator.choice(told), story.facts, generator)
        elif way == 2:
            other = gazette.story(story.seed, story.split, generator.randrange(2**32))
            question = generator.choice(other.questions).question
        else:
            head, tail = (generator.choice(texts).split() for _ in range(2))
            head, tail = head[: generator.randint(1, len(head) - 1)], tail[generator.randint(1, len(tail) - 1) :]
            question = " ".join(head + tail)
        if question not in told:
            unanswered.append(question)
    return unanswered


def _exchanged(question: str, facts: Sequence[gazette.Fact], generator: random.Random) -> str:
    """The question about another person (place, ...) than the one it names; itself if it names none."""
    named = [fact for fact in facts if fact.value in question]
    if not named:
        return question
    fact = generator.choice(named)
    others = [other.value for other in facts if other.type == fact.type and other.value != fact.value]
    return question.replace(fact.value, generator.choice(others)) if others else question


def twins(tokenizer: Tokenizer) -> list[tuple[int, int]]:
    """Pairs of ids whose pieces differ in a leading space alone, for `copy_init`."""
    ids = {tokenizer.decode([number]): number for number in range(tokenizer.size)}
    return [(number, ids[" " + text]) for text, number in ids.items() if text and " " + text in ids]
