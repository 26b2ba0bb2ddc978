"""What a run says before its first step, on a tiny model: bytes that can be counted by hand, and a step that is compiled once."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from flax import nnx
from tiny import CONFIG, random_part, tiny_bart

from quals_jax import parallel
from quals_jax.training import loop, memory
from quals_jax.training.config import DataConfig, ModelConfig, TrainConfig
from quals_jax.training.losses import likelihood_loss
from quals_jax.training.plan import Sample, require_fits, table
from quals_jax.training.state import new_state
from quals_jax.training.step import place_batch

SETTINGS = TrainConfig(
    steps=30, keep=2, data=DataConfig(train="x", batch_size=4, batch_tokens=64, batch_target_tokens=1024),
    model=ModelConfig(tokenizer="x"),
)  # fmt: skip
SMALL, LARGE = {"rows": random_part(1)}, {"rows": random_part(2, rows=8, source=16, pair=3, target=12)}
SAMPLE = Sample([SMALL, LARGE, SMALL], texts=10, of=50)


@pytest.fixture(scope="module")
def programs():
    return loop.prepare(SETTINGS, tiny_bart(), likelihood_loss(), parallel.make_mesh(jax.devices()[:1]))


@pytest.fixture(scope="module")
def plan(programs):
    return programs.plan(SETTINGS, SAMPLE, compile_seconds=0.0)


def test_steps_epochs_and_checkpoints_by_hand(plan):
    """Three batches of 10 texts are 15 of 50; Adam keeps two numbers for each parameter, in float32."""
    numbers = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(tiny_bart(), nnx.Param)))
    assert plan.steps_per_epoch == 15 and plan.epochs == 2
    assert 3 * 4 * numbers <= plan.checkpoint_bytes <= 3 * 4 * numbers + 64  # and counters
    assert plan.checkpoints_bytes == 4 * plan.checkpoint_bytes


def test_the_largest_shape_is_compiled_and_counted(plan, programs):
    assert [(shape.shape, shape.batches, shape.memory) for shape in plan.shapes] == [
        ("rows 8x16 8x3x12", 1, "compiled"),
        ("rows 4x9 4x3x6", 2, "formula"),
    ]
    structs = memory.batch_structs(LARGE, programs.mesh, 1)
    abstract = jax.tree.map(
        lambda a, b: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=b), programs.shapes, programs.shardings
    )
    found = programs.train_step.lower(abstract, structs).compile().memory_analysis()
    wanted = found.argument_size_in_bytes + found.temp_size_in_bytes
    wanted += found.output_size_in_bytes - found.alias_size_in_bytes
    assert plan.shapes[0].bytes == wanted * jax.local_device_count()
    assert plan.shapes[0].bytes > plan.state_bytes


def test_the_step_is_not_compiled_again(plan, programs):
    compiled = []
    state = parallel.place(new_state(programs.params, programs.optimizer, 1), programs.shardings)
    batch = place_batch(LARGE, programs.mesh, pad_id=1)
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: compiled.append(name) if "backend_compile" in name else None
    )
    programs.train_step(state, batch)
    assert compiled == []


def test_what_does_not_fit_is_refused_with_what_would(programs, tmp_path):
    whole = programs.plan(SETTINGS, SAMPLE, limit=10**12)
    assert whole.fits and {shape.memory for shape in whole.shapes} == {"formula"} and whole.hours is None
    require_fits(whole)
    wanted = whole.shapes[0].bytes
    small = programs.plan(SETTINGS, SAMPLE, limit=wanted - 1)
    with pytest.raises(
        ValueError,
        match=r"rows 8x16 8x3x12 needs .* GB \(formula\), the device has .*: data.batch_tokens=32, data.batch_target_tokens=512 would fit",
    ):
        require_fits(small)
    assert "DOES NOT FIT" in table(small)
    # Nine rows can be cut in three parts, not in two; what is named then fits, by the same formula.
    data = dataclasses.replace(SETTINGS.data, batch_size=9, batch_tokens=0, batch_target_tokens=0)
    nine = dataclasses.replace(SETTINGS, data=data)
    thirds = dataclasses.replace(nine, optimizer=dataclasses.replace(nine.optimizer, accumulate=3))
    limit = programs.plan(thirds, SAMPLE, limit=10**12).shapes[0].bytes
    assert limit < wanted
    with pytest.raises(ValueError, match=r"or the same batch in parts, optimizer.accumulate=3$"):
        require_fits(programs.plan(nine, SAMPLE, limit=limit))
    require_fits(programs.plan(thirds, SAMPLE, limit=limit))
    small.write(tmp_path / "plan.json")
    assert json.loads((tmp_path / "plan.json").read_text())["fits"] is False
    none = programs.plan(SETTINGS, SAMPLE, limit=1000)
    with pytest.raises(ValueError, match="parameters, optimizer and gradients alone"):
        require_fits(none)


def test_rows_are_counted_as_they_are_padded():
    mesh = parallel.make_mesh(jax.devices()[:2])
    assert memory.batch_structs({"rows": random_part(1, rows=5)}, mesh, 2)["rows"]["source_ids"].shape == (8, 9)


@pytest.mark.parametrize(
    ("devices", "rows", "pair", "remat", "gibibytes", "near"),
    [
        (1, 8, 1, False, 4.54 + 7.99, 0.08),
        (1, 8, 2, False, 4.54 + 9.52, 0.08),
        (4, 8, 1, False, 1.14 + 6.06, 0.08),
        (4, 8, 2, False, 1.14 + 6.87, 0.08),
        (16, 8, 2, False, 0.29 + 6.78, 0.08),
        (4, 16, 2, True, 1.14 + 2.93, 0.2),
    ],
)
def test_the_formula_is_near_what_the_tpu_s_compiler_says(devices, rows, pair, remat, gibibytes, near):
    """BART-large's steps by likelihood (a target a row) and of ConSeq (two) for a v5e, bfloat16, rows of 512 and 64 tokens; with parameters
    in pieces on several chips, and whole. From `benchmarks/tpu.py`."""
    assert estimate(406_291_456, 24, devices, rows, pair, remat) == pytest.approx(gibibytes, rel=near)


def test_the_formula_is_near_it_for_t5_large_too():
    assert estimate(737_668_096, 48, 4, 8, 2, True) == pytest.approx(2.06 + 3.88, rel=0.08)


def estimate(parameters, layers, devices, rows, pair, remat):
    """GiB by the formula."""
    sizes = memory.Sizes(layers=layers, model=1024, inner=4096, heads=16, item=2, remat=remat)
    shapes = {"source_ids": (rows * devices, 512), "target_ids": (rows * devices, pair, 64)}
    batch = {"rows": {name: np.zeros(shape) for name, shape in shapes.items()}}
    of = {"parts": 1, "devices": devices, "sharded": devices > 1}
    return memory.formula_bytes(12 * parameters, parameters, batch, sizes, **of) / 2**30


def test_remat_keeps_less():
    sizes = memory.sizes_of(dataclasses.replace(CONFIG, encoder_layers=6, decoder_layers=6), item=2, remat=False)
    assert (sizes.layers, sizes.model, sizes.inner, sizes.heads) == (12, 16, 32, 2)
    of = {"parts": 1, "devices": 1, "sharded": False}
    whole = memory.formula_bytes(0, 0, LARGE, sizes, **of)
    assert memory.formula_bytes(0, 0, LARGE, dataclasses.replace(sizes, remat=True), **of) < whole
    assert np.isfinite(whole)
