"""Encoder: a BERT on its mesh, in ids. Batches of static shapes; a program for every length that occurs."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from quals_jax import parallel
from quals_jax.precision import Precision
from quals_jax.row_programs import inference_form, program
from quals_jax.seq2seq import padded_length

LENGTHS = (64, 96, 128, 192, 256, 384, 512)

# Ids and segments of a source, such as `PairTokenizer.pair` gives.
Source = tuple[Sequence[int], Sequence[int]]


def span_rows(
    graph, params, source_ids: Int[Array, "batch source"], segment_ids: Int[Array, "batch source"]
) -> Float[Array, "batch source 2"]:
    """Logits of every position being the first and the last of the answer."""
    model = nnx.merge(graph, params)
    return model.span_logits(model.encode(source_ids, segment_ids))


def label_rows(
    graph, params, source_ids: Int[Array, "batch source"], segment_ids: Int[Array, "batch source"]
) -> Float[Array, "batch label"]:
    """The probability of every label."""
    model = nnx.merge(graph, params)
    return jax.nn.softmax(model.label_logits(model.encode(source_ids, segment_ids)), axis=-1)


class Encoder:
    """A model on devices (all local ones, unless given). `batch_size` is per device."""

    def __init__(
        self, model, *, precision: Precision | None = None, batch_size: int = 8, devices: Sequence[jax.Device] | None = None
    ):  # fmt: skip
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.config, self.batch_size = model.config, batch_size
        self.precision = precision or Precision.of_model(model)
        self.mesh = parallel.make_mesh(devices or jax.local_devices())
        self.precision.require(list(self.mesh.devices.flat))
        self._graph, params = inference_form(model, self.precision)
        self._params = parallel.replicate(params, self.mesh)
        self._programs: dict = {}

    def spans(self, sources: Sequence[Source]) -> list[Float[np.ndarray, "source 2"]]:
        """Of every source, the logits of its positions being the first and the last of the answer."""
        rows = self._run(span_rows, sources)
        return [array[: len(ids)] for array, (ids, _) in zip(rows, sources, strict=True)]

    def labels(self, sources: Sequence[Source]) -> list[Float[np.ndarray, "label"]]:
        """Of every source, the probability of every label."""
        return self._run(label_rows, sources)

    @property
    def platform(self) -> str:
        """What the devices are: cpu, gpu or tpu."""
        return self.mesh.devices.flat[0].platform

    def _run(self, function, sources: Sequence[Source]) -> list[np.ndarray]:
        """The function's row of every source. What it is depends on the source alone: its own length decides what it is padded to.

        Raises:
            ValueError: for a source that is longer than the model has positions for.
        """
        longest, rows = self.config.max_positions, self.batch_size * self.mesh.size
        for number, (ids, _) in enumerate(sources):
            if not 1 <= len(ids) <= longest:
                raise ValueError(f"source {number} has {len(ids)} ids; the model reads 1 to {longest}")
        if function not in self._programs:
            self._programs[function] = program(function, self._graph, precision=self.precision, mesh=self.mesh)

        def run(numbers: list[int], length: int):
            ids = np.full((rows, length), self.config.pad_token_id, np.int32)
            segments = np.zeros((rows, length), np.int32)
            for place, number in enumerate(numbers):
                own_ids, own_segments = sources[number]
                ids[place, : len(own_ids)], segments[place, : len(own_ids)] = own_ids, own_segments
            return self._programs[function](self._params, *parallel.shard_rows((ids, segments), self.mesh))

        lengths = [padded_length(len(ids), LENGTHS, longest) for ids, _ in sources]
        results: list = [None] * len(sources)
        for numbers, found in parallel.in_batches(lengths, rows, run):
            for place, number in enumerate(numbers):
                results[number] = found[place]
        return results
