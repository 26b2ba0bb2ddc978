"""The way by block maxima must be `jax.lax.top_k` to the last tie, since only GPUs take it and they must find the same hypotheses."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quals_jax.decoding import top_k as module
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


def test_block_maxima_are_taken_where_all_would_be_sorted(monkeypatch):
    taken = []
    monkeypatch.setattr(module, "block_top_k", lambda values, k: taken.append(k) or jax.lax.top_k(values, k))
    values = jnp.zeros((1, 50264))
    top_k(values, 122)
    assert not taken
    top_k(values.astype(jnp.bfloat16), 122)
    assert taken.pop() == 122
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    top_k(values, 16), top_k(values, 122)
    assert taken == [122]
