"""What is expected of a training step's exchanges, counted by hand, and what is said where they are others."""

import sys
from pathlib import Path

import jax
import pytest
from flax import nnx

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from exchanges import SCALARS, Expected, expected, faults
from hlo import Collective

from quals_jax import parallel
from quals_jax.models.bart import Bart, BartConfig

WHOLE = Expected(gradients=1000, words=200, uses=3)
PIECES = Expected(gradients=1000, words=200, uses=3, pieces=700)
PARAMETERS = Collective("all-gather", 700, 1, "sharding_constraint")


def sums(numbers: int, times: int = 1) -> Collective:
    return Collective("all-reduce", numbers, times, "dot_general")


@pytest.mark.parametrize("numbers", [1000, 1003, 1200, 1400 + SCALARS])
def test_gradients_summed_once_and_those_of_words_at_every_use(numbers):
    assert faults([sums(100, times=5), sums(numbers - 500)], WHOLE) == []


@pytest.mark.parametrize("numbers", [999, 1001 + SCALARS, 1600, 2000])
def test_less_or_more_than_the_gradients_is_said(numbers):
    assert faults([sums(numbers)], WHOLE) == [f"sums {numbers:,} numbers of all chips; its gradients have 1,000"]


def test_whole_parameters_are_never_brought_together():
    said = faults([sums(1000), PARAMETERS], WHOLE)
    assert said == ["all-gather, though every chip has all parameters"]


def test_parameters_in_pieces_are_brought_together_once_at_most_and_moments_never():
    permuted = Collective("collective-permute", 50, 1, "dot_general")
    assert faults([sums(300), PARAMETERS, permuted], PIECES) == []
    assert faults([sums(300), permuted], PIECES) == []
    twice = faults([sums(300), PARAMETERS, PARAMETERS], PIECES)
    assert twice == ["brings 1,400 numbers of parameters together; 700 lie in pieces"]
    moments = faults([sums(300), PARAMETERS, Collective("all-gather", 700, 1, "mul")], PIECES)
    assert moments == ["exchanges 700 numbers for mul (all-gather)"]
    dealt = faults(
        [sums(300), Collective("all-to-all", 7, 1, "mul"), Collective("collective-permute", 7, 1, "mul")], PIECES
    )
    assert dealt == ["exchanges 7 numbers for mul (all-to-all)", "exchanges 7 numbers for mul (collective-permute)"]


@pytest.mark.parametrize(("numbers", "times", "fault"), [(5, 1, False), (6, 1, True), (3, 2, True)])
def test_the_edges_of_pieces_are_few(numbers, times, fault):
    edge = Collective("collective-permute", numbers, times, "unknown")
    assert bool(faults([sums(300), PARAMETERS, edge], PIECES)) == fault


def test_sizes_of_a_tiny_bart():
    """By hand: an attention of width 8 has 4 (64 + 8) numbers, a feed-forward network of 16 has 2 (8 x 16) + 16 + 8, a norm 16."""
    config = BartConfig(
        vocab_size=8192, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=100,
    )  # fmt: skip
    model = nnx.eval_shape(lambda: Bart(config, rngs=nnx.Rngs(0)))
    attention, network, norm, words = 4 * 72, 2 * 128 + 24, 16, 8192 * 8
    layers = 3 * attention + 2 * network + 5 * norm
    positions = 8 * (100 + 64)  # of documents of 100 tokens, and targets of 64
    gradients = words + positions + 2 * norm + layers
    mesh = parallel.make_mesh(jax.devices()[:2])
    assert expected("train_mle", model, mesh, shard_params=False) == Expected(gradients, words, 3)
    assert expected("train_conseq", model, mesh, shard_params=True) == Expected(gradients, words, 4, pieces=words)
