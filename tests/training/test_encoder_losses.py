"""Losses of a BERT with a head against NumPy; and a BERT that begins as a BART's encoder against that encoder."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from quals_jax.checkpoints.bert import load_bert
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.training.encoder_init import encoder_of
from quals_jax.training.encoder_losses import encoder_loss, encoder_sums, label_losses, marked_label_losses, span_losses


@pytest.fixture(scope="module")
def outputs(golden):
    return dict(np.load(golden / "bert" / "outputs.npz"))


def _part(outputs, target_ids, empty=(0, 0)):
    return {
        "source_ids": jnp.asarray(outputs["input_ids"]),
        "segment_ids": jnp.asarray(outputs["token_type_ids"]),
        "target_ids": jnp.asarray(target_ids),
        "empty": jnp.asarray(empty),
    }


def _logprobs(logits, there):
    logits = np.where(there, logits.astype(np.float64), -np.inf)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_span_loss_of_an_answer_at_two_places(golden, outputs):
    model = load_bert(golden / "bert" / "span", head="span").model
    there = outputs["attention_mask"] == 1
    starts, ends = (_logprobs(outputs[name], there) for name in ("start_logits", "end_logits"))
    targets = np.array([[[7, 11], [8, 12]], [[0, -1], [0, -1]]])
    nll, right = span_losses(model, _part(outputs, targets))
    wanted = [
        -(np.logaddexp(starts[0, 7], starts[0, 11]) + np.logaddexp(ends[0, 8], ends[0, 12])) / 2,
        -(starts[1, 0] + ends[1, 0]) / 2,
    ]
    np.testing.assert_allclose(nll, wanted, atol=1e-4)
    best = np.array([[[starts[row].argmax()], [ends[row].argmax()]] for row in range(2)])
    assert span_losses(model, _part(outputs, best))[1].tolist() == [True, True]
    best[0, 1] -= 1
    assert span_losses(model, _part(outputs, best))[1].tolist() == [False, True]
    assert right.shape == (2,)


def test_label_loss_and_rows_that_only_fill_the_batch(golden, outputs):
    model = load_bert(golden / "bert" / "labels", head="labels", tokenizer=golden / "bert" / "span").model
    logprobs = _logprobs(outputs["label_logits"], True)
    labels = np.array([[2], [0]])
    nll, right = label_losses(model, _part(outputs, labels))
    np.testing.assert_allclose(nll, [-logprobs[0, 2], -logprobs[1, 0]], atol=1e-4)
    assert right.tolist() == (logprobs.argmax(axis=1) == labels[:, 0]).tolist()
    total, size, sums = encoder_loss(label_losses)(model, {"rows": _part(outputs, labels, empty=(0, 1))})
    assert float(total) == pytest.approx(-logprobs[0, 2], abs=1e-4) and int(size) == 1
    assert set(sums) == {"nll/rows"}
    found = encoder_sums(label_losses)(model, {"rows": _part(outputs, labels)})
    assert float(found["accuracy/rows"][0]) == right.sum() and float(found["nll"][1]) == 2


def test_marks_add_the_mean_loss_of_the_pieces_that_have_one(golden, outputs):
    """The head over one piece is its pooler and classifier on that piece's state: here in NumPy."""
    model = load_bert(golden / "bert" / "labels", head="labels", tokenizer=golden / "bert" / "span").model
    labels, marks = np.array([[2], [0]]), np.full(outputs["input_ids"].shape, -1)
    marks[0, 3], marks[0, 5] = 1, 0
    part = _part(outputs, labels) | {"piece_ids": jnp.asarray(marks)}
    added = np.asarray(marked_label_losses(model, part)[0] - label_losses(model, part)[0])
    weights = [
        np.asarray(array[...], np.float64)
        for array in (model.pooler.kernel, model.pooler.bias, model.classifier.kernel, model.classifier.bias)
    ]
    states = outputs["labels_hidden"].astype(np.float64)
    logits = np.tanh(states @ weights[0] + weights[1]) @ weights[2] + weights[3]
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    np.testing.assert_allclose(added, [-(logprobs[0, 3, 1] + logprobs[0, 5, 0]) / 2, 0], atol=1e-4)


def test_a_bert_that_begins_as_the_encoder_of_a_bart_gives_its_states():
    config = BartConfig(
        vocab_size=40, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=20, init_std=0.3,
    )  # fmt: skip
    bart = Bart(config, rngs=nnx.Rngs(0))
    bert = encoder_of(bart, head="span", seed=1)
    ids = jnp.asarray(np.random.default_rng(0).integers(4, 40, (2, 20))).at[1, 12:].set(1)
    mask = ids != 1
    ours, theirs = bert.encode(ids, jnp.zeros_like(ids)), bart.encode(ids, mask)
    np.testing.assert_allclose(np.asarray(ours)[mask], np.asarray(theirs)[mask], atol=1e-5)
    assert bert.config.max_positions == 20 and bert.config.pad_token_id == 1
