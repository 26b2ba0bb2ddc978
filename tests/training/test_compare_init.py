"""Where a BERT begins that is to compare: like pieces attend to each other, the segments change places, and nothing else changes."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from quals_jax.checkpoints.bert import load_bert
from quals_jax.metrics.qags import READER
from quals_jax.training.encoder_init import COMPARING, compare_init


@pytest.fixture(scope="module")
def models():
    before, after = (load_bert(READER, head="labels", new_head_seed=1).model for _ in range(2))
    compare_init(after, seed=1)
    return before, after


def test_a_piece_attends_to_the_same_piece_far_away(models):
    """Twenty pieces twice, the second time as a claim: most of these look at the like one of the twenty, of which one in twenty would by chance."""
    ids = np.tile(np.random.default_rng(0).choice(np.arange(300, 2500), 20, replace=False), 2)
    for model, least, most in ((models[1], 0.5, 1.0), (models[0], 0.0, 0.3)):
        states = model.words(ids) + model.positions(jnp.arange(40)) + model.segments(np.repeat([0, 1], 20))
        layer, dim = model.layers[0], model.config.hidden_size // model.config.num_attention_heads
        states = model.embedding_norm(states)
        for head in range(COMPARING):
            own = slice(head * dim, (head + 1) * dim)
            logits = (layer.query(states)[:, own] @ layer.key(states)[:, own].T)[20:, :20]
            share = np.mean(np.argmax(np.asarray(logits), axis=1) == np.arange(20))
            assert least <= share <= most


def test_all_else_stays(models):
    before, after = (dict(nnx.to_flat_state(nnx.state(model))) for model in models)
    width, dim = models[0].config.hidden_size, models[0].config.hidden_size // models[0].config.num_attention_heads
    changed = {path for path in before if not np.array_equal(before[path][...], after[path][...])}
    assert changed == {("segments", "embedding")} | {
        ("layers", number, part, name)
        for number in range(3)
        for part in ("query", "key")
        for name in ("kernel", "bias")
    }
    np.testing.assert_array_equal(after["segments", "embedding"][...], before["segments", "embedding"][...][::-1])
    for path in changed - {("segments", "embedding")}:
        rest = slice(COMPARING * dim, width)
        np.testing.assert_array_equal(after[path][...][..., rest], before[path][...][..., rest])
