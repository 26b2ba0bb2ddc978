"""The kernel that attends to a cache by a table of ancestors against a softmax over each beam's own tokens, as interpreted on a CPU; and what
of the cache still moves."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from lowering import lowered

from quals_jax.decoding.search_config import SearchConfig
from quals_jax.kernels import Kernels
from quals_jax.kernels.cache_attention import BLOCK, attend_by_gather, attend_in_kernel
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.row_programs import search_rows


def operands(dtype, time: int = 61):
    random = np.random.default_rng(0)
    sizes = (2, 5, 3, 16), (2, 5, 3, time, 16), (2, 5, 3, time, 16)
    arrays = [jnp.asarray(random.normal(size=size), jnp.bfloat16).astype(dtype) for size in sizes]
    return *arrays, jnp.asarray(random.integers(0, 5, (2, 5, time)), jnp.int32)


def by_hand(query, keys, values, ancestors, length):
    """In double precision, beam by beam."""
    query, keys, values = (np.asarray(array, np.float64) for array in (query, keys, values))
    mixed = np.zeros_like(query)
    for row, beam, head in np.ndindex(query.shape[:3]):
        slots, times = np.asarray(ancestors)[row, beam, : length + 1], np.arange(length + 1)
        scores = keys[row, slots, head, times] @ query[row, beam, head]
        weights = np.exp(scores - scores.max())
        mixed[row, beam, head] = weights / weights.sum() @ values[row, slots, head, times]
    return mixed


@pytest.mark.parametrize("length", [0, 1, BLOCK - 1, BLOCK, 60])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_each_beam_reads_its_ancestors(dtype, length):
    arrays = operands(dtype)
    exact = by_hand(*arrays, length)
    beyond = np.arange(61) > length  # holds nothing yet: whatever it is must not be read
    query, *caches, ancestors = arrays
    caches = [jnp.where(beyond[:, None], jnp.nan, cache) for cache in caches]
    found = jax.jit(attend_in_kernel)(query, *caches, ancestors, jnp.int32(length))
    assert found.dtype == dtype
    np.testing.assert_allclose(np.asarray(found, np.float64), exact, **tolerance(dtype))
    twin = jax.jit(attend_by_gather)(*arrays, jnp.int32(length))
    np.testing.assert_allclose(np.asarray(twin, np.float64), exact, **tolerance(dtype))


def tolerance(dtype):
    """That of float32, or of the one rounding of a result to bfloat16."""
    return {"rtol": 1e-5, "atol": 1e-6} if dtype == jnp.float32 else {"rtol": 2**-8, "atol": 1e-6}


def search(platform: str, kernels: str) -> str:
    """A search's program lowered: four beams, two layers, heads of 8."""
    config = BartConfig(50, 16, 1, 2, 2, 2, 16, 16)
    model = nnx.eval_shape(lambda: Bart(config, rngs=nnx.Rngs(0)))
    model.kernels = Kernels.of(kernels)
    graph, params = nnx.split(model)
    arrays = jax.ShapeDtypeStruct((3, 7), jnp.int32), jax.ShapeDtypeStruct((3,), jnp.bool_)
    settings = SearchConfig(num_beams=4, min_length=2, max_length=10)
    return lowered(
        jax.jit(lambda *arrays: search_rows(graph, settings, None, *arrays)), params, *arrays, platform=platform
    )


def test_the_cache_is_not_moved():
    """Without the kernel keys and values of both layers are gathered; with it, attention is a call for each layer, and nothing gathers so much."""
    cache = re.compile(r"stablehlo\.gather.*: \(tensor<12x2x11x8xf32>")
    assert len(cache.findall(search("cuda", "none"))) == 4
    text = search("cuda", "cache")
    assert not cache.search(text)
    assert len(re.findall(r"custom_call @__gpu\$xla.gpu.triton\(", text)) == 1  # in the function of a layer,
    assert len(re.findall(r"call @decode_layer", text)) == 2  # which both call
    assert re.search(r"stablehlo\.gather.*: \(tensor<12x11xi32>", text)  # the table moves


def test_heads_that_triton_does_not_take_are_refused():
    query, keys, values, ancestors = operands(jnp.float32)
    with pytest.raises(ValueError, match="power of two; this model's have 12"):
        attend_in_kernel(query[..., :12], keys[..., :12], values[..., :12], ancestors, jnp.int32(0))


def test_tpus_are_refused():
    model = nnx.eval_shape(lambda: Bart(BartConfig(50, 16, 1, 1, 2, 2, 16, 16), rngs=nnx.Rngs(0)))
    Kernels.of("all").require(model, "gpu")
    with pytest.raises(ValueError, match="cache is of GPUs alone, and this is a tpu"):
        Kernels.of("all").require(model, "tpu")
