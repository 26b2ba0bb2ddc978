"""ConSeq's training loss and fairseq's Adam, against what the released code computed on the goldens' model."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import random_part, tiny_bart

from quals_jax import conseq, parallel
from quals_jax.checkpoints.layouts import bart_tensor
from quals_jax.models.bart import Bart
from quals_jax.models.teacher_forcing import target_states
from quals_jax.training import contrastive
from quals_jax.training.config import OptimizerConfig
from quals_jax.training.contrastive import contrastive_training_loss
from quals_jax.training.optimizer import make_optimizer
from quals_jax.training.state import new_state, take_apart
from quals_jax.training.step import compile_train_step, make_train_step, place_batch


def golden_batch(golden, number):
    """Batch `number` of the goldens as the loss wants it: padded on the right, S+ and S- of a document side by side."""
    arrays = np.load(golden / "criterion" / "batches.npz")
    source = arrays[f"batch{number}_target_src_tokens"]
    np.testing.assert_array_equal(source, arrays[f"batch{number}_untarget_src_tokens"])
    right = np.full_like(source, 1)
    for row, ids in enumerate(source):
        right[row, : (ids != 1).sum()] = ids[ids != 1]
    targets = [arrays[f"batch{number}_{part}_target"] for part in ("target", "untarget")]
    width = max(ids.shape[1] for ids in targets)
    pairs = [np.pad(ids, ((0, 0), (0, width - ids.shape[1])), constant_values=1) for ids in targets]
    part = {"source_ids": right, "target_ids": np.stack(pairs, axis=1)}
    return {"rows": {name: jnp.asarray(array, jnp.int32) for name, array in part.items()}}


def fairseq_arrays(params):
    """Arrays by path as fairseq names and lays them out."""
    found = {}
    for name, array in params.items():
        array, path = np.asarray(array, np.float64), tuple(name.split("."))
        each = {path: array}
        if "layers" in path:  # held as one
            place = path.index("layers") + 1
            each = {(*path[:place], number, *path[place:]): own for number, own in enumerate(array)}
        for path, array in each.items():
            theirs, transposed = bart_tensor(None, path)
            theirs = theirs.removeprefix("model.").replace("shared.weight", "encoder.embed_tokens.weight")
            found[theirs] = array.T if transposed else array
    return found


def norms(arrays):
    return {name: float(np.sqrt((array**2).sum())) for name, array in arrays.items()}


def assert_norms(found, wanted, *, rtol):
    """Key biases have no gradient but rounding noise, so nothing is said of them."""
    found = {name: norm for name, norm in norms(found).items() if not name.endswith("k_proj.bias")}
    assert set(found) <= set(wanted)
    for name, norm in found.items():
        assert norm == pytest.approx(wanted[name], rel=rtol, abs=1e-7), name


@pytest.fixture(scope="module")
def record(golden):
    losses = json.loads((golden / "criterion" / "losses.json").read_text())
    return {entry["tag"]: entry for entry in losses}


@pytest.mark.golden
@pytest.mark.parametrize("smoothing", [0.1, 0.0])
def test_parts_and_gradients_equal_the_reference(golden, tiny_bart, record, smoothing):
    tag = f"eps{smoothing}_hellinger0_sentavg0"
    skeleton, params = take_apart(tiny_bart)
    loss, batch = contrastive_training_loss(smoothing), golden_batch(golden, 0)

    def total(params):
        value, size, sums = loss(skeleton.bart(params), batch, None)
        return value, (size, sums)

    (value, (size, sums)), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(params)
    assert int(size) == record[tag]["sample_size"]
    assert float(value) == pytest.approx(record[tag]["loss"], rel=1e-5)
    assert float(sums["likelihood/positive"][0]) == pytest.approx(record[tag]["loss_positive"], rel=1e-5)
    # fp32 loses digits of 1 - p in the reference, which subtracts.
    assert float(sums["unlikelihood/negative"][0]) == pytest.approx(record[tag]["loss_negative"], rel=1e-3)
    found = fairseq_arrays(gradient)
    assert_norms(found, record[tag]["grad_norm"], rtol=3e-4)
    arrays = np.load(golden / "criterion" / "grads.npz")
    own = {
        "embed_rows_0_8": found["encoder.embed_tokens.weight"][:8],
        "encoder_pos_rows_0_8": found["encoder.embed_positions.weight"][:8],
        "decoder_pos_rows_0_8": found["decoder.embed_positions.weight"][:8],
    } | found
    for key in arrays.files:
        setting, name = key.split("|")
        if setting == tag:
            scale = np.abs(arrays[key]).max()
            np.testing.assert_allclose(own[name], arrays[key], atol=2e-4 * scale, err_msg=name)


@pytest.mark.golden
def test_three_steps_of_fairseqs_adam(golden, tiny_bart):
    trace = json.loads((golden / "criterion" / "train_trace.json").read_text())
    hyper = trace["hyper"]
    config = OptimizerConfig(
        name="fairseq_adam", learning_rate=hyper["lr"], beta1=hyper["betas"][0], beta2=hyper["betas"][1],
        epsilon=hyper["eps"], weight_decay=hyper["weight_decay"], clip_norm=hyper["clip_norm"],
    )  # fmt: skip
    skeleton, params = take_apart(tiny_bart)
    before = fairseq_arrays(params)
    mesh = parallel.make_mesh(jax.devices()[:1])
    optimizer = make_optimizer(config, 3)
    step = make_train_step(skeleton, contrastive_training_loss(hyper["label_smoothing"]), optimizer)
    state = new_state(jax.tree.map(jnp.copy, params), optimizer, 0)
    shardings = parallel.state_shardings(jax.eval_shape(lambda: state), mesh, shard_params=False)
    compiled = compile_train_step(step, mesh, shardings)
    for number, wanted in enumerate(trace["steps"]):
        state, sums = compiled(state, golden_batch(golden, number))
        total, size = map(float, sums["loss"])
        assert size == wanted["sample_size"]
        assert total == pytest.approx(wanted["loss_sum"], rel=1e-5)
        assert float(sums["gradient_norm"][0]) == pytest.approx(wanted["grad_norm_before_clip_double_sum"], rel=2e-4)
        assert_norms(fairseq_arrays(state.params), wanted["param_norm"], rtol=1e-5)
    after = fairseq_arrays(state.params)
    changed = {name: after[name] - before[name] for name in after}
    assert_norms(changed, trace["final_update_norm"], rtol=2e-3)
    final = np.load(golden / "criterion" / "final_params_small.npz")
    for name in final.files:
        np.testing.assert_allclose(after[name], final[name], atol=3e-5, err_msg=name)


def test_slices_of_logits_change_nothing(monkeypatch):
    model = tiny_bart()
    batch = {"rows": random_part(3, rows=4, pair=2, target=7)}
    whole = contrastive_training_loss(0.1)(model, batch, None)
    monkeypatch.setattr(contrastive, "LOGITS_AT_ONCE", 4 * 2 * 48)
    sliced = contrastive_training_loss(0.1)(model, batch, None)
    np.testing.assert_allclose(float(sliced[0]), float(whole[0]), rtol=1e-6)
    assert int(sliced[1]) == int(whole[1])


@pytest.mark.parametrize(("devices", "width"), [(1, 2), (2, 4), (8, 7)])
def test_a_slice_is_as_large_as_all_devices_together_can_hold(monkeypatch, devices, width):
    """Four rows of 7 tokens, 48 words: where a device holds 4 x 2 x 48 logits, two hold slices of 4 tokens, and eight all of them."""
    model, seen = tiny_bart(), []
    logits = Bart.logits
    monkeypatch.setattr(contrastive, "LOGITS_AT_ONCE", 4 * 2 * 48)
    monkeypatch.setattr(Bart, "logits", lambda self, states: seen.append(states.shape[1]) or logits(self, states))
    contrastive_training_loss(0.1)(model, {"rows": random_part(3, rows=4, pair=2, target=7)}, None, devices=devices)
    assert set(seen) == {width}


def test_equals_the_public_loss_on_whole_logits():
    model = tiny_bart()
    batch = {"rows": random_part(4, rows=3, pair=2)}
    total, size, _ = contrastive_training_loss(0.1)(model, batch, None)
    logits = model.logits(target_states(model, batch["rows"]["source_ids"], batch["rows"]["target_ids"]))
    ids = batch["rows"]["target_ids"]
    expected, tokens = conseq.contrastive_loss(logits[:, 0], ids[:, 0], logits[:, 1], ids[:, 1], 0.1)
    assert float(total) == pytest.approx(float(expected), rel=1e-6)
    assert int(size) == int(tokens) == int((ids != 1).sum())


@pytest.mark.skipif(jax.device_count() < 8, reason="needs 8 devices: tests/conftest.py asks for them")
@pytest.mark.parametrize("devices", [8])
def test_many_devices_lose_what_one_loses(devices):
    def losses(count):
        mesh = parallel.make_mesh(jax.devices()[:count])
        skeleton, params = take_apart(tiny_bart())
        optimizer = make_optimizer(OptimizerConfig(name="fairseq_adam", learning_rate=0.01, clip_norm=0.1), 3)
        shapes = jax.eval_shape(lambda params: new_state(params, optimizer, 0), params)
        shardings = parallel.state_shardings(shapes, mesh, shard_params=False)
        state = parallel.place(new_state(params, optimizer, 0), shardings)
        step = make_train_step(skeleton, contrastive_training_loss(0.1), optimizer)
        compiled, values = compile_train_step(step, mesh, shardings), []
        for seed in range(3):
            batch = {"rows": random_part(seed, rows=8, pair=2)}
            state, sums = compiled(state, place_batch(batch, mesh, pad_id=1))
            values.append(float(sums["loss"][0] / sums["loss"][1]))
        return values

    np.testing.assert_allclose(losses(devices), losses(1), rtol=1e-5)
