"""Floating-point operations of a BART, and bytes that a decoding must move, in closed form: a multiplication and its addition are two. What a text
needs, without padding; and what a chip could do at most by it."""

from __future__ import annotations


def encode(tokens: int, width: int, layers: int) -> int:
    """A text of so many tokens through the encoder, and its keys and values for every decoder layer."""
    projections = (
        8 * tokens * width**2 + 16 * tokens * width**2
    )  # queries, keys, values, output; feed-forward of 4 widths
    attention = 4 * tokens**2 * width
    memory = 4 * tokens * width**2
    return layers * (projections + attention + memory)


def decode(targets: int, length: int, source: int, width: int, layers: int, vocabulary: int) -> int:
    """`targets` sequences of `length` tokens through the decoder, against a text of `source` tokens, with all their logits."""
    tokens = targets * length
    projections = 8 * tokens * width**2 + 4 * tokens * width**2 + 16 * tokens * width**2
    attention = 2 * tokens * (length + 1) * width + 4 * tokens * source * width  # a token sees half of its own sequence
    return layers * (projections + attention) + 2 * tokens * width * vocabulary


def search_bytes(
    rows: int, length: int, source: int, width: int, layers: int, vocabulary: int, *, beams: int = 60, size: int = 2
) -> int:
    """What the search of `rows` texts of `source` tokens reads and writes in main memory at least, in numbers of `size` bytes: at every step the
    decoder's weights, logits in float32 once each way, the keys and values of the texts, and those decoded so far, which are read, and read and
    written again as they move to the chosen beams."""
    weights = size * (14 * layers * width**2 + vocabulary * width)
    logits = 2 * 4 * rows * beams * vocabulary
    texts = size * 2 * layers * rows * source * width
    held = size * 2 * layers * rows * beams * width * sum(range(1, length + 1))
    return length * (weights + logits + texts) + 3 * held


def bound(rows: int, shape, peak: float, bandwidth: float) -> float:
    """Summaries a second that a chip of `peak` operations and `bandwidth` bytes a second could score at most, `rows` at a time: the sizes of
    `models.py`, searching bounded by the slower of its operations and its bytes, all else by its operations."""
    from models import DOCUMENT, PAIR, PAIRS, SUMMARY

    sizes = shape.width, shape.layers
    search = encode(SUMMARY, *sizes) + decode(60, PAIR, SUMMARY, *sizes, shape.vocabulary)
    score = encode(DOCUMENT, *sizes) + decode(PAIRS, PAIR, DOCUMENT, *sizes, shape.vocabulary)
    moved = search_bytes(rows, PAIR, SUMMARY, *sizes, shape.vocabulary)
    return rows / (max(rows * search / peak, moved / bandwidth) + rows * score / peak)
