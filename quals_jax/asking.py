"""How a text and the answer that a question is wanted for become one source: the text, a mark, the answer, as in the release of QAGS."""

from __future__ import annotations

from collections.abc import Sequence

from quals_jax.tokenizer import BOS, Tokenizer

MARK = "[ANS]"


def joined(text: str, answer: str) -> str:
    """The two as one text."""
    return f"{text.rstrip()} {MARK} {answer.strip()}"


def encode_prompts(
    tokenizer: Tokenizer, texts: Sequence[str], answers: Sequence[str], *, limit: int
) -> list[list[int]]:
    """The source ids of `joined` for every text and its answer, at most `limit`; what is too long loses the end of the text, never the
    answer.

    Raises:
        ValueError: if an answer alone is longer.
    """
    start = [BOS] if tokenizer.source_bos else []
    tails = [f" {MARK} {answer.strip()}" for answer in answers]
    pieces = tokenizer.encode_pieces([*(text.rstrip() for text in texts), *tails])
    sources = []
    for text, tail in zip(pieces[: len(texts)], pieces[len(texts) :], strict=True):
        room = limit - len(start) - len(tail) - 1
        if room < 0:
            raise ValueError(f"an answer of {len(tail)} pieces does not fit a source of {limit}")
        sources.append([*start, *text[:room], *tail, tokenizer.eos_id])
    return sources
