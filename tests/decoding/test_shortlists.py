"""The short lists against a sort of the whole vocabulary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quals_jax.decoding.shortlists import shortlists


@pytest.mark.parametrize(("groups", "per_group", "vocab"), [(60, 1, 900), (12, 2, 300), (3, 4, 40), (1, 6, 20)])
def test_every_group_has_what_it_can_need_and_equal_logits_in_order_of_their_tokens(groups, per_group, vocab):
    wanted, forbidden = 2 * per_group, 3
    random = np.random.default_rng(groups)
    logits = random.integers(0, vocab // 4, (2, groups * per_group, vocab)).astype(np.float32)  # ties everywhere
    values, tokens = jax.jit(shortlists, static_argnums=(1, 2, 3))(jnp.asarray(logits), groups, wanted, forbidden)
    longest = min(vocab, wanted * groups + forbidden)
    assert values.shape == tokens.shape == (2, groups * per_group, longest)
    for row in range(2):
        for slot in range(groups * per_group):
            needed = min(vocab, wanted * (slot % groups + 1) + forbidden)
            expected = np.lexsort((np.arange(vocab), -logits[row, slot]))[:longest]
            there = np.asarray(tokens[row, slot])
            real = int(np.sum(there < vocab))
            assert real >= needed
            np.testing.assert_array_equal(there[:real], expected[:real])
            np.testing.assert_array_equal(values[row, slot][:real], logits[row, slot][expected[:real]])
            assert np.all(np.asarray(values[row, slot][real:]) == -np.inf)
