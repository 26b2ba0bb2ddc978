import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from quals_jax import parallel
from quals_jax.models.bart import Bart, BartConfig

needs_eight = pytest.mark.skipif(jax.device_count() < 8, reason="needs 8 devices: tests/conftest.py asks for them")


def test_rows_are_padded_to_a_multiple():
    padded = parallel.pad_rows({"a": np.zeros((5, 2), int), "b": np.zeros(8)}, 4, fill=1)
    assert padded["a"].shape == (8, 2) and (padded["a"][5:] == 1).all()
    assert padded["b"].shape == (8,)


@needs_eight
def test_rows_lie_on_the_devices_in_order():
    array = parallel.shard_rows(np.arange(16)[:, None], parallel.make_mesh())
    assert array.shape == (16, 1)
    assert [shard.data[:, 0].tolist() for shard in array.addressable_shards][:3] == [[0, 1], [2, 3], [4, 5]]


@needs_eight
@pytest.mark.parametrize(
    ("shape", "spec"),
    [
        ((50265, 1024), PartitionSpec(None, "batch")),  # 50,265 is no multiple of 8
        ((1024, 4096), PartitionSpec(None, "batch")),
        ((4096, 1024), PartitionSpec("batch", None)),
        ((1024,), PartitionSpec()),  # small
        ((129, 1001), PartitionSpec()),  # divided by nothing
        ((), PartitionSpec()),
    ],
)
def test_a_parameter_is_cut_along_its_longest_axis(shape, spec):
    mesh = parallel.make_mesh()
    array = jax.ShapeDtypeStruct(shape, jnp.float32)
    assert parallel.state_shardings(array, mesh, shard_params=True).spec == spec
    assert parallel.state_shardings(array, mesh, shard_params=False) == NamedSharding(mesh, PartitionSpec())


SIZES = BartConfig(
    vocab_size=40, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=32,
)  # fmt: skip


@needs_eight
def test_shard_map_and_pmap_compute_what_one_device_does():
    graph, params = nnx.split(Bart(SIZES, rngs=nnx.Rngs(0)))
    ids = np.random.default_rng(0).integers(2, 40, (16, 7))
    mask = np.ones((16, 7), bool)

    def encode(params, ids, mask):
        return nnx.merge(graph, params).encode(ids, mask)

    alone = jax.jit(encode)(params, ids, mask)
    mesh = parallel.make_mesh()
    program = jax.jit(parallel.map_rows(encode, mesh))
    arguments = (parallel.replicate(params, mesh), *parallel.shard_rows((ids, mask), mesh))
    np.testing.assert_allclose(program(*arguments), alone, rtol=1e-5, atol=1e-6)
    per_device = jax.pmap(encode, in_axes=(None, 0, 0))(params, ids.reshape(8, 2, 7), mask.reshape(8, 2, 7))
    np.testing.assert_allclose(np.asarray(per_device).reshape(alone.shape), alone, rtol=1e-5, atol=1e-6)


@needs_eight
def test_mapped_loops_end_each_at_their_own_step_without_a_collective():
    """Rows count down from their own numbers; a device is done when its two rows are."""

    def count(limit, rows):
        def body(carry):
            rows, steps = carry
            return rows - 1, steps + (rows > limit)

        return jax.lax.while_loop(lambda carry: (carry[0] > limit).any(), body, (rows, jnp.zeros_like(rows)))

    mesh = parallel.make_mesh()
    rows = np.arange(16)
    program = jax.jit(parallel.map_rows(count, mesh))
    arguments = (parallel.replicate(jnp.zeros((), int), mesh), parallel.shard_rows(rows, mesh))
    left, steps = program(*arguments)
    np.testing.assert_array_equal(steps, rows)
    np.testing.assert_array_equal(left, np.where(rows % 2, 0, -1))
    text = program.lower(*arguments).compile().as_text()
    assert not any(name in text for name in ("all-reduce", "all-gather", "collective-permute", "all-to-all"))


def test_a_process_number_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="process_id must lie in"):
        parallel.start_processes(coordinator="localhost:1", num_processes=2, process_id=2)


def test_one_process_agrees_with_itself():
    assert parallel.any_process(True) and not parallel.any_process(False)
    assert parallel.is_first_process()


@pytest.mark.parametrize(
    ("environment", "all_of_them"),
    [
        ({}, False),
        ({"SLURM_STEP_TASKS_PER_NODE": "1(x2)", "CUDA_VISIBLE_DEVICES": "0,1,2,3"}, True),  # one task a node
        ({"SLURM_STEP_TASKS_PER_NODE": "1,1"}, True),
        ({"SLURM_STEP_TASKS_PER_NODE": "8(x2)", "CUDA_VISIBLE_DEVICES": "0,1,2,3,4,5,6,7"}, False),  # one task a GPU
        ({"SLURM_STEP_TASKS_PER_NODE": "8(x2)", "CUDA_VISIBLE_DEVICES": "0"}, True),  # --gpus-per-task=1
        ({"SLURM_STEP_TASKS_PER_NODE": "1(x2)", "JAX_LOCAL_DEVICE_IDS": "0,1"}, False),  # the user's own word
    ],
)
def test_which_gpus_a_process_of_slurm_uses(environment, all_of_them):
    assert parallel.owns_all_it_sees(environment) is all_of_them


def test_errors_of_one_process():
    parallel.raise_together(None)
    with pytest.raises(OSError, match="full"):
        parallel.raise_together(OSError("full"))
    assert parallel.leave(3) == 3 and parallel.from_first(7) == 7
