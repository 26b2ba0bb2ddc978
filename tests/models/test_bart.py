"""BART against what fairseq computed, rung by rung; and against itself where two ways must agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from quals_jax.models import attention
from quals_jax.models.bart import Bart, BartConfig

TINY = BartConfig(
    vocab_size=64, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=32, dropout=0.2, attention_dropout=0.1, activation_dropout=0.1,
    init_std=0.2,
)  # fmt: skip


@pytest.fixture(scope="module")
def case(golden):
    """The golden batch with its left-padded sources shifted to the right-padded rows that we use."""
    arrays = dict(np.load(golden / "logits" / "logits.npz"))
    lengths, width = arrays["src_lengths"], arrays["src_tokens"].shape[1]

    def shifted(array, fill=0):
        right = np.full_like(array, fill)
        for row, length in enumerate(lengths):
            right[row, :length] = array[row, width - length :]
        return right

    arrays["source_ids"] = shifted(arrays["src_tokens"], 1)
    arrays["source_mask"] = np.arange(width)[None] < lengths[:, None]
    arrays["shifted"] = shifted
    return arrays


def _close(ours, theirs, mask, tolerance):
    assert np.abs(np.asarray(ours) - theirs)[mask].max() <= tolerance


def test_encoder_rung_by_rung(tiny_bart, case):
    mask = jnp.asarray(case["source_mask"])
    states = tiny_bart._embed(tiny_bart.encoder, jnp.asarray(case["source_ids"]), jnp.arange(mask.shape[1]), None)
    _close(states, case["shifted"](case["encoder_embed_layernormed"]), case["source_mask"], 2e-6)
    names = sorted(name for name in case if name.startswith("encoder_layer"))
    assert len(names) == 2
    for layer, name in zip(tiny_bart.encoder.layers, names, strict=True):
        states = layer(states, mask, tiny_bart.config, None)
        _close(states, case["shifted"](case[name]), case["source_mask"], 1e-5)
    _close(
        tiny_bart.encode(jnp.asarray(case["source_ids"]), mask),
        case["shifted"](case["encoder_out"]),
        case["source_mask"],
        2e-5,
    )


@pytest.fixture(scope="module")
def decoded(tiny_bart, case):
    mask = jnp.asarray(case["source_mask"])
    memory = tiny_bart.memory(tiny_bart.encode(jnp.asarray(case["source_ids"]), mask), mask)
    states, _ = tiny_bart.decode(jnp.asarray(case["prev_output_tokens"])[:, None], memory)
    return memory, states


def test_decoder_states_logits_and_logprobs(tiny_bart, case, decoded):
    _, states = decoded
    real = case["target"] != 1
    _close(states[:, 0], case["decoder_features"], real, 5e-5)
    logits = tiny_bart.logits(states)[:, 0]
    assert logits.dtype == jnp.float32
    _close(logits[..., case["vocab_columns"]], case["logits_columns"], real, 1e-4)
    logprobs = np.asarray(jax.nn.log_softmax(logits))
    chosen = np.take_along_axis(logprobs, case["target"][..., None], -1)[..., 0]
    _close(chosen, case["target_logprob"], real, 1e-4)
    last = int(case["full_logits_row0_last_position"])
    _close(logits[0, last], case["full_logits_row0_last"], slice(None), 1e-4)


def test_decoder_layers_one_by_one(tiny_bart, case, decoded):
    memory, _ = decoded
    real = case["target"] != 1
    inputs = jnp.asarray(case["prev_output_tokens"])[:, None]
    states = tiny_bart._embed(tiny_bart.decoder, inputs, jnp.arange(inputs.shape[-1]), None)
    _close(states[:, 0], case["decoder_inner0"], real, 2e-6)
    for number, layer in enumerate(tiny_bart.decoder.layers):
        arguments = memory.keys[number], memory.values[number], memory.mask
        states, _ = layer(states, *arguments, None, tiny_bart.config, None)
        _close(states[:, 0], case[f"decoder_inner{number + 1}"], real, 5e-5)


def test_cached_decoding_equals_the_uncached_pass(tiny_bart, case, decoded):
    memory, states = decoded
    inputs = jnp.asarray(case["prev_output_tokens"])[:, None]
    batch, _, length = inputs.shape
    cache = tiny_bart.init_cache(batch=batch, beam=1, length=length)
    step = jax.jit(lambda ids, cache: tiny_bart.decode(ids, memory, cache))
    steps = []
    for position in range(length):
        state, cache = step(inputs[:, :, position : position + 1], cache)
        steps.append(state)
    assert int(cache.length) == length
    np.testing.assert_allclose(np.concatenate(steps, axis=2), states, atol=5e-5)


@pytest.fixture(scope="module")
def model():
    return Bart(TINY, rngs=nnx.Rngs(0))


@pytest.fixture(scope="module")
def batch():
    generator = np.random.default_rng(0)
    source = generator.integers(4, 64, (3, 12))
    source[1, 7:] = 1
    return jnp.asarray(source), jnp.asarray(generator.integers(4, 64, (3, 5, 6)))


def _logits(model, source, target, key=None):
    mask = source != 1
    memory = model.memory(model.encode(source, mask, dropout_key=key), mask)
    return model.logits(model.decode(target, memory, dropout_key=key)[0])


def test_many_targets_of_one_text_equal_one_by_one(model, batch):
    source, target = batch
    together = _logits(model, source, target)
    for pair in range(target.shape[1]):
        np.testing.assert_allclose(
            _logits(model, source, target[:, pair : pair + 1]), together[:, pair : pair + 1], atol=2e-5
        )


def test_padding_and_neighbours_change_nothing(model, batch):
    source, target = batch
    wider = jnp.pad(source[1:2], ((0, 0), (0, 9)), constant_values=1)
    np.testing.assert_allclose(_logits(model, wider, target[1:2]), _logits(model, source, target)[1:2], atol=2e-5)


def test_the_decoder_does_not_look_ahead(model, batch):
    source, target = batch
    changed = target.at[..., 4:].set(5)
    np.testing.assert_allclose(
        _logits(model, source, changed)[..., :4, :], _logits(model, source, target)[..., :4, :], atol=1e-6
    )


def test_bfloat16_is_near_and_its_logits_are_float32(batch):
    source, target = batch
    rough = Bart(TINY, rngs=nnx.Rngs(0), dtype=jnp.bfloat16)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(nnx.state(rough, nnx.Param)))
    logits = _logits(rough, source, target)
    assert logits.dtype == jnp.float32
    exact = _logits(Bart(TINY, rngs=nnx.Rngs(0)), source, target)
    assert 0 < np.abs(logits - exact).max() < 0.05 * np.abs(exact).max() + 0.1


def test_recomputing_layers_changes_no_gradient(batch):
    source, target = batch
    key = jax.random.key(3)

    def gradients(remat):
        model = Bart(TINY, rngs=nnx.Rngs(0), remat=remat)
        graph, params, rest = nnx.split(model, nnx.Param, ...)

        def loss(params):
            return jnp.sum(jax.nn.log_softmax(_logits(nnx.merge(graph, params, rest), source, target, key))[..., 7])

        return jax.tree.leaves(jax.jit(jax.grad(loss))(params))

    for plain, recomputed in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_allclose(plain, recomputed, rtol=1e-3, atol=1e-3)


def test_dropout_drops_its_share_and_keeps_the_mean():
    from quals_jax.models.layers import Dropout

    dropped = Dropout(jax.random.key(0)).drop(jnp.ones((200, 500)), 0.3)
    assert float(jnp.mean(dropped == 0)) == pytest.approx(0.3, abs=0.01)
    assert float(jnp.mean(dropped)) == pytest.approx(1.0, abs=0.01)


def test_dropout_needs_a_key_and_differs_by_key(model, batch):
    source, target = batch
    plain = _logits(model, source, target)
    first, again, other = (_logits(model, source, target, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 and np.abs(first - plain).max() > 1e-3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 15}, "multiple of encoder_attention_heads"),
        ({"activation_function": "tanh"}, "'tanh'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"attention_dropout": "0.1"}, "attention_dropout is '0.1'"),
        ({"encoder_attention_heads": 0}, "encoder_attention_heads is 0; it must be a whole number from 1"),
        ({"decoder_layers": "2"}, "decoder_layers is '2'; it must be a whole number"),
        ({"decoder_layers": 2.0}, "decoder_layers is 2.0"),
        ({"encoder_layers": 10**9}, "encoder_layers is 1000000000; it must be a whole number from 1 to"),
        ({"encoder_layers": True}, "encoder_layers is True"),
        ({"d_model": -16}, "d_model is -16"),
        ({"vocab_size": [64]}, r"vocab_size is \[64\]"),
        ({"max_position_embeddings": 0}, "max_position_embeddings is 0"),
        ({"pad_token_id": 64}, "pad_token_id is 64; it must be an id, a whole number from 0 to 63"),
        ({"eos_token_id": [2]}, r"eos_token_id is \[2\]"),
        ({"scale_embedding": "no"}, "scale_embedding is 'no'; it must be true or false"),
        ({"activation_function": ["gelu"]}, "activation_function is"),
        ({"d_model": None}, "lacks d_model"),
    ],
)
def test_impossible_configurations_name_the_field(change, message):
    with pytest.raises(ValueError, match=message):
        BartConfig.from_dict(TINY.to_dict() | change)


def test_missing_sizes_are_named_together():
    with pytest.raises(ValueError, match="vocab_size, d_model"):
        BartConfig.from_dict({name: 2 for name in ("encoder_layers", "decoder_layers")})


def test_equal_to_transformers(golden, tiny_bart, case):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BartForConditionalGeneration.from_pretrained(golden / "tiny_bart_hf").eval()
    with torch.no_grad():
        logits = theirs(
            input_ids=torch.tensor(case["source_ids"]), attention_mask=torch.tensor(case["source_mask"]),
            decoder_input_ids=torch.tensor(case["prev_output_tokens"]),
        ).logits.numpy()  # fmt: skip
    ours = _logits(tiny_bart, jnp.asarray(case["source_ids"]), jnp.asarray(case["prev_output_tokens"])[:, None])[:, 0]
    _close(ours, logits, case["target"] != 1, 1e-4)


@pytest.mark.parametrize("length", [0, 4, 6])
@pytest.mark.parametrize("biased", [False, True])
def test_a_cache_is_read_before_or_after_it_is_written_to_the_same_effect(length, biased):
    """TPUs have the other order than CPUs. Both against a softmax in NumPy; what lies beyond the length is never read."""
    random = np.random.default_rng(0)
    query, key, value = random.normal(size=(3, 2, 3, 2, 8)).astype(np.float32)
    keys, values = random.normal(size=(2, 2, 3, 2, 7, 8)).astype(np.float32)
    bias = random.normal(size=(2, 8)).astype(np.float32) if biased else None
    all_keys, all_values = (
        np.concatenate([cached[:, :, :, :length], new[:, :, :, None]], axis=3, dtype=np.float64)
        for cached, new in ((keys, key), (values, value))
    )
    scores = np.einsum("bphd,bphtd->bpht", query, all_keys)
    if biased:
        scores += np.append(bias[:, :length], bias[:, -1:], axis=-1)
    weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    expected = np.einsum("bpht,bphtd->bphd", weights, all_values)
    keys[:, :, :, length:] = values[:, :, :, length:] = 1e9
    for order in (attention.read_first, attention.write_first):
        mixed, new_keys, new_values = order(query, key, value, keys, values, jnp.int32(length), bias=bias)
        np.testing.assert_allclose(mixed, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(new_keys[:, :, :, : length + 1], all_keys, rtol=1e-7)
        np.testing.assert_allclose(new_values[:, :, :, : length + 1], all_values, rtol=1e-7)
