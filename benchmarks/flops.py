"""Floating-point operations of a BART, in closed form: a multiplication and its addition are two. What a text needs, without padding."""

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
