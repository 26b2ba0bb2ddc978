"""A run goes on from its checkpoint on other devices: the batches, the dropout and the losses are those of one never stopped."""

import dataclasses
import json

import grain
import jax
import numpy as np
import pytest
from flax import nnx
from tiny import CONFIG, random_part

from quals_jax import parallel
from quals_jax.models.bart import Bart
from quals_jax.training import loop
from quals_jax.training.checkpoint import Checkpoints
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig
from quals_jax.training.journal import Journal
from quals_jax.training.losses import likelihood_loss

STEPS = 9
SETTINGS = TrainConfig(
    seed=3, steps=STEPS, checkpoint_every=3, checkpoint_minutes=0.0, eval_every=0, log_every=1, export="last",
    data=DataConfig(train="x", batch_size=6), model=ModelConfig(tokenizer="x", shard_params=True),
    optimizer=OptimizerConfig(learning_rate=0.02, clip_norm=1.0, accumulate=2),
)  # fmt: skip


class Batches:
    """Six rows each, which eight devices do not divide."""

    def __len__(self):
        return STEPS

    def __getitem__(self, number):
        return {"rows": random_part(number, rows=6)}


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch):
    """One program for each number of devices."""
    programs, compile_step = {}, loop.compile_train_step

    def once(step, mesh, shardings):
        return programs.setdefault(mesh.size, compile_step(step, mesh, shardings))

    monkeypatch.setattr(loop, "compile_train_step", once)


def train(workdir, *, devices, steps=STEPS):
    """Trains until `steps` on so many devices; the losses by step."""
    loop.train(
        dataclasses.replace(SETTINGS, steps=steps),
        workdir,
        model=Bart(dataclasses.replace(CONFIG, dropout=0.1), rngs=nnx.Rngs(0)),
        loss=likelihood_loss(),
        batches=grain.MapDataset.source(Batches()).to_iter_dataset(grain.ReadOptions(1, 1)),
        journal=Journal(workdir / "metrics.jsonl", steps=steps),
        mesh=parallel.make_mesh(jax.devices()[:devices]),
    )
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows}


@pytest.mark.skipif(jax.device_count() < 8, reason="needs 8 devices")
def test_from_eight_devices_to_one_to_two(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "SMALLEST_SHARDED", 64)  # so that this tiny model lies in pieces too
    unbroken = train(tmp_path / "unbroken", devices=1)
    for devices, steps in ((8, 3), (1, 6), (2, 9)):
        losses = train(tmp_path / "moved", devices=devices, steps=steps)
    assert list(losses) == list(unbroken) == list(range(1, STEPS + 1))
    np.testing.assert_allclose(list(losses.values()), list(unbroken.values()), rtol=1e-5)
    assert losses[STEPS] < losses[1]


class Position:
    """An iterator that knows where it is."""

    def __init__(self, place=0):
        self.place = place

    def get_state(self):
        return {"place": self.place}

    def set_state(self, state):
        self.place = state["place"]


def saved(folder):
    """A checkpoint of step 4 at place 17, and what restores it."""
    optimizer = loop.make_optimizer(OptimizerConfig(), STEPS)
    params = {"w": np.arange(4.0)}
    state = dataclasses.replace(loop.new_state(params, optimizer, 0), step=jax.numpy.asarray(4))
    shapes = jax.eval_shape(lambda: state)
    shardings = parallel.state_shardings(shapes, parallel.make_mesh(jax.devices()[:1]), shard_params=False)
    with Checkpoints(folder, keep=1) as checkpoints:
        checkpoints.save(parallel.place(state, shardings), Position(17), notes={"waited": 2})
    return shapes, shardings


def test_a_position_of_an_earlier_version_is_read_whoever_wrote_it(tmp_path):
    """There every process wrote its own; here two did, and one goes on."""
    shapes, shardings = saved(tmp_path)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert checkpoints.notes() == {"waited": 2}
    data = tmp_path / "4" / "data"
    for path in data.iterdir():
        path.unlink()
    for process in range(2):
        (data / f"process_{process}-of-2.json").write_text('{"place": 23}')
    position = Position()
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        state = checkpoints.restore(shapes, shardings, position)
        assert checkpoints.notes() == {}
    assert position.place == 23 and state.params["w"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("params", [{"v": np.arange(4.0)}, {"w": np.zeros((2, 4))}], ids=["name", "shape"])
def test_a_checkpoint_of_other_arrays_is_refused_in_one_line(tmp_path, params):
    """As those of versions that kept an array for every layer are."""
    saved(tmp_path)
    optimizer = loop.make_optimizer(OptimizerConfig(), STEPS)
    shapes = jax.eval_shape(lambda: loop.new_state(params, optimizer, 0))
    shardings = parallel.state_shardings(shapes, parallel.make_mesh(jax.devices()[:1]), shard_params=False)
    wanted = r"/4 holds other arrays than this model's: another version"
    with Checkpoints(tmp_path, keep=1) as checkpoints, pytest.raises(ValueError, match=wanted) as caught:
        checkpoints.restore(shapes, shardings)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
