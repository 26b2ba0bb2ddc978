"""What the document answers to the questions of pairs: the same model is asked, the question given as the beginning of what it writes.

That is QUALS turned round: a pair's score says how far the document supports the summary's answer, the document's answer says what it
supports instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from quals_jax.long_documents import TRUNCATE, document_windows
from quals_jax.pairs import QAPair
from quals_jax.places import LONGEST_ANSWER, answer_places
from quals_jax.qagen import QAGen
from quals_jax.spans import locate

NEAR = 160  # characters of a text that are spelled for one answer; LONGEST_ANSWER pieces are fewer


@dataclass(frozen=True)
class DocumentAnswer:
    """text: as decoded; None where the model says what it was taught to say where a text has no answer. logprob: the natural logarithm
    of how likely the model finds all of it (with its end) behind the question, given the document. span: start and end in the
    document where it literally stands there, whole words first and whatever the case."""

    text: str | None
    logprob: float
    span: tuple[int, int] | None

    def fields(self) -> dict:
        """As the fields of a scored pair."""
        return {
            "document_answer": self.text,
            "document_answer_logprob": self.logprob,
            "document_answer_span": self.span,
        }


def ask_documents(
    qagen: QAGen,
    documents: Sequence[str],
    pair_lists: Sequence[Sequence[QAPair]],
    long_documents: str = TRUNCATE,
    *,
    quoting: bool = True,
) -> list[list[DocumentAnswer]]:
    """Per document and pair, the answer that is decoded from the document behind the pair's question, greedily. A document is encoded
    once, and a question that several of its pairs have is asked once.

    long_documents: as in `Quals`; of several windows the answer of that one is taken which makes question and answer together likeliest.
    quoting: answers are spans of the document by construction (or the model's word for "no answer").

    Raises:
        ValueError: if the lists differ in length, or a pair has no answer in the model's format.
    """
    if len(documents) != len(pair_lists):
        raise ValueError(f"there are {len(documents)} documents, and pairs for {len(pair_lists)}")
    codec = qagen.codec
    parts = [_parts(qagen, document, long_documents) for document in documents]
    prompts = [[tuple(codec.prompt(pair.tokens)) for pair in pairs] for pairs in pair_lists]
    distinct = [list(dict.fromkeys(own)) for own in prompts]
    written = iter(
        qagen.runner.continuations(
            [part.ids for own in parts for part in own],
            [asked for own, asked in zip(parts, distinct, strict=True) for _ in own],
            max_length=LONGEST_ANSWER,
            forbidden=() if codec.separator_id is None else (codec.separator_id,),
            places=[_places(qagen, part) for own in parts for part in own] if quoting else None,
        )
    )
    answers = []
    for own, pairs, asked in zip(parts, prompts, distinct, strict=True):
        found = [(part, next(written)) for part in own]
        told = {}
        for number, prompt in enumerate(asked):
            part, best = max(
                ((part, said[number]) for part, said in found), key=lambda one: one[1][2] + one[1][1].sum()
            )
            told[prompt] = _answer(qagen, part, *best[:2])
        answers.append([told[prompt] for prompt in pairs])
    return answers


@dataclass(frozen=True)
class _Part:
    """What the model reads at once: a text that begins at `start` in its document, and its ids."""

    text: str
    start: int
    ids: list[int]


def _parts(qagen: QAGen, document: str, long_documents: str) -> list[_Part]:
    if long_documents == TRUNCATE:
        return [_Part(document, 0, qagen.tokenizer.encode(document))]
    windows = document_windows(qagen.tokenizer, document, qagen.window_tokens)
    return [_Part(document[window.start : window.end], window.start, window.ids) for window in windows]


def _answer(qagen: QAGen, part: _Part, ids: Sequence[int], logprobs: Float[np.ndarray, "time"]) -> DocumentAnswer:
    text, logprob = qagen.codec.answer(ids), float(logprobs.sum())
    if qagen.unknown and text.strip() == qagen.unknown:
        return DocumentAnswer(None, logprob, None)
    place = locate(text, part.text)
    return DocumentAnswer(text, logprob, None if place is None else (part.start + place[0], part.start + place[1]))


def _places(qagen: QAGen, part: _Part) -> list[tuple[list[int], list[bool]]]:
    def encode(texts: Sequence[str]) -> list[list[int]]:
        return qagen.tokenizer.encode_pieces([text[:NEAR] for text in texts])

    pieces = qagen.tokenizer.encode_pieces([part.text])[0]
    read = qagen.tokenizer.decode(
        pieces[: len(part.ids)]
    )  # as the model reads and writes it, and no more of it than it reads
    return answer_places(read, encode, qagen.tokenizer.decode, unknown=qagen.unknown)
