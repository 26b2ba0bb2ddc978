"""The runner: what shapes it uses, and that precision, stages and slices are what they say. Its numbers are tested in test_quals.py
and test_summarizer.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quals_jax.decoding import stages
from quals_jax.decoding.diverse_beam import SearchConfig
from quals_jax.models import teacher_forcing
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.precision import Precision
from quals_jax.row_programs import PAIRS_AT_ONCE, inference_form, score_rows
from quals_jax.seq2seq import SCORE_SHAPES, SEARCH_SOURCES, Seq2Seq, padded_length, score_shape

ONE = jax.devices()[:1]


@pytest.fixture(scope="module")
def model():
    from flax import nnx

    config = BartConfig(
        vocab_size=64, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=128, init_std=0.3,
    )  # fmt: skip
    return Bart(config, rngs=nnx.Rngs(0))


def test_a_text_gets_the_smallest_length_that_holds_it():
    lengths = [padded_length(length, SEARCH_SOURCES, 2050) for length in (60, 64, 65, 1024, 1025, 1501, 2049, 2050)]
    assert lengths == [64, 64, 128, 1024, 1280, 1536, 2050, 2050]
    assert padded_length(600, SEARCH_SOURCES, 610) == 610


@pytest.mark.parametrize(
    ("source", "target"), [(1, 1), (257, 16), (257, 17), (700, 33), (1024, 64), (3, 1024), (193, 9)]
)
def test_a_document_gets_the_cheapest_shape_that_holds_it(source, target):
    fits = [shape for shape in SCORE_SHAPES if shape[0] >= source and shape[1] >= target]
    cost = min(s + PAIRS_AT_ONCE * t for s, t in fits)
    found = score_shape(source, target, 1024)
    assert found in fits and found[0] + PAIRS_AT_ONCE * found[1] == cost


def test_models_of_other_lengths_get_no_more_than_they_have_and_no_less_than_the_text():
    assert score_shape(100, 20, 128) == (128, 32)
    assert score_shape(1500, 20, 4096) == (1536, 1024)
    assert score_shape(100, 20, 100) == (100, 32)


def test_scores_are_those_of_the_whole_softmax_whatever_the_number_of_pairs(model):
    """Blocks of pairs, slices of logits and padding change nothing: every pair's numbers are those of a plain teacher-forced pass."""
    random = np.random.default_rng(0)
    source = [*random.integers(4, 60, 30).tolist(), 2]
    targets = [[*random.integers(4, 60, length).tolist(), 2] for length in random.integers(1, 14, 23)]
    found = Seq2Seq(model, devices=ONE, batch_size=2).logprobs([source], [targets])[0]
    assert [len(own) for own in found] == [len(own) for own in targets]
    for place in (0, 9, 10, 22):
        ids = jnp.array([[targets[place]]])
        states = teacher_forcing.target_states(model, jnp.array([source]), ids)
        expected = jnp.take_along_axis(jax.nn.log_softmax(model.logits(states)), ids[..., None], -1)[0, 0, :, 0]
        np.testing.assert_allclose(found[place], expected, atol=1e-5)


@pytest.mark.parametrize("start", [2, 0])
def test_the_decoder_reads_its_targets_one_place_later(start):
    assert teacher_forcing.shift_right(jnp.array([[5, 6, 2, 1]]), start).tolist() == [[start, 5, 6, 2]]


def test_logits_in_slices_are_the_logits_at_once(model):
    ids = np.random.default_rng(1).integers(4, 60, (2, 3, 7)).astype(np.int32)
    states = jnp.asarray(np.random.default_rng(2).normal(size=(2, 3, 7, 16)).astype(np.float32))

    def logprobs(at_once):
        slices = teacher_forcing.reduce_logits(model, states, ids, teacher_forcing.target_logprobs, at_once=at_once)
        return len(slices), teacher_forcing.per_token(slices, ids)

    expected = jnp.take_along_axis(jax.nn.log_softmax(model.logits(states)), ids[..., None], -1)[..., 0]
    for at_once, count in ((2**20, 1), (2 * 5 * 64, 5), (1, 21)):
        slices, found = logprobs(at_once)
        assert slices == count
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_logits_of_all_pairs_never_exist_at_once(model):
    """The largest array of the program with a vocabulary axis holds at most the slice that is allowed."""
    runner = Seq2Seq(model, devices=ONE, batch_size=2)
    ids, targets = np.full((2, 64), 5, np.int32), np.full((2, 60, 64), 5, np.int32)
    text = str(runner._program(score_rows).trace(runner._params, ids, targets).jaxpr)
    assert f"f32[2,{10 * 64},64]" in text  # a block of ten pairs
    assert f"[2,{60 * 64},64]" not in text and "[2,60,64,64]" not in text


def test_a_cache_that_grows_finds_what_a_whole_one_finds(model, monkeypatch):
    search = SearchConfig(num_beams=6, num_groups=3, min_length=2, max_length=40)
    sources = [[5, 9, 13, 2], [7, 7, 8, 30, 2]]

    def found(early):
        monkeypatch.setattr(stages, "EARLY_STAGES", early)
        return dict(Seq2Seq(model, devices=ONE, batch_size=2).search(sources, search))

    whole, grown = found(()), found((4, 16))
    for row in whole:
        np.testing.assert_array_equal(grown[row].tokens, whole[row].tokens)
        np.testing.assert_allclose(grown[row].beam_logprobs, whole[row].beam_logprobs, atol=1e-5)
    assert max(whole[0].lengths) > 16  # all stages were used


def test_bfloat16_holds_matrices_in_bfloat16_and_norms_in_float32(model):
    from flax import nnx

    _, held = inference_form(model, Precision.of("bfloat16"))
    for path, variable in nnx.to_flat_state(held):
        wanted = jnp.bfloat16 if path[-1] in ("kernel", "embedding") else jnp.float32
        assert variable[...].dtype == wanted, path


def test_tf32_is_refused_where_there_is_no_gpu(model):
    with pytest.raises(ValueError, match="dtype tf32 is of GPUs alone, and this is a cpu"):
        Seq2Seq(model, precision=Precision.of("tf32"), devices=ONE)


def test_other_weights_are_used_by_the_programs_that_are_there(model):
    from flax import nnx

    other = Bart(model.config, rngs=nnx.Rngs(1))
    sources, targets = [[5, 6, 7, 2]], [[[8, 9, 2]]]
    runner, fresh = (Seq2Seq(own, batch_size=1, devices=ONE) for own in (model, other))
    before = runner.logprobs(sources, targets)[0][0]
    programs = dict(runner._programs)
    runner.use_weights(other)
    after = runner.logprobs(sources, targets)[0][0]
    assert runner._programs == programs and not np.allclose(before, after)
    np.testing.assert_array_equal(after, fresh.logprobs(sources, targets)[0][0])
    small = Bart(BartConfig(**vars(model.config) | {"encoder_layers": 1}), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="another architecture"):
        runner.use_weights(small)
