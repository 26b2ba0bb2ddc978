"""What is asked of every matrix product, read off the programs lowered for three platforms: gradients included."""

import re

import jax
import pytest
from flax import nnx

from quals_jax import parallel
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.precision import Precision
from quals_jax.programs import INFERENCE, PLATFORMS, PROGRAMS, lower_one

PRODUCT = re.compile(r"stablehlo\.dot_general .*")
OPERANDS = re.compile(r": \(tensor<(?:\d+x)*(\w+)>, tensor<(?:\d+x)*(\w+)>\)")
ASKED = re.compile(r"precision = \[(\w+), (\w+)\]")
TYPES = {"float32": "f32", "tf32": "f32", "bfloat16": "bf16"}


def model(dtype):
    config = BartConfig(
        vocab_size=64, d_model=8, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=64,
    )  # fmt: skip
    return Bart(config, rngs=nnx.Rngs(0), dtype=Precision.of(dtype).compute)


def products(name, dtype, platform):
    mesh = parallel.make_mesh(jax.devices()[:1])
    text = lower_one(name, model(dtype), model(dtype), Precision.of(dtype), platform, mesh).as_text()
    lines = PRODUCT.findall(text)
    assert len(lines) > 10 and "stablehlo.convolution" not in text
    return lines


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_product_carries_what_was_asked_for(name, platform, dtype):
    for line in products(name, dtype, platform):
        assert OPERANDS.search(line).groups() == (TYPES[dtype],) * 2, line
        assert ASKED.search(line).groups() == ({"float32": "HIGHEST", "bfloat16": "DEFAULT"}[dtype],) * 2, line


@pytest.mark.parametrize("name", PROGRAMS)
def test_tf32_is_an_algorithm_of_gpus(name):
    for line in products(name, "tf32", "cuda"):
        assert "lhs_precision_type = tf32, rhs_precision_type = tf32, accumulation_type = f32" in line
    with pytest.raises(ValueError, match="not supported"):
        products(name, "tf32", "cpu")


def test_the_readers_of_texts_talk_to_no_other_device():
    mesh = parallel.make_mesh(jax.devices()[:2])
    for name in INFERENCE:
        text = lower_one(name, model("float32"), model("float32"), Precision.of("float32"), "tpu", mesh).as_text()
        assert not re.search(r"all_reduce|all_gather|all_to_all|collective", text), name
