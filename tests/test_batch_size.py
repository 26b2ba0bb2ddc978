"""Which batch size is found for a device, where what programs want of its memory is known."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from quals_jax import batch_size, parallel
from quals_jax.batch_size import MOST, ON_CPU, inference_bytes, largest_batch_size, largest_that_fits
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.precision import Precision

CONFIG = BartConfig(
    vocab_size=64, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=64,
)  # fmt: skip


@pytest.mark.parametrize("memory", [0, 99, 100, 149, 150, 250, 900, 901, 1699, 1700, 4000, 1e9])
@pytest.mark.parametrize("row", [50, 700.5])
def test_the_largest_power_of_two_of_a_line(memory, row):
    def bytes_of(rows):
        return 100 + row * rows

    fitting = [2**power for power in range(9) if bytes_of(2**power) <= memory]
    assert largest_that_fits(bytes_of, memory) == max(fitting, default=1)
    assert MOST == 2**8


def test_what_does_not_fit_after_all_is_halved_and_nothing_is_asked_twice():
    asked = []

    def bytes_of(rows):  # a compiler that finds no room for 64, whatever the line says
        asked.append(rows)
        return float("inf") if rows >= 64 else rows

    assert largest_that_fits(bytes_of, 200) == 32
    assert asked == [8, 16, 128, 64, 32]


def test_a_device_with_memory_for_nothing_takes_a_row():
    assert largest_that_fits(lambda rows: float("inf"), 1e12) == 1


def test_the_programs_say_what_they_hold():
    """A model's parameters and its sources' ids are among it, and rows cost the same each."""
    model, mesh = Bart(CONFIG, rngs=nnx.Rngs(0), dtype=jnp.float32), parallel.make_mesh(jax.devices()[:1])
    held = [inference_bytes(model, Precision.of("float32"), mesh, rows) for rows in (4, 8)]
    parameters = sum(array.nbytes for array in jax.tree.leaves(nnx.state(model, nnx.Param)))
    # The cache of 60 beams, keys and values of 60 positions of one layer, in float32.
    cache = 2 * 60 * 60 * CONFIG.d_model * 4
    assert held[0] > parameters + 4 * cache
    assert 4 * cache < held[1] - held[0] < held[0] + 4 * cache


def test_on_a_cpu_it_is_a_number_and_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(batch_size, "inference_bytes", lambda *_: pytest.fail("compiled"))
    mesh = parallel.make_mesh(jax.devices("cpu")[:1])
    assert largest_batch_size(None, Precision.of("float32"), mesh) == ON_CPU
