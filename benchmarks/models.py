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
    t5: bool = False

    @property
    def end(self) -> int:
        """The id of the end of sentence."""
        return 1 if self.t5 else 2

    @property
    def bytes(self) -> int:
        """Of its float32 parameters, nearly: 28 widths squared a layer of encoder and decoder together, and the tables."""
        return 4 * (28 * self.layers * self.width**2 + (self.vocabulary + 2048) * self.width)


SHAPES = {
    "base": Shape(768, 6, 12, 50265),
    "large": Shape(1024, 12, 16, 50265),
    "t5-small": Shape(512, 6, 8, 32128, t5=True),
}
DECODING = ("search", "answer", "sample")  # programs that have a cache
SUMMARY, DOCUMENT, PAIRS, PAIR = 30, 600, 10, 25  # tokens, tokens, number, tokens


def random_ids(count: int, length: int, seed: int, vocabulary: int, end: int = 2) -> list[list[int]]:
    """Lists of ids that end in the end of sentence."""
    import numpy as np

    generator = np.random.default_rng(seed)
    return [generator.integers(4, vocabulary, length - 1).tolist() + [end] for _ in range(count)]


def random_bart(shape: Shape, dtype: str = "float32"):
    from flax import nnx

    from quals_jax.models.bart import Bart, BartConfig
    from quals_jax.precision import Precision

    size, layers, heads = shape.width, shape.layers, shape.heads
    config = BartConfig(shape.vocabulary, size, layers, layers, heads, heads, 4 * size, 4 * size)
    return Bart(config, rngs=nnx.Rngs(0), dtype=Precision.of(dtype).compute)


def random_model(shape: Shape, dtype: str = "float32"):
    """A T5, or a BART."""
    if not shape.t5:
        return random_bart(shape, dtype)
    from flax import nnx

    from quals_jax.models.t5 import T5, T5Config
    from quals_jax.precision import Precision

    width, layers, heads = shape.width, shape.layers, shape.heads
    config = T5Config(shape.vocabulary, width, width // heads, 4 * width, layers, heads)
    return T5(config, rngs=nnx.Rngs(0), dtype=Precision.of(dtype).compute)


def random_qagen(bart, *, batch_size: int, length: int = PAIR, dtype: str | None = None):
    """A QAGen whose 60 hypotheses have `length` tokens, and no text. `dtype`: how exact its products are, by default as the model's type says."""
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.precision import Precision
    from quals_jax.qagen import QAGen

    class NoTokenizer:
        size, connector, connector_id, folder = bart.config.vocab_size, " strutConnector", 3, None
        decode = staticmethod(lambda ids: "")

    search = SearchConfig(min_length=length - 1, max_length=length - 1)
    precision = Precision.of(dtype) if dtype else None
    return QAGen(bart, NoTokenizer(), search=search, batch_size=batch_size, precision=precision)


def abstract_model(name: str, precision, *, remat: bool = False):
    """A model without numbers: BART's or T5's shapes, or the embedded model's."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    from quals_jax.models.bart import Bart, BartConfig, Buffer
    from quals_jax.models.t5 import T5, T5Config

    if name == "t5_large":
        sizes = T5Config(32128, 1024, 64, 4096, 24, 16, dropout_rate=0.0)
        return nnx.eval_shape(lambda: T5(sizes, rngs=nnx.Rngs(jax.random.key(0)), dtype=precision.compute, remat=remat))
    if name == "embedded":
        from quals_jax.checkpoints import load_checkpoint
        from quals_jax.qagen import EMBEDDED

        config = load_checkpoint(EMBEDDED).config
    else:
        shape = SHAPES[name]
        heads = shape.width // 64
        config = BartConfig(
            shape.vocabulary, shape.width, shape.layers, shape.layers, heads, heads, 4 * shape.width, 4 * shape.width,
            dropout=0.0,
        )  # fmt: skip
    model = nnx.eval_shape(lambda: Bart(config, rngs=nnx.Rngs(jax.random.key(0)), dtype=precision.compute, remat=remat))
    model.final_logits_bias = Buffer(
        jnp.zeros((config.vocab_size,), jnp.float32)
    )  # no parameter: part of a training step
    return model


def cache_sizes(program: str, model, rows: int) -> set[int]:
    """How many numbers the arrays of a program's cache have, in each of its stages."""
    import jax

    from quals_jax.decoding.sampling import SamplingConfig
    from quals_jax.decoding.search_config import SearchConfig
    from quals_jax.decoding.stages import cache_stages
    from quals_jax.places import LONGEST_ANSWER
    from quals_jax.programs import Shapes
    from quals_jax.row_programs import PAIRS_AT_ONCE

    shapes, most = Shapes().for_model(model.config.max_positions), model.config.max_positions
    beam, length = {
        "search": (SearchConfig().num_beams, min(SearchConfig().max_length, most - 1)),
        "sample": (shapes.samples, min(SamplingConfig().max_length, most - 1)),
        "answer": (PAIRS_AT_ONCE, shapes.pair + min(LONGEST_ANSWER, most - shapes.pair - 1)),
    }[program]
    caches = [
        jax.eval_shape(lambda stage=stage: model.init_cache(batch=rows, beam=beam, length=stage))
        for stage in cache_stages(length + 1)
    ]
    return {cache.keys[0].size for cache in caches}
