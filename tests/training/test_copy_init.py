import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from quals_jax.models.bart import Bart, BartConfig
from quals_jax.training.copy_init import copy_init, sinusoids

SIZES = BartConfig(
    vocab_size=300, d_model=96, encoder_layers=2, decoder_layers=2, encoder_attention_heads=6,
    decoder_attention_heads=6, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=64, dropout=0.0,
)  # fmt: skip
IDS = np.random.default_rng(0).permutation(np.arange(4, 300))[None, :24]


@pytest.fixture(scope="module")
def model():
    model = Bart(SIZES, rngs=nnx.Rngs(0))
    copy_init(model, seed=1, twins=[(10, 11)])
    return model


def first_attention(side, states, num_heads):
    """Weights [head, query, key] of a side's first self-attention, in NumPy."""
    attention = side.layers[0].self_attn
    query, key = (np.asarray(states @ getattr(attention, name).kernel[...]) for name in ("q_proj", "k_proj"))
    query, key = (array.reshape(len(array), num_heads, -1) for array in (query, key))
    scores = np.einsum("qhd,khd->hqk", query, key) / np.sqrt(query.shape[-1])
    return np.exp(scores - scores.max(-1, keepdims=True))


@pytest.mark.parametrize(("name", "steps"), [("encoder", (-1, 1)), ("decoder", (-1, -2))])
def test_some_heads_of_the_first_layers_look_at_a_neighbour(model, name, steps):
    side = getattr(model, name)
    states = side.layernorm_embedding(model.shared(IDS[0]) + side.embed_positions(jnp.arange(24) + 2))
    found = first_attention(side, states, 6).argmax(-1)  # [head, query]
    places = np.arange(3, 21)
    for number, step in enumerate(steps):
        for head in (2 * number, 2 * number + 1):
            assert np.mean(found[head, places] == places + step) > 0.6  # chance: 1 in 24


def test_cross_attention_finds_equal_tokens_and_copies_them(model):
    for layer in model.decoder.layers:
        attention = layer.encoder_attn
        np.testing.assert_array_equal(attention.q_proj.kernel[...], attention.k_proj.kernel[...])
        np.testing.assert_array_equal(attention.out_proj.kernel[...], np.asarray(attention.v_proj.kernel[...]).T)
    # A decoder fed with the source itself, shuffled, gives the token it is fed a better rank than chance.
    shuffled = np.random.default_rng(1).permutation(IDS[0])[None]
    mask = np.ones(IDS.shape, bool)

    @jax.jit
    def logits(source, target):
        memory = model.memory(model.encode(source, mask), mask)
        return model.logits(model.decode(target[:, None], memory)[0])[0, 0]

    found = np.asarray(logits(IDS, shuffled))
    ranks = (found > np.take_along_axis(found, shuffled[0][:, None], axis=-1)).sum(-1)
    assert np.median(ranks) < 10


def test_twins_start_alike_and_padding_at_zero(model):
    table = np.asarray(model.shared.embedding[...])
    cosine = lambda a, b: table[a] @ table[b] / np.linalg.norm(table[a]) / np.linalg.norm(table[b])  # noqa: E731
    assert cosine(10, 11) > 0.5 > abs(cosine(10, 12))
    assert not table[1].any()


def test_sinusoids_turn_by_the_same_angle_everywhere():
    table = sinusoids(20, 8)
    products = table @ table.T
    for distance in (1, 5):
        np.testing.assert_allclose(np.diag(products, distance), products[0, distance], rtol=1e-9)
    np.testing.assert_allclose((table**2).sum(-1), 8)
