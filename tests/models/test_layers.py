"""Layers held as one and apart: the same numbers in another order, and the same states, against what fairseq and transformers computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from quals_jax.checkpoints import fill
from quals_jax.checkpoints.bert import load_bert
from quals_jax.checkpoints.huggingface import load_huggingface
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.models.layers import with_layers

BOTH = ("encoder", "decoder")


@pytest.fixture(scope="module")
def tiny_t5(golden):
    config, tensors, _ = load_huggingface(golden / "t5" / "v1_1")
    return fill(config, tensors)


@pytest.fixture(scope="module")
def tiny_bert(golden):
    return load_bert(golden / "bert" / "span", head="span").model


def arrays_of(model):
    return {path: np.asarray(variable[...]) for path, variable in nnx.to_flat_state(nnx.state(model))}


@pytest.mark.parametrize("name", ["tiny_bart", "tiny_t5", "tiny_bert"])
def test_held_as_one_is_every_layers_array_under_one_name(name, request):
    model = request.getfixturevalue(name)
    before, graph = arrays_of(model), nnx.split(model)[0]
    as_one = with_layers(model, as_one=model.stacks())
    held = arrays_of(as_one)
    assert not any(isinstance(part, int) for path in held for part in path)
    for path, array in before.items():
        place = next((place for place, part in enumerate(path) if isinstance(part, int)), None)
        if place is None:
            assert np.array_equal(held[path], array)
        else:
            assert np.array_equal(held[path[:place] + path[place + 1 :]][path[place]], array), path
    assert nnx.split(model)[0] == graph  # the model itself is as it was
    again = arrays_of(with_layers(as_one, as_one=()))
    assert set(again) == set(before) and all(np.array_equal(again[path], before[path]) for path in before)


def test_one_side_alone_and_a_model_without_numbers():
    config = BartConfig(64, 16, 2, 2, 2, 2, 32, 32, max_position_embeddings=16)
    model = nnx.eval_shape(lambda: Bart(config, rngs=nnx.Rngs(0)))
    half = with_layers(model, as_one=["encoder"])
    assert isinstance(half.decoder.layers, nnx.List) and half.encoder.layers.fc1.kernel.shape == (2, 16, 32)
    apart = with_layers(half, as_one=())
    assert [layer.fc1.kernel.shape for layer in apart.encoder.layers] == [(16, 32)] * 2
    assert jax.tree.leaves(nnx.split(apart)[1]) == jax.tree.leaves(nnx.split(model)[1])


@pytest.mark.parametrize("as_one", [(), ("encoder",), ("decoder",), BOTH], ids=str)
def test_states_are_those_of_the_references_however_layers_are_held(tiny_bart, tiny_t5, golden, as_one):
    arrays = dict(np.load(golden / "logits" / "logits.npz"))
    width, real = arrays["src_tokens"].shape[1], arrays["target"] != 1
    rows = [
        np.roll(row, length - width) for row, length in zip(arrays["src_tokens"], arrays["src_lengths"], strict=True)
    ]
    for model, source, inputs, wanted, tolerance in (
        (tiny_bart, np.stack(rows), arrays["prev_output_tokens"], arrays["decoder_features"], 5e-5),
        t5_case(tiny_t5, golden),
    ):
        model = with_layers(model, as_one=as_one)
        mask = jnp.asarray(source != model.config.pad_token_id)
        memory = model.memory(model.encode(jnp.asarray(source), mask), mask)
        states = np.asarray(model.decode(jnp.asarray(inputs)[:, None], memory)[0])[:, 0]
        there = real if model.config is tiny_bart.config else np.ones(inputs.shape, bool)
        assert np.abs(states - wanted)[there].max() <= tolerance


def t5_case(model, golden):
    arrays = dict(np.load(golden / "t5" / "v1_1" / "states.npz"))
    return model, arrays["source"], arrays["inputs"], arrays["decoder"], 1e-4


def test_a_decoding_step_takes_layers_however_they_are_held(tiny_bart):
    ids, mask, start = jnp.asarray([[0, 5, 6, 2]]), jnp.ones((1, 4), bool), jnp.asarray([[[2]]])
    found = []
    for as_one in ((), BOTH):
        model = with_layers(tiny_bart, as_one=as_one)
        memory = model.memory(model.encode(ids, mask), mask)
        states, cache = model.decode(start, memory, model.init_cache(batch=1, beam=1, length=2))
        assert int(cache.length) == 1
        found.append(np.asarray(states))
    np.testing.assert_allclose(*found, atol=1e-6)
