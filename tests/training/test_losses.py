import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import CONFIG, random_part, tiny_bart

from quals_jax.checkpoints.huggingface import fill, load_huggingface
from quals_jax.training import losses
from quals_jax.training.state import take_apart


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def one_by_one(model, part):
    """[row][pair] -> (ids, log-probabilities [target, vocab]), one target of one source at a time, no padding."""

    @jax.jit
    def logits(source, inputs):
        mask = jnp.ones(source.shape, bool)
        memory = model.memory(model.encode(source, mask), mask)
        return model.logits(model.decode(inputs, memory)[0])[0, 0]

    result = []
    for source, targets in zip(part["source_ids"], part["target_ids"], strict=True):
        targets = [target[target != 1] for target in targets]
        inputs = [np.array([[[2, *target[:-1]]]], np.int32) for target in targets]
        source = source[source != 1][None]
        result.append([(target, log_softmax(logits(source, ids))) for target, ids in zip(targets, inputs, strict=True)])
    return result


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_of_many_targets_is_that_of_each_alone(smoothing):
    model, part = tiny_bart(), random_part(1, rows=2, pair=2)
    wanted, tokens = 0.0, 0
    for target, logprobs in (pair for row in one_by_one(model, part) for pair in row):
        nll = -logprobs[np.arange(len(target)), target]
        wanted += ((1 - smoothing) * nll - smoothing * logprobs.mean(-1)).sum()
        tokens += len(target)
    total, size, sums = jax.jit(lambda: losses.likelihood_loss(smoothing)(model, {"rows": part}))()
    assert size == tokens
    assert float(total) == pytest.approx(wanted, rel=1e-5)
    assert sums["nll/rows"][1] == tokens


def test_loss_in_slices_is_the_same_and_so_is_its_gradient(monkeypatch):
    skeleton, params = take_apart(tiny_bart())
    batch = {"rows": random_part(2), "more": random_part(3, rows=4, pair=1)}

    def value_and_gradient():
        loss = losses.likelihood_loss(0.1)
        return jax.jit(jax.value_and_grad(lambda params: loss(skeleton.bart(params), batch)[0]))(params)

    whole = value_and_gradient()
    monkeypatch.setattr(
        losses, "LOGITS_AT_ONCE", 4 * 5 * CONFIG.vocab_size
    )  # 18 targets in slices of 5: the last is filled up
    sliced = value_and_gradient()
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(sliced), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


def test_rows_of_padding_count_nothing_and_leave_gradients_finite():
    (skeleton, params), part = take_apart(tiny_bart()), random_part(4)
    longer = {name: np.concatenate([array, np.ones_like(array)]) for name, array in part.items()}

    def value_and_gradient(part):
        loss = losses.likelihood_loss(0.1)
        return jax.jit(jax.value_and_grad(lambda params: loss(skeleton.bart(params), {"rows": part})[0]))(params)

    for one, other in zip(*(jax.tree.leaves(value_and_gradient(part)) for part in (part, longer)), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


def test_what_is_given_is_read_but_not_learnt():
    model, part = tiny_bart(), random_part(4, rows=2, pair=2)
    given = np.array([[2, 0], [1, 1]], np.int32)
    wanted = 0.0
    for row, lengths in zip(one_by_one(model, part), given, strict=True):
        for (target, logprobs), length in zip(row, lengths, strict=True):
            wanted -= logprobs[np.arange(len(target)), target][length:].sum()
    batch = {"rows": part | {"prompt_lengths": given}}
    total, size, _ = jax.jit(lambda: losses.likelihood_loss()(model, batch))()
    np.testing.assert_allclose(total, wanted, rtol=1e-5)
    assert size == (part["target_ids"] != 1).sum() - given.sum()


def test_first_answer_tokens_are_counted_by_type():
    connector, model, part = 7, tiny_bart(), random_part(5, rows=2, target=7)
    part["target_ids"][part["target_ids"] == connector] = 8
    part["target_ids"][:, :2, 2] = connector  # two of the three pairs have an answer, which begins at position 3
    part["target_ids"][:, :2, 3] = np.maximum(part["target_ids"][:, :2, 3], 4)
    part["target_ids"][:, :2, :2] = 9
    part["type_ids"] = np.array([[0, 1, 0], [1, 1, 1]], np.int32)
    wanted = {"person": [], "place": []}
    for row, types in zip(one_by_one(model, part), part["type_ids"], strict=True):
        for (target, logprobs), number in zip(row, types, strict=True):
            places = np.flatnonzero(target == connector) + 1
            for place in places[places < len(target)]:
                wanted[["person", "place"][number]].append(
                    (-logprobs[place, target[place]], logprobs[place].argmax() == target[place])
                )
    sums = jax.jit(lambda: losses.answer_sums(connector, ("person", "place"))(model, {"rows": part}))()
    for name, values in wanted.items():
        nll, count = sums[f"first_nll/rows/{name}"]
        assert count == len(values) > 0
        assert float(nll) == pytest.approx(sum(value for value, _ in values), rel=1e-5)
        assert sums[f"first_accuracy/rows/{name}"][0] == sum(right for _, right in values)


@pytest.mark.golden
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_that_of_the_reference(smoothing, golden):
    """The positive half of the reference's criterion; sources are left-padded there, and right-padded here."""
    model = fill(*load_huggingface(golden / "tiny_bart_hf")[:2])
    batches = np.load(golden / "criterion" / "batches.npz")
    padded = batches["batch0_target_src_tokens"]
    sources = np.ones_like(padded)
    for row, ids in enumerate(padded):
        sources[row, : (ids != 1).sum()] = ids[ids != 1]
    part = {
        "source_ids": sources.astype(np.int32),
        "target_ids": batches["batch0_target_target"][:, None].astype(np.int32),
    }
    total, size, sums = jax.jit(lambda: losses.likelihood_loss(smoothing)(model, {"rows": part}))()
    known = json.loads((golden / "criterion" / "losses.json").read_text())
    wanted = next(
        row for row in known
        if row["label_smoothing"] == smoothing and not row["use_hellinger_loss"] and not row["sentence_avg"]
    )  # fmt: skip
    assert float(total) == pytest.approx(wanted["loss_positive"], rel=2e-6)
    assert float(sums["nll/rows"][0]) == pytest.approx(wanted["nll_positive"], rel=2e-6)
    assert size == (part["target_ids"] != 1).sum()
