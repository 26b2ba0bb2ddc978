"""Models of known shapes with random weights, and ids for them: what the benchmarks share.

Random weights never end a sentence, so every hypothesis runs to the full length.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    width: int
    layers: int
    heads: int
    vocabulary: int

    @property
    def bytes(self) -> int:
        """Of its float32 parameters, nearly: 28 widths squared a layer of encoder and decoder together, and the tables."""
        return 4 * (28 * self.layers * self.width**2 + (self.vocabulary + 2048) * self.width)


SHAPES = {"base": Shape(768, 6, 12, 50265), "large": Shape(1024, 12, 16, 50265)}
SUMMARY, DOCUMENT, PAIRS, PAIR = 30, 600, 10, 25  # tokens, tokens, number, tokens


def random_ids(count: int, length: int, seed: int, vocabulary: int) -> list[list[int]]:
    """Lists of ids that end in the end of sentence."""
    import numpy as np

    generator = np.random.default_rng(seed)
    return [generator.integers(4, vocabulary, length - 1).tolist() + [2] for _ in range(count)]


def random_bart(shape: Shape, dtype: str = "float32"):
    import jax.numpy as jnp
    from flax import nnx

    from quals_jax.models.bart import Bart, BartConfig

    size, layers, heads = shape.width, shape.layers, shape.heads
    config = BartConfig(shape.vocabulary, size, layers, layers, heads, heads, 4 * size, 4 * size)
    return Bart(config, rngs=nnx.Rngs(0), dtype=jnp.dtype(dtype))


def random_qagen(bart, *, batch_size: int, length: int = PAIR):
    """A QAGen whose 60 hypotheses have `length` tokens, and no text."""
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.qagen import QAGen

    class NoTokenizer:
        size, connector, connector_id, folder = bart.config.vocab_size, " strutConnector", 3, None
        decode = staticmethod(lambda ids: "")

    search = SearchConfig(min_length=length - 1, max_length=length - 1)
    return QAGen(bart, NoTokenizer(), search=search, batch_size=batch_size)
