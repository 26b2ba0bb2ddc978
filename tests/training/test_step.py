"""The step on one device and on eight, cut and whole; and what the compiled program says to other devices."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tiny import CONFIG, random_part, tiny_bart

from quals_jax import parallel
from quals_jax.checkpoints import fill
from quals_jax.checkpoints.bert import load_bert
from quals_jax.checkpoints.huggingface import load_huggingface
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.training.config import OptimizerConfig
from quals_jax.training.encoder_losses import encoder_loss, span_losses
from quals_jax.training.losses import likelihood_loss
from quals_jax.training.optimizer import make_optimizer
from quals_jax.training.state import new_state, take_apart
from quals_jax.training.step import compile_train_step, make_train_step, place_batch

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


class Run:
    def __init__(self, model, loss=None, *, devices=1, accumulate=1, shard_params=False, dropout=False):
        self.mesh = parallel.make_mesh(jax.devices()[:devices])
        self.parts = accumulate
        skeleton, params = take_apart(model)
        optimizer = make_optimizer(OptimizerConfig(learning_rate=0.01, clip_norm=1.0), 100)
        shapes = jax.eval_shape(lambda params: new_state(params, optimizer, 5), params)
        self.shardings = parallel.state_shardings(shapes, self.mesh, shard_params=shard_params)
        self.state = parallel.place(new_state(params, optimizer, 5), self.shardings)
        loss = loss or likelihood_loss(0.1)
        step = make_train_step(skeleton, loss, optimizer, accumulate=accumulate, dropout=dropout)
        self.step = compile_train_step(step, self.mesh, self.shardings)

    def batch(self, seed, **shape):
        batch = {"rows": random_part(seed, **shape), "others": random_part(seed + 100, pair=1, **shape)}
        return place_batch(batch, self.mesh, pad_id=1, parts=self.parts)

    def losses(self, steps=4, **shape):
        values = []
        for seed in range(steps):
            self.state, sums = self.step(self.state, self.batch(seed, **shape))
            values.append(float(sums["loss"][0] / sums["loss"][1]))
        return values


@pytest.fixture(scope="module")
def alone():
    return Run(tiny_bart()).losses(rows=8)


@pytest.mark.skipif(jax.device_count() < 8, reason="needs 8 devices: tests/conftest.py asks for them")
@pytest.mark.parametrize("options", [{}, {"shard_params": True}, {"accumulate": 2}], ids=str)
def test_eight_devices_compute_what_one_does(alone, options, monkeypatch):
    monkeypatch.setattr(parallel, "SMALLEST_SHARDED", 1)
    run = Run(tiny_bart(), devices=8, **options)
    np.testing.assert_allclose(run.losses(rows=8), alone, rtol=1e-5)
    if options.get("shard_params"):
        table = run.state.params["shared.embedding"]
        assert table.addressable_shards[0].data.shape == (CONFIG.vocab_size // 8, CONFIG.d_model)
        moment = run.state.optimizer[1].mu["shared.embedding"]
        assert moment.sharding == table.sharding


def test_rows_that_eight_does_not_divide_are_filled_up():
    np.testing.assert_allclose(
        Run(tiny_bart(), devices=8).losses(rows=3, steps=2), Run(tiny_bart()).losses(rows=3, steps=2), rtol=1e-5
    )


def test_added_rows_are_padding_of_the_model_s_own_and_lie_on_every_device():
    """Of a T5 padding is 0, and 1 the end of sentence, which would be learnt; of an encoder's batch `empty` says it."""
    part = {name: np.full((3, 2), 7) for name in ("source_ids", "target_ids", "type_ids")} | {"empty": np.zeros(3, int)}
    placed = place_batch({"rows": part}, parallel.make_mesh(), pad_id=0, parts=2)["rows"]
    assert {array.shape[0] for array in placed.values()} == {16}
    assert not placed["source_ids"][3:].any() and not placed["target_ids"][3:].any() and placed["empty"][3:].all()
    assert len(placed["source_ids"].addressable_shards) == 8
    assert (place_batch({"rows": part}, parallel.make_mesh(), pad_id=5)["rows"]["target_ids"][3:] == 5).all()


def test_accumulated_gradients_are_those_of_the_whole_batch(alone):
    np.testing.assert_allclose(Run(tiny_bart(), accumulate=4).losses(rows=8), alone, rtol=1e-5)


def compiled(run, batch):
    return run.step.lower(run.state, place_batch(batch, run.mesh, pad_id=1)).compile().as_text()


def collectives(run):
    """The elements that each kind of collective of the compiled step brings together, in all."""
    text = compiled(run, {"rows": random_part(0, rows=8)})
    found = {}
    for name in COLLECTIVES:
        for result in re.findall(rf" = (.*) {name}(?:-start)?\(", text):
            shapes = re.findall(r"\w\d+\[([\d,]*)\]", result)
            elements = sum(math.prod(int(size) for size in shape.split(",") if size) for shape in shapes)
            found[name] = found.get(name, 0) + elements
    return found


def number_of_parameters():
    return sum(array.size for array in take_apart(tiny_bart())[1].values())


def test_data_parallel_steps_reduce_gradients_and_nothing_else():
    found = collectives(Run(tiny_bart(), devices=8))
    assert set(found) == {"all-reduce"}
    # The one table is the gradient's target three times (two embeddings, the output), which the CPU's compiler reduces
    # one by one; of the position tables only the rows in use come. Then the sums to report: no activations.
    table, unused = CONFIG.vocab_size * CONFIG.d_model, (34 - 9 + 34 - 6) * CONFIG.d_model
    assert found["all-reduce"] == pytest.approx(number_of_parameters() + 2 * table - unused, abs=20)


@pytest.mark.parametrize("architecture", ["bart", "t5", "bert"])
def test_no_sum_over_devices_stands_in_a_conditional(architecture, golden):
    """XLA keeps such a conditional, and does not order its sums among the others: devices of a CPU waited at different ones for ever."""
    part, loss = random_part(0, rows=8), None
    if architecture == "bart":
        model = tiny_bart()
    elif architecture == "t5":
        config, tensors, _ = load_huggingface(golden / "t5" / "v1_1")
        model = fill(config, tensors)
    else:
        model, loss = load_bert(golden / "bert" / "span", head="span").model, encoder_loss(span_losses)
        ids = part["source_ids"]
        part = {
            "source_ids": ids,
            "segment_ids": 0 * ids,
            "target_ids": 0 * ids[:, None, :1].repeat(2, 1),
            "empty": 0 * ids[:, 0],
        }
    text = compiled(Run(model, loss, devices=8), {"rows": part})
    assert " conditional(" not in text
    assert " all-reduce(" in text


def test_one_device_talks_to_nobody():
    assert collectives(Run(tiny_bart())) == {}


def test_sharded_parameters_are_gathered_and_their_gradients_reduced(monkeypatch):
    monkeypatch.setattr(parallel, "SMALLEST_SHARDED", 1)
    found = collectives(Run(tiny_bart(), devices=8, shard_params=True))
    assert {"all-gather"} < set(found) <= {"all-gather", "all-reduce", "reduce-scatter"}
    assert found["all-gather"] < 1.5 * number_of_parameters()


def test_dropout_is_drawn_from_the_step_and_not_from_the_devices():
    sizes = BartConfig(**{**CONFIG.to_dict(), "dropout": 0.3, "attention_dropout": 0.2})
    one, again, eight = (
        Run(Bart(sizes, rngs=nnx.Rngs(0)), dropout=True, devices=devices).losses(rows=8, steps=2)
        for devices in (1, 1, 8)
    )
    plain = Run(tiny_bart()).losses(rows=8, steps=2)
    assert one == again
    np.testing.assert_allclose(eight, one, rtol=1e-5)
    assert abs(one[0] - plain[0]) > 1e-3


def test_the_first_bad_step_is_remembered():
    run = Run(tiny_bart())
    run.losses(steps=2)
    params = dict(run.state.params)
    params["shared.embedding"] = params["shared.embedding"].at[5].set(jnp.nan)
    run.state = jax.tree.map(lambda array: array, run.state)
    run.state = type(run.state)(run.state.step, params, run.state.optimizer, run.state.key, run.state.bad_step)
    assert int(run.state.bad_step) == -1
    run.losses(steps=2)
    assert int(run.state.bad_step) == 2


def test_parameters_stay_float32_when_products_are_bfloat16():
    run = Run(tiny_bart(dtype=jnp.bfloat16))
    rough = run.losses(rows=8)
    assert {array.dtype for array in run.state.params.values()} == {jnp.dtype("float32")}
    assert {array.dtype for array in jax.tree.leaves(run.state.optimizer[1].mu)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(rough, Run(tiny_bart()).losses(rows=8), rtol=0.03)


def test_layers_computed_again_give_the_same_losses(alone):
    np.testing.assert_allclose(Run(tiny_bart(remat=True)).losses(rows=8), alone, rtol=1e-5)


def test_a_program_of_more_layers_has_no_more_parameters():
    few, many = (
        take_apart(Bart(dataclasses.replace(CONFIG, encoder_layers=count, decoder_layers=count), rngs=nnx.Rngs(0)))[1]
        for count in (1, 3)
    )
    assert few.keys() == many.keys()


def test_a_name_of_a_parameter_is_its_path():
    skeleton, params = take_apart(tiny_bart())
    assert params["encoder.layers.fc1.kernel"].shape == (CONFIG.encoder_layers, 16, 32)  # [layer, model, ffn]
    assert "final_logits_bias" not in params
    same = take_apart(skeleton.bart(params))[1]
    assert all(np.array_equal(params[name], same[name]) for name in params)
