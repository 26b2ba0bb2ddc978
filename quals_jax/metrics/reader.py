"""A reader: a BERT that finds the answer to a question in a text, or that the text has none (as for SQuAD 2.0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from quals_jax.encoder import Encoder
from quals_jax.windows import Window, windows
from quals_jax.wordpiece import PairTokenizer

NO_ANSWER = ""


@dataclass(frozen=True)
class ReaderConfig:
    """The settings of the usual programs for SQuAD 2.0. window, stride: pieces that are read at once, and from one window to the next.
    longest_answer: in pieces. threshold: how much likelier "no answer" must be than the best answer, in logits, to be given."""

    window: int = 384
    stride: int = 128
    longest_answer: int = 30
    threshold: float = 0.0


class Reader:
    """model: its name in signatures."""

    def __init__(
        self, encoder: Encoder, tokenizer: PairTokenizer, config: ReaderConfig | None = None, *, model: str = "model"
    ):  # fmt: skip
        self.encoder, self.tokenizer, self.model = encoder, tokenizer, model
        self.config = config or ReaderConfig()
        self.window = min(self.config.window, encoder.config.max_positions)

    def answer(self, questions: Sequence[str], texts: Sequence[str]) -> list[str]:
        """The answer to every question in the text beside it, as it stands there; "" where the text has none."""
        distinct = list(dict.fromkeys(texts))
        pieces = dict(zip(distinct, self.tokenizer.encode(distinct), strict=True))
        cut = [
            list(windows(self.tokenizer, question.ids, pieces[text].ids, length=self.window, stride=self.config.stride))
            for question, text in zip(self.tokenizer.encode(questions), texts, strict=True)
        ]
        logits = iter(self.encoder.spans([(window.ids, window.segments) for own in cut for window in own]))
        answers = []
        for own, text in zip(cut, texts, strict=True):
            span = best_span(own, [next(logits) for _ in own], self.config)
            spans = pieces[text].spans
            answers.append(text[spans[span[0]][0] : spans[span[1]][1]].strip() if span else NO_ANSWER)
        return answers


def best_span(
    own: Sequence[Window], logits: Sequence[Float[np.ndarray, "source 2"]], config: ReaderConfig
) -> tuple[int, int] | None:
    """The first and the last piece of the likeliest answer in any window; None where that there is none is likelier.

    A piece that several windows hold may begin an answer only in the window that shows most of what stands around it. That there is no
    answer is as likely as the window says that finds it least likely: one that holds the answer speaks for all.
    """
    best, best_score, nowhere = None, -np.inf, np.inf
    for number, (window, scores) in enumerate(zip(own, logits, strict=True)):
        nowhere = min(nowhere, float(scores[0, 0] + scores[0, 1]))
        if not window.count:
            continue
        inside = slice(window.start, window.start + window.count)
        starts, ends = (scores[inside, side].astype(np.float64) for side in (0, 1))
        sums = starts[:, None] + ends[None, :]
        length = np.arange(window.count)[None, :] - np.arange(window.count)[:, None]
        sums[(length < 0) | (length >= config.longest_answer)] = -np.inf
        for place in range(window.count):
            if len(own) > 1 and shown_best(own, window.first + place) != number:
                sums[place] = -np.inf
        first, last = np.unravel_index(np.argmax(sums), sums.shape)
        if sums[first, last] > best_score:
            best, best_score = (window.first + int(first), window.first + int(last)), float(sums[first, last])
    return best if best is not None and nowhere - best_score <= config.threshold else None


def shown_best(own: Sequence[Window], piece: int) -> int:
    """Which of the windows shows most of what stands around a piece: the shorter of its two sides counts, then the window's length."""

    def around(number: int) -> float:
        window = own[number]
        left, right = piece - window.first, window.first + window.count - 1 - piece
        return min(left, right) + 0.01 * window.count if left >= 0 and right >= 0 else -np.inf

    return max(range(len(own)), key=around)
