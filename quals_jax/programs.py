"""Every program that would run on a platform, lowered for it without a device of its kind: what it is asked to compute can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from quals_jax import parallel, row_programs, seq2seq
from quals_jax.decoding.diverse_beam import SearchConfig
from quals_jax.decoding.sampling import SamplingConfig
from quals_jax.places import LONGEST_ANSWER
from quals_jax.precision import Precision

PLATFORMS = ("cpu", "cuda", "tpu")
ROWS = 8  # on each device


@dataclass(frozen=True)
class Shapes:
    """Of what is lowered: a summary, a document, pairs of QUALS, a training row."""

    summary: int = 64
    document: int = 704
    pairs: int = seq2seq.PAIRS
    pair: int = 32
    samples: int = 6
    train_source: int = 512
    train_target: int = 64

    def for_model(self, positions: int) -> Shapes:
        """No longer than the model reads."""
        cut = {
            name: min(getattr(self, name), positions)
            for name in ("summary", "document", "train_source", "train_target")
        }
        return Shapes(**cut, pairs=self.pairs, pair=min(self.pair, positions), samples=self.samples)


def lower_one(
    name: str, qagen, summarizer, precision: Precision, platform: str | None, mesh: Mesh, *, rows: int = ROWS,
    shapes: Shapes | None = None, **options,
):  # fmt: skip
    """The program of that name: `search`, `score` and `answer` of a QAGen's model, `sample`, `train_mle` and `train_conseq` of a summarizer's.

    Args:
        qagen, summarizer: models (abstract ones of `nnx.eval_shape` will do: no number is looked at).
        platform: what is lowered for: cpu, cuda or tpu; None: the mesh's own.
        mesh: devices, such as those of a topology without hardware.
        rows: on each device.
        shapes: of the texts; cut to what the model reads.
        options: of the training steps: `shard_params`, `dropout`, `accumulate`.
    """
    build, of_qagen = PROGRAMS[name]
    model = qagen if of_qagen else summarizer
    shapes = (shapes or Shapes()).for_model(model.config.max_positions)
    function, arguments = build(
        model, precision, mesh, rows * mesh.size, shapes, **({} if name in INFERENCE else options)
    )
    traced = function.trace(*arguments)
    return traced.lower() if platform is None else traced.lower(lowering_platforms=(platform,))


def _inference(function: Callable, settings: Sequence, model, precision: Precision, mesh: Mesh, arrays: Sequence):
    graph, params = row_programs.inference_form(model, precision)
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    rows = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(parallel.AXIS))
    program = row_programs.program(function, graph, *settings, precision=precision, mesh=mesh)
    return program, (_abstract(params, whole), *_abstract(tuple(arrays), rows))


def _search(model, precision: Precision, mesh: Mesh, rows: int, shapes: Shapes):
    config = SearchConfig(max_length=min(SearchConfig().max_length, model.config.max_positions - 1))
    arrays = _ids(rows, shapes.summary), jax.ShapeDtypeStruct((rows,), jnp.bool_)
    return _inference(row_programs.search_rows, (config, None), model, precision, mesh, arrays)


def _score(model, precision: Precision, mesh: Mesh, rows: int, shapes: Shapes):
    arrays = _ids(rows, shapes.document), _ids(rows, shapes.pairs, shapes.pair)
    return _inference(row_programs.score_rows, (), model, precision, mesh, arrays)


def _answer(model, precision: Precision, mesh: Mesh, rows: int, shapes: Shapes):
    length = min(LONGEST_ANSWER, model.config.max_positions - shapes.pair - 1)
    places = (rows, shapes.document, LONGEST_ANSWER)
    arrays = _ids(rows, shapes.document), _ids(rows, shapes.pairs, shapes.pair), _ids(*places)
    ends = jax.ShapeDtypeStruct(places, jnp.bool_)
    return _inference(row_programs.continue_rows, (length, (), ()), model, precision, mesh, (*arrays, ends))


def _sample(model, precision: Precision, mesh: Mesh, rows: int, shapes: Shapes):
    config = SamplingConfig(max_length=min(SamplingConfig().max_length, model.config.max_positions - 1))
    numbers = jax.ShapeDtypeStruct((rows,), jnp.int32)
    arrays = _ids(rows, shapes.train_source), jax.ShapeDtypeStruct((rows,), jnp.bool_), numbers
    return _inference(row_programs.sample_rows, (config, None, shapes.samples), model, precision, mesh, arrays)


def _train(loss_of: Callable, pairs: int) -> Callable:
    def build(
        model, precision: Precision, mesh: Mesh, rows: int, shapes: Shapes, *,
        shard_params: bool = False, dropout: bool = False, accumulate: int = 1,
    ):  # fmt: skip
        from quals_jax.training.config import OptimizerConfig
        from quals_jax.training.optimizer import make_optimizer
        from quals_jax.training.state import new_state, take_apart
        from quals_jax.training.step import compile_train_step, make_train_step

        skeleton, params = take_apart(model)
        optimizer = make_optimizer(OptimizerConfig(), 1000)
        state = jax.eval_shape(lambda params: new_state(params, optimizer, 0), params)
        shardings = parallel.state_shardings(state, mesh, shard_params=shard_params)
        step = make_train_step(
            skeleton,
            loss_of(),
            optimizer,
            accumulate=accumulate,
            dropout=dropout,
            precision=precision,
            devices=mesh.size,
        )
        part = {"source_ids": _ids(rows, shapes.train_source), "target_ids": _ids(rows, pairs, shapes.train_target)}
        return compile_train_step(step, mesh, shardings), (state, {"rows": part})

    return build


def _likelihood():
    from quals_jax.training.losses import likelihood_loss

    return likelihood_loss(0.1)


def _contrastive():
    from quals_jax.training.contrastive import contrastive_training_loss

    return contrastive_training_loss(0.1)


# name -> (how it is built, whether its model is the QAGen)
PROGRAMS = {
    "search": (_search, True),
    "score": (_score, True),
    "answer": (_answer, True),
    "sample": (_sample, False),
    "train_mle": (_train(_likelihood, 1), False),
    "train_conseq": (_train(_contrastive, 2), False),
}
INFERENCE = ("search", "score", "answer", "sample")


def _ids(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def _abstract(tree, sharding):
    return jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding), tree)


def topology_mesh(name: str) -> Mesh:
    """The mesh of a TPU slice that is not there, such as "v5e:2x2", for which `libtpu` compiles all the same (the variables of
    `commands/runtime.py` must be set before JAX is imported).

    Raises:
        ValueError: if `libtpu` is not installed, or knows no such topology.
    """
    from jax.experimental import topologies

    single = {"chips_per_host_bounds": (1, 1, 1)} if name.endswith(":1x1") else {}
    try:
        topology = topologies.get_topology_desc(platform="tpu", topology_name=name, **single)
    except Exception as error:  # JAX raises whatever its plugin does
        reason = str(error).split("\n")[0][:200]
        raise ValueError(
            f"{name}: cannot be compiled for ({reason}); it needs the extra [tpu], and a name such as v5e:2x2"
        ) from None
    return parallel.make_mesh(np.asarray(topology.devices).ravel())
