"""A tiny BART and batches for it."""

import numpy as np
from flax import nnx

from quals_jax.models.bart import Bart, BartConfig

CONFIG = BartConfig(
    vocab_size=48, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=32, dropout=0.0, init_std=0.3,
)  # fmt: skip


def tiny_bart(**options):
    return Bart(CONFIG, rngs=nnx.Rngs(0), **options)


def random_part(seed, *, rows=4, source=9, pair=3, target=6):
    """Sources and targets of random lengths, padded."""
    generator = np.random.default_rng(seed)

    def ids(shape):
        array = generator.integers(4, CONFIG.vocab_size, shape).astype(np.int32)
        lengths = generator.integers(2, shape[-1] + 1, shape[:-1])
        return np.where(np.arange(shape[-1]) < lengths[..., None], array, 1).astype(np.int32)

    return {"source_ids": ids((rows, source)), "target_ids": ids((rows, pair, target))}
