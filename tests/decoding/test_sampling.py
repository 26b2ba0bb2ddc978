"""Sampling against closed forms on toy models: how often, how likely, how long, and whatever stands beside it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quals_jax.decoding.rules import Rules
from quals_jax.decoding.sampling import SamplingConfig, sample_keys, top_k_sample

EOS, PAD, VOCAB = 2, 1, 12
TABLE = np.random.default_rng(5).normal(size=(VOCAB, VOCAB)).astype(np.float32)  # logits by last token


def run(keys, config, table=TABLE, **options):
    def step(token_ids, cache):
        return jnp.asarray(table)[token_ids], {"seen": cache["seen"] + token_ids[..., None]}

    cache = {"seen": jnp.zeros((*keys.shape, 1), jnp.int32)}
    return jax.device_get(jax.jit(lambda keys: top_k_sample(step, cache, keys, config=config, **options))(keys))


def test_first_tokens_are_drawn_in_proportion_from_the_k_best_that_are_allowed():
    config = SamplingConfig(k=4, min_length=2, max_length=3, temperature=0.7)
    samples = run(sample_keys(0, np.arange(200), 100), config)
    logits = TABLE[EOS].astype(np.float64)
    logits[[PAD, EOS]] = -np.inf
    logits[np.argsort(-logits)[4:]] = -np.inf
    expected = np.exp(logits / 0.7) / np.exp(logits / 0.7).sum()
    share = np.bincount(samples.tokens[..., 0].ravel(), minlength=VOCAB) / 20_000
    # Four standard errors.
    assert np.all(np.abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / 20_000))


def test_logprobs_are_of_the_whole_softmax_and_lengths_count_the_end():
    config = SamplingConfig(k=5, min_length=2, max_length=6)
    samples = run(sample_keys(3, np.arange(20), 5), config)
    logprobs = TABLE - np.log(np.exp(TABLE.astype(np.float64)).sum(axis=1, keepdims=True))
    for tokens, length, found in zip(
        *(a.reshape(100, *a.shape[2:]) for a in (samples.tokens, samples.lengths, samples.logprobs)), strict=True
    ):
        assert config.min_length + 1 <= length <= config.max_length + 1
        assert tokens[length - 1] == EOS and EOS not in tokens[: length - 1] and PAD not in tokens[:length]
        assert np.all(tokens[length:] == PAD) and not found[length:].any()
        previous = [EOS, *tokens[: length - 1]]
        np.testing.assert_allclose(found[:length], logprobs[previous, tokens[:length]], atol=1e-5)
    assert len(np.unique(samples.lengths)) > 1


def test_a_document_gives_the_same_samples_in_any_batch_and_place():
    config = SamplingConfig(k=5, min_length=0, max_length=6)
    whole = run(sample_keys(7, np.arange(10), 6), config)
    some = run(sample_keys(7, np.array([8, 3]), 4), config)
    np.testing.assert_array_equal(some.tokens, whole.tokens[[8, 3], :4])
    other = run(sample_keys(8, np.arange(10), 6), config)
    assert not np.array_equal(other.tokens, whole.tokens)
    assert len({*map(tuple, whole.tokens[0].tolist())}) > 1


def test_devices_change_nothing():
    config = SamplingConfig(k=5, min_length=0, max_length=6)
    keys = sample_keys(7, np.arange(8), 3)

    def sample(keys, active):
        def step(token_ids, cache):
            return jnp.asarray(TABLE)[token_ids], cache

        return top_k_sample(step, (), keys, config=config, active=active)

    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("batch",))
    spec = jax.sharding.PartitionSpec("batch")
    active = jnp.arange(8) != 5
    sharded = jax.device_get(jax.jit(jax.shard_map(sample, mesh=mesh, in_specs=spec, out_specs=spec))(keys, active))
    alone = jax.device_get(jax.jit(sample)(keys, active))
    jax.tree.map(np.testing.assert_array_equal, sharded, alone)
    assert not sharded.lengths[5].any() and np.all(sharded.tokens[5] == PAD) and sharded.lengths[4].all()


def test_a_forced_first_token_begins_every_sample_even_if_it_is_the_end():
    config = SamplingConfig(k=5, min_length=2, max_length=6)
    for forced in (0, EOS):
        samples = run(sample_keys(1, np.arange(4), 2), config, rules=Rules(prefix=(forced,)))
        assert np.all(samples.tokens[..., 0] == forced) and samples.lengths.min() > 1


def test_no_logit_that_is_not_a_number_is_drawn():
    table = np.where(np.arange(VOCAB) == 7, np.nan, TABLE)
    samples = run(sample_keys(1, np.arange(50), 2), SamplingConfig(k=VOCAB, min_length=0, max_length=5), table)
    assert 7 not in samples.tokens and np.all(np.isfinite(samples.logprobs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"min_length": 9, "max_length": 8}, "must not exceed max_length"),
        ({"temperature": 0.0}, "temperature is 0.0"),
    ],
)
def test_impossible_settings_name_the_field(change, message):
    with pytest.raises(ValueError, match=message):
        SamplingConfig(**change)
