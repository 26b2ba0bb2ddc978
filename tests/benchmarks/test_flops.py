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
import models

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


def test_bytes_of_a_search_by_hand():
    """2 rows of 3 beams, 2 steps, a text of 5 tokens, width 4, 1 layer, 7 words; weights 2 (14 x 16 + 7 x 4) = 504, logits 2 x 4 x 6 x 7 = 336,
    texts 2 x 2 x 2 x 5 x 4 = 160; after one step 2 x 2 x 6 x 4 = 96 bytes are held, after two 192."""
    found = flops.search_bytes(2, 2, 5, 4, 1, 7, beams=3)
    assert found == 2 * (504 + 336 + 160) + 3 * (96 + 192)


def test_no_chip_is_faster_than_its_operations_or_its_memory():
    large = models.SHAPES["large"]
    free, slow = flops.bound(8, large, 1e15, 1e20), flops.bound(8, large, 1e15, 1e12)
    assert flops.bound(8, large, 2e15, 1e20) == pytest.approx(2 * free)
    assert slow < free and flops.bound(64, large, 1e15, 1e12) > slow  # weights are read once for all rows
