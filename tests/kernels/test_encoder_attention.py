"""The encoder's attention by the back ends' own kernels: what is lowered for them, and what they compute as far as a CPU can tell.

cuDNN's kernel is called through JAX, whose plain implementation of the same call stands for it here; JAX's Pallas kernel for TPUs runs in
Pallas' interpreter."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.experimental import pallas as pl
from lowering import lowered

from quals_jax.kernels import Kernels
from quals_jax.kernels.encoder_attention import by_cudnn, by_flash
from quals_jax.models.attention import attend, attend_fused
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.models.layers import Dropout

cudnn = pytest.importorskip("jax._src.cudnn.fused_attention_stablehlo")  # where JAX asks for cuDNN's version
LENGTHS = np.array([300, 77, 0])  # of texts in 320 places; the last row is padding alone
MASK = np.arange(320) < LENGTHS[:, None]


def operands(dtype=jnp.bfloat16):
    random = np.random.default_rng(0)
    return [
        jnp.asarray(random.normal(size=(3, 320, 2, 64)) * scale, jnp.bfloat16).astype(dtype) for scale in (3 / 8, 1, 1)
    ]


def plain(query, key, value):
    return attend(query, key, value, MASK[:, None, None, :], Dropout(None), 0.0)


def errors(mixed, exact):
    """The root of the mean square, and the largest, where there is text."""
    error = np.abs(np.asarray(mixed, np.float64) - exact)[MASK]
    return np.sqrt(np.mean(error**2)), error.max()


@pytest.fixture
def interpreted(monkeypatch):
    """JAX's kernel asks for no interpreter itself."""
    monkeypatch.setattr(pl, "pallas_call", partial(pl.pallas_call, interpret=True))


def test_both_are_as_exact_as_the_plain_way(interpreted):
    with jax.enable_x64(True):
        exact = np.asarray(plain(*operands(jnp.float64)))
    usual = errors(jax.jit(plain)(*operands()), exact)
    flash = jax.jit(by_flash)(*operands(), MASK)
    there = "cudnn" if jax.default_backend() == "gpu" else "xla"
    for mixed in (flash, jax.jit(partial(by_cudnn, implementation=there))(*operands(), MASK)):
        assert mixed.dtype == jnp.bfloat16 and np.isfinite(np.asarray(mixed, np.float32)).all()
        found = errors(mixed, exact)
        assert found[0] < 1.01 * usual[0] and found[1] < 1.1 * usual[1], (found, usual)
    assert 1e-4 < usual[0] < 2e-3  # of numbers around 0.3, in bfloat16


def test_the_masks_agree_in_float32(interpreted):
    flash = jax.jit(by_flash)(*operands(jnp.float32), MASK)
    for mixed in (flash, by_cudnn(*operands(jnp.float32), MASK, implementation="xla")):
        np.testing.assert_allclose(mixed[MASK], plain(*operands(jnp.float32))[MASK], atol=1e-6)


def encoded(platform: str, kernels: str, dtype=jnp.bfloat16, dropout: float = 0.0) -> str:
    """The encoder of a tiny BART with heads of 64, lowered."""
    config = BartConfig(50, 128, 1, 1, 2, 2, 128, 128, dropout=0.0, attention_dropout=dropout)
    model = nnx.eval_shape(lambda: Bart(config, rngs=nnx.Rngs(0), dtype=dtype))
    model.kernels = Kernels.of(kernels)
    graph, params = nnx.split(model)
    key = jax.random.key(0) if dropout else None

    def encode(params, ids):
        return nnx.merge(graph, params).encode(ids, ids != 1, dropout_key=key)

    return lowered(jax.jit(encode), params, jax.ShapeDtypeStruct((3, 200), jnp.int32), platform=platform)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_it_stands_in_programs_that_ask_for_it_alone(platform, monkeypatch):
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91000)  # JAX asks it of the machine that lowers
    calls = re.compile(r"custom_call @(__cudnn\$fmhaSoftmax|tpu_custom_call)\(")
    assert calls.findall(encoded(platform, "attention")) == [
        "__cudnn$fmhaSoftmax" if platform == "cuda" else "tpu_custom_call"
    ]
    assert not calls.search(encoded(platform, "none"))
    assert not calls.search(encoded(platform, "attention", dtype=jnp.float32))
    assert not calls.search(encoded(platform, "attention", dropout=0.1))


def test_cudnn_is_told_the_texts_lengths(monkeypatch):
    """Queries of all 200 positions, and of the keys as many as the row has tokens, at least one."""
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91000)
    text = encoded("cuda", "attention")
    call = next(line for line in text.splitlines() if "__cudnn$fmhaSoftmax(" in line)
    for said in ("mask_type", "PADDING", "fmha_scale", "1.0"):
        assert said in call
    queries, keys = re.search(r"fmhaSoftmax\((?:%\w+, ){3}(%\w+), (%\w+)\)", call).groups()

    def made(name):
        return re.search(rf"{name} = (.*)", text).group(1)

    assert re.search(r"dense<200>", made(made(queries).split()[1].rstrip(",")))
    least = re.search(r"maximum (%\w+), (%\w+)", made(keys)).groups()
    assert "stablehlo.add across dimensions = [1]" in made(least[0])
    assert re.search(r"dense<1>", made(made(least[1]).split()[1].rstrip(",")))


def test_on_a_cpu_it_is_the_plain_way(tiny_bart):
    random = np.random.default_rng(0)
    ids = random.integers(4, 40, (2, 12)).astype(np.int32)
    merged = nnx.merge(*nnx.split(tiny_bart))
    expected = merged.encode(ids, ids != 1)
    merged.kernels = Kernels(attention=True)
    np.testing.assert_array_equal(merged.encode(ids, ids != 1), expected)
    query, key, value = (array[:1, :8] for array in operands())
    mask = np.ones((1, 1, 1, 8), bool)
    keys = Dropout(None), Dropout(None)
    np.testing.assert_array_equal(
        attend_fused(query, key, value, mask, keys[0], 0.0), attend(query, key, value, mask, keys[1], 0.0)
    )
    assert keys[0].uses == keys[1].uses == 1
