"""Questions for a given answer: what QAGS's question generator learns from."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from quals_jax import gazette
from quals_jax.asking import encode_prompts, joined
from quals_jax.data.batching import Example, stack
from quals_jax.data.gazette import GazetteBatches
from quals_jax.data.texts import Target, Text

SOURCE_TOKENS, QUESTION_TOKENS, WORDINGS = 96, 20, 4


class AnswerConditioned(Sequence):
    """Texts of one answer each, with the questions to it as targets, from texts with question-answer pairs.

    A text that is too long is cut at its end, and its answer with it: then it teaches nothing, and is left out by `Tokenise`.
    """

    def __init__(self, texts: Sequence[Text]):
        self._texts: list[Text] = []
        for number in range(len(texts)):
            by_answer: dict[str, list[str]] = {}
            for target in texts[number].targets:
                if target.answer is None:
                    raise ValueError(
                        "these data hold no questions with answers; kind questions needs squad:, newsqa: or gazette:"
                    )
                if target.answer.strip():
                    by_answer.setdefault(target.answer.strip(), []).append(target.text)
            for answer, questions in by_answer.items():
                source = joined(texts[number].source, answer)
                end = len(source) - 1
                targets = tuple(Target(question, end=end) for question in dict.fromkeys(questions))
                self._texts.append(Text(source, targets))

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, index: int) -> Text:
        return self._texts[index]


class QuestionBatches(GazetteBatches):
    """Batch number `index` of Gazette: `rows` summaries, of each one fact that it tells with up to four wordings of the question."""

    def batch(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        generator = random.Random(f"questions/{self.seed}/{self.split}/{index}")
        texts, answers, questions = [], [], []
        for row in range(self.rows):
            story = gazette.story(self.seed, self.split, index * self.rows + row)
            own = [question for question in story.questions if question.in_summary]
            answer = generator.choice(sorted({question.answer for question in own}))
            wordings = [question.question for question in own if question.answer == answer]
            texts.append(story.summary)
            answers.append(answer)
            questions.append(generator.sample(wordings, min(len(wordings), WORDINGS)))
        sources = encode_prompts(self.tokenizer, texts, answers, limit=SOURCE_TOKENS)
        examples = []
        for source, own in zip(sources, questions, strict=True):
            targets = [
                [*ids, self.tokenizer.eos_id] for ids in self.tokenizer.encode_pieces(own) if len(ids) < QUESTION_TOKENS
            ]
            examples.append(Example(source, tuple(targets)))
        part = stack(
            examples, rows=self.rows, source=SOURCE_TOKENS, pair=WORDINGS, target=QUESTION_TOKENS,
            pad_id=self.tokenizer.pad_id,
        )  # fmt: skip
        return {"rows": part}
