"""The way by block maxima must be `jax.lax.top_k` to the last tie, since only GPUs take it and they must find the same hypotheses."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quals_jax.decoding.top_k import block_top_k, top_k


def expected(values, k):
    places = np.argsort(-values, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(values, places, axis=-1), places


@pytest.mark.parametrize(("vocab", "k"), [(1000, 17), (997, 61), (130, 122), (50, 50), (64, 1)])
@pytest.mark.parametrize("ties", [2, 40, None])
def test_equals_a_full_stable_sort(vocab, k, ties):
    random = np.random.default_rng(vocab + k)
    values = random.normal(size=(3, 4, vocab)).astype(np.float32)
    if ties:
        values = np.round(values * ties / 8) / ties  # few different numbers
        values[0, 0] = -np.inf  # nothing to choose
        values[0, 1] = 1  # nothing to tell apart
        values[1, :, vocab // 2 :] = -np.inf
    values += 0.0  # no negative zeros
    for way in (block_top_k, top_k):
        best, places = jax.jit(partial(way, k=k))(jnp.asarray(values))
        np.testing.assert_array_equal(places, expected(values, k)[1])
        np.testing.assert_array_equal(best, expected(values, k)[0])


def sorts(platform: str, dtype, k: int) -> list[int]:
    """The widths of what the program lowered for a platform sorts, or takes the best of."""
    values = jax.ShapeDtypeStruct((2, 50264), dtype)
    lowered = jax.jit(partial(top_k, k=k)).trace(values).lower(lowering_platforms=(platform,)).as_text()
    return [int(width) for width in re.findall(r"(?:chlo\.top_k|stablehlo\.sort).*?tensor<2x(\d+)x", lowered)]


def test_no_platform_sorts_the_vocabulary():
    """What is lowered for it decides, not where that is done: this is a CPU."""
    assert sorts("cpu", jnp.float32, 122) == [50264]  # a selection there, no sort
    for platform, dtype in (("cpu", jnp.bfloat16), ("cuda", jnp.float32), ("tpu", jnp.float32)):
        assert 0 < max(sorts(platform, dtype, 122)) < 5000, (platform, dtype)
    assert sorts("cuda", jnp.float32, 16) == [50264]  # a kernel of XLA's
    assert 0 < max(sorts("tpu", jnp.float32, 16)) < 5000
