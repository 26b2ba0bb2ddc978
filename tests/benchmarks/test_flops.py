"""The closed forms against what XLA counts in its own programs."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from quals_jax.models.bart import Bart, BartConfig
from quals_jax.models.teacher_forcing import encode_memory

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import flops

# One layer: XLA counts a loop over layers once, however long it is.
WIDTH, LAYERS, VOCABULARY, SOURCE, LENGTH, PAIRS = 128, 1, 512, 48, 16, 3


@pytest.fixture(scope="module")
def model():
    return Bart(BartConfig(VOCABULARY, WIDTH, LAYERS, LAYERS, 2, 2, 4 * WIDTH, 4 * WIDTH), rngs=nnx.Rngs(0))


def counted(function, *arguments) -> float:
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]


def test_encoding_needs_what_xla_counts(model):
    source = jnp.full((1, SOURCE), 5)
    expected = counted(lambda ids: encode_memory(model, ids), source)
    assert flops.encode(SOURCE, WIDTH, LAYERS) == pytest.approx(expected, rel=0.08)


def test_decoding_needs_what_xla_counts(model):
    memory = encode_memory(model, jnp.full((1, SOURCE), 5))
    expected = counted(lambda ids: model.logits(model.decode(ids, memory)[0]), jnp.full((1, PAIRS, LENGTH), 5))
    # XLA's program attends to the later tokens of a sequence too, and masks them.
    masked = 2 * PAIRS * LENGTH * (LENGTH - 1) * WIDTH * LAYERS
    own = flops.decode(PAIRS, LENGTH, SOURCE, WIDTH, LAYERS, VOCABULARY)
    assert own + masked == pytest.approx(expected, rel=0.08)
