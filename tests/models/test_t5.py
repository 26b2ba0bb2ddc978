"""T5 against what transformers computed in PyTorch (tests/golden/make_t5.py); and against itself where two ways must agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brute_force import brute_force
from flax import nnx

from quals_jax.checkpoints import fill
from quals_jax.checkpoints.huggingface import load_huggingface
from quals_jax.decoding.diverse_beam import SearchConfig, diverse_beam_search
from quals_jax.models.t5 import T5, T5Config, relative_buckets

KINDS = ("v1_0", "v1_1", "mt5")


@pytest.fixture(scope="module", params=KINDS)
def case(request, golden):
    folder = golden / "t5" / request.param
    config, tensors, _ = load_huggingface(folder)
    model, arrays = fill(config, tensors), dict(np.load(folder / "states.npz"))
    mask = jnp.asarray(arrays["source"] != 0)
    states = model.encode(jnp.asarray(arrays["source"]), mask)
    return model, arrays, mask, states, model.memory(states, mask)


def test_states_and_logits(case):
    model, arrays, mask, states, memory = case
    real = np.asarray(mask)
    assert np.abs(np.asarray(states) - arrays["encoder"])[real].max() <= 1e-4
    decoded, cache = model.decode(jnp.asarray(arrays["inputs"])[:, None], memory)
    assert cache is None
    assert np.abs(np.asarray(decoded)[:, 0] - arrays["decoder"]).max() <= 1e-4
    logits = model.logits(decoded)
    assert logits.dtype == jnp.float32
    assert np.abs(np.asarray(logits)[:, 0] - arrays["logits"]).max() <= 1e-4


def test_the_output_table_is_the_embedding_only_where_the_files_have_no_other(case):
    model, *_ = case
    assert model.config.own_output == (model.config.scale_decoder_outputs is False)
    assert (model.lm_head is None) == (not model.config.own_output)


def test_cached_decoding_equals_teacher_forcing(case):
    model, arrays, _, _, memory = case
    inputs = jnp.asarray(arrays["inputs"])[:, None]
    batch, _, length = inputs.shape
    expected, _ = model.decode(inputs, memory)
    cache = model.init_cache(batch=batch, beam=1, length=length + 3)
    step = jax.jit(lambda ids, cache: model.decode(ids, memory, cache))
    steps = []
    for position in range(length):
        state, cache = step(inputs[:, :, position : position + 1], cache)
        steps.append(state)
    assert int(cache.length) == length
    np.testing.assert_allclose(np.concatenate(steps, axis=2), expected, atol=5e-5)


def test_greedy_continuations(case):
    model, arrays, _, _, memory = case
    config = SearchConfig(num_beams=1, min_length=20, max_length=20)

    def step(tokens, cache):
        states, cache = model.decode(tokens[:, :, None], memory, cache)
        return model.logits(states[:, :, 0]), cache

    cache = model.init_cache(batch=3, beam=1, length=21)
    search = jax.jit(
        lambda cache: diverse_beam_search(step, cache, batch=3, config=config, start_id=0, eos_id=1, pad_id=0)
    )
    assert np.asarray(search(cache).tokens)[:, 0, :20].tolist() == arrays["greedy"][:, 1:21].tolist()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_diverse_beam_search_over_a_t5(tiny, batch, groups):
    """Against a search over the whole vocabulary by teacher forcing, one hypothesis at a time."""
    config = SearchConfig(num_beams=4, num_groups=groups, diversity_strength=0.5, min_length=2, max_length=6)
    source = batch[0][:2]
    mask = source != 0
    memory = tiny.memory(tiny.encode(source, mask), mask)

    def step(tokens, cache):
        states, cache = tiny.decode(tokens[:, :, None], memory, cache)
        return tiny.logits(states[:, :, 0]), cache

    cache = tiny.init_cache(batch=2, beam=4, length=7)
    search = jax.jit(
        lambda cache: diverse_beam_search(step, cache, batch=2, config=config, start_id=0, eos_id=1, pad_id=0)
    )
    found = jax.device_get(search(cache))
    forced = jax.jit(lambda target: jax.nn.log_softmax(logits(tiny, source, target)))
    for row in range(2):

        def logprobs_of(tokens, row=row):
            target = np.zeros((2, 1, 7), np.int32)
            target[row, 0, 1 : 1 + len(tokens)] = tokens
            return forced(target)[row, 0, len(tokens)]

        expected = brute_force(logprobs_of, config, eos=1, pad=0)
        assert len(expected) == 4
        for beam, (tokens, score, model) in enumerate(expected):
            length = int(found.lengths[row, beam])
            assert found.tokens[row, beam, :length].tolist() == tokens
            assert found.scores[row, beam] == pytest.approx(score, abs=1e-4)
            np.testing.assert_allclose(found.model_logprobs[row, beam, :length], model, atol=1e-4)


@pytest.mark.parametrize("name,both", [("encoder", True), ("decoder", False)])
def test_buckets_of_relative_positions(golden, name, both):
    arrays = np.load(golden / "t5" / "buckets.npz")
    config = T5Config(vocab_size=8, d_model=4, d_kv=2, d_ff=4, num_layers=1, num_heads=2)
    found = relative_buckets(arrays["positions"], config, bidirectional=both)
    assert found.tolist() == arrays[name].tolist()
    assert set(found.tolist()) == set(range(32)) - ({16} if both else set())  # 16 would be: later, by nothing


TINY = T5Config(
    vocab_size=24, d_model=12, d_kv=5, d_ff=16, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu", dropout_rate=0.3,
    scale_decoder_outputs=False, own_output=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny():
    return T5(TINY, rngs=nnx.Rngs(3))


def logits(model, source, target, key=None):
    mask = source != 0
    memory = model.memory(model.encode(source, mask, dropout_key=key), mask)
    return model.logits(model.decode(target, memory, dropout_key=key)[0])


@pytest.fixture(scope="module")
def batch():
    generator = np.random.default_rng(0)
    source = generator.integers(3, 24, (3, 12))
    source[1, 7:] = 0
    return jnp.asarray(source), jnp.asarray(generator.integers(3, 24, (3, 5, 6)))


def test_targets_do_not_see_each_other_nor_what_follows_nor_padding(tiny, batch):
    source, target = batch
    expected = logits(tiny, source, target)
    changed = logits(tiny, source, target.at[:, 2, 4:].set(9).at[:, 0].set(5))
    np.testing.assert_allclose(changed[:, 2, :4], expected[:, 2, :4], atol=1e-5)
    np.testing.assert_allclose(changed[:, 1], expected[:, 1], atol=1e-5)
    assert np.abs(changed[:, 2, 4:] - expected[:, 2, 4:]).max() > 1e-3
    longer = logits(tiny, jnp.pad(source, ((0, 0), (0, 5))), target)
    np.testing.assert_allclose(longer, expected, atol=1e-5)


def test_dropout_is_in_every_part_and_only_with_a_key(tiny, batch):
    key = jax.random.key(1)
    np.testing.assert_array_equal(logits(tiny, *batch, key), logits(tiny, *batch, key))
    assert np.abs(logits(tiny, *batch, key) - logits(tiny, *batch)).max() > 1e-2


def test_recomputation_changes_no_gradient(tiny, batch):
    graph, state = nnx.split(tiny)
    again = T5(TINY, rngs=nnx.Rngs(3), remat=True)

    def loss(state, graph):
        return jnp.mean(logits(nnx.merge(graph, state), *batch, jax.random.key(2)) ** 2)

    plain = jax.grad(loss)(state, graph)
    recomputed = jax.grad(loss)(state, nnx.split(again)[0])
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(recomputed), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
        assert np.abs(one).max() > 0  # every parameter is used


def test_bfloat16_is_near_float32(case, golden):
    model, arrays, mask, _, _ = case
    half = fill(model.config, load_huggingface(golden / "t5" / _name(model))[1], dtype=jnp.bfloat16)
    states = half.encode(jnp.asarray(arrays["source"]), mask)
    decoded, _ = half.decode(jnp.asarray(arrays["inputs"])[:, None], half.memory(states, mask))
    found = np.asarray(half.logits(decoded))[:, 0]
    assert states.dtype == jnp.bfloat16 and found.dtype == np.float32
    assert (
        np.corrcoef(found.ravel(), arrays["logits"].ravel())[0, 1] > 0.97
    )  # scores are not scaled, and these weights are large


def _name(model):
    return "v1_0" if model.config.scale_decoder_outputs else "v1_1" if model.config.model_type == "t5" else "mt5"


@pytest.mark.parametrize(
    "changed,said",
    [
        ({"d_kv": 0}, "d_kv is 0; it must be a whole number from 1"),
        ({"feed_forward_proj": "gated-sine"}, "feed_forward_proj is 'gated-sine'; it must be one of"),
        ({"relative_attention_num_buckets": 30}, "relative_attention_num_buckets is 30; it must be a multiple of 4"),
        ({"relative_attention_max_distance": 16}, "relative_attention_max_distance is 16; it must be above 16"),
        ({"eos_token_id": [1, 2]}, "eos_token_id is [1, 2]; it must be an id"),
        ({"num_heads": None}, "the configuration lacks num_heads"),
    ],
)
def test_configurations_that_cannot_be(changed, said):
    values = {"vocab_size": 24, "d_model": 12, "d_kv": 5, "d_ff": 16, "num_layers": 2, "num_heads": 2}
    with pytest.raises(ValueError) as error:
        T5Config.from_dict(values | changed)
    assert said in str(error.value)
