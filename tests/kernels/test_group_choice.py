"""The kernel of the groups' choice against a few lines of NumPy, to the last tie and bit, as interpreted on a CPU; and its twin too."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lowering import lowered

from quals_jax.kernels import Kernels
from quals_jax.kernels.group_choice import LARGEST, UNCOUNTED, choose_by_scan, choose_in_kernel

WAYS = {"kernel": choose_in_kernel, "scan": choose_by_scan}


def by_hand(tokens, logprobs, totals, order, wanted, strength, only_possible):
    """Group after group, choice after choice."""
    best, places = [], []
    for row in range(len(tokens)):
        counts: dict[int, int] = {}
        for group in range(tokens.shape[1]):
            own = tokens[row, group]
            paid = np.array([counts.get(int(token), 0) for token in own], np.float32)
            scores = (logprobs[row, group] - np.float32(strength) * paid) + totals[row, group]
            chosen = np.lexsort((order[row, group], -scores))[:wanted]
            for place in chosen:
                if own[place] != UNCOUNTED and not (only_possible and scores[place] == -np.inf):
                    counts[int(own[place])] = counts.get(int(own[place]), 0) + 1
            best.append(scores[chosen])
            places.append(chosen)
    shape = (*tokens.shape[:2], wanted)
    return np.array(best).reshape(shape), np.array(places).reshape(shape)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("only_possible", [False, True])
@pytest.mark.parametrize(("groups", "places", "wanted"), [(60, 123, 2), (7, 20, 2), (3, 150, 4), (1, 9, 8)])
def test_equals_the_choice_by_hand(way, groups, places, wanted, only_possible):
    random = np.random.default_rng(groups * places + only_possible)
    tokens = random.integers(0, 3 * places, (3, groups, places)).astype(np.int32)
    order = random.permuted(np.broadcast_to(np.arange(0, 7 * places, 7, dtype=np.int32), tokens.shape), axis=-1)
    tokens[random.random(tokens.shape) < 0.1] = UNCOUNTED
    logprobs = (random.integers(-8, 0, tokens.shape) / 2).astype(np.float32)  # few different ones: ties everywhere
    logprobs[random.random(tokens.shape) < 0.3] = -np.inf
    logprobs[0, : groups // 2] = -np.inf  # nothing to choose: the first in the order all the same
    totals = np.broadcast_to(random.integers(-4, 0, (3, groups, 1)), tokens.shape).astype(np.float32)
    how = {"wanted": wanted, "strength": 0.5, "only_possible": only_possible}
    best, where = jax.jit(partial(WAYS[way], **how))(tokens, logprobs, totals, order)
    expected = by_hand(tokens, logprobs, totals, order, **how)
    np.testing.assert_array_equal(where, expected[1])
    np.testing.assert_array_equal(best, expected[0])


def choice(platform: str, groups: int) -> str:
    shape = 2, groups, 2 * groups + 3
    arrays = [jax.ShapeDtypeStruct(shape, dtype) for dtype in (jnp.int32, jnp.float32, jnp.float32, jnp.int32)]
    choose = jax.jit(partial(choose_in_kernel, wanted=2, strength=0.5, only_possible=False))
    return lowered(choose, *arrays, platform=platform)


def test_it_is_one_kernel_on_gpus_and_tpus_and_a_scan_where_it_would_be_too_large():
    for platform, call in (("cuda", "__gpu$xla.gpu.triton"), ("tpu", "tpu_custom_call")):
        text = choice(platform, 60)
        assert text.count(f"custom_call @{call}(") == 1 and "stablehlo.while" not in text
        text = choice(platform, 128)
        assert LARGEST < 256 * 512 and call not in text and "stablehlo.while" in text


def test_kernels_are_named_and_none_is_a_default():
    assert Kernels.of("none") == Kernels.of("") == Kernels() and not any(vars(Kernels()).values())
    assert Kernels.of("choice") == Kernels(choice=True) and all(vars(Kernels.of("all")).values())
    with pytest.raises(ValueError, match="kernels is 'choise'; 'choise' is none of choice"):
        Kernels.of("choise")
