"""Seq2Seq: an encoder-decoder on its mesh, in ids. The only home of batches, their shapes, and compiled programs.

Four things are asked of a model: `search` (diverse beam search), `sample` (top-k sampling), `logprobs` (how likely given targets
are) and `continuations` (what it goes on with behind given prompts). Each is a pure function of arrays (`row_programs.py`), jitted once
for every shape that occurs; the shapes are few and listed here.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from jaxtyping import Float

from quals_jax import parallel
from quals_jax.decoding.diverse_beam import Hypotheses, SearchConfig
from quals_jax.decoding.rules import Rules
from quals_jax.decoding.sampling import Samples, SamplingConfig
from quals_jax.places import stacked_places
from quals_jax.precision import Precision
from quals_jax.row_programs import (
    PAIRS_AT_ONCE,
    continue_rows,
    inference_form,
    program,
    sample_rows,
    score_ended_rows,
    score_rows,
    search_rows,
)

# What a text is padded to before it is searched or sampled from: its own length decides, never its neighbours'.
SEARCH_SOURCES = (64, 128, 256, 384, 512, 768, 1024)
# What a document and its targets are padded to, (source, target): each is a program. Pairs of QUALS have 11 to 25 tokens; the number of
# pairs costs no program. Few long targets do not deserve many.
SCORE_SHAPES = (
    (128, 16), (192, 16), (256, 16),
    (256, 32), (384, 32), (512, 32), (704, 32), (1024, 32),
    (512, 64), (1024, 64), (1024, 128), (1024, 256), (1024, 1024),
)  # fmt: skip
STEP = 256  # between lengths beyond the last, which models with more positions than BART's read
PAIRS = 240  # most targets of one row; a text with more takes several rows


class Seq2Seq:
    """A model on devices (all local ones, unless given). `batch_size` is per device; `forced_first_id` begins all that it writes.
    `rules`: what a format demands of the search, and of what ends a target."""

    def __init__(
        self, model, *, precision: Precision | None = None, batch_size: int = 8, forced_first_id: int | None = None,
        devices: Sequence[jax.Device] | None = None, rules: Rules | None = None,
    ):  # fmt: skip
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        self.config, self.batch_size, self.forced_first_id = model.config, batch_size, forced_first_id
        self.rules = rules or (None if forced_first_id is None else Rules(prefix=(forced_first_id,)))
        self.precision = precision or Precision.of_model(model)
        self.mesh = parallel.make_mesh(devices or jax.local_devices())
        self.precision.require(list(self.mesh.devices.flat))
        self._graph, params = inference_form(model, self.precision)
        self._params = parallel.replicate(params, self.mesh)
        self._programs: dict[tuple, Callable] = {}
        self._lock = threading.Lock()
        self.on_texts: Callable[[int], None] = lambda count: (
            None
        )  # told how many texts have come back, batch after batch
        self._scored_tokens = self._scored_positions = 0

    def use_weights(self, model) -> None:
        """Goes on with another model of the same architecture and sizes; what is compiled stays.

        Raises:
            ValueError: if it is of others.
        """
        graph, params = inference_form(model, self.precision)
        if graph != self._graph:
            raise ValueError("the weights are of a model of another architecture, or of other sizes")
        self._params = parallel.replicate(params, self.mesh)

    def search(
        self,
        sources: Sequence[Sequence[int]],
        config: SearchConfig,
        places: Sequence | None = None,
    ) -> Iterator[tuple[int, Hypotheses]]:
        """The hypotheses [beam, ...] of every source as (its place, hypotheses), in the order in which batches are done. With
        `config.covering`, `places` are every source's (`places.answer_places`), and answers begin behind the separator of `rules`.

        What a source's hypotheses are depends on it alone, not on what stands beside it.

        Raises:
            ValueError: if hypotheses may become longer than the model has positions for.
        """
        self.require_room(config.max_length)
        program = self._program(search_rows, config, self.rules)

        def run(rows: list[int], shape):
            ids, lengths = self._pad([sources[row] for row in rows], shape[0])
            arrays = (ids, lengths > 0)
            if config.covering:
                arrays += stacked_places([places[row] for row in rows], len(ids), shape[0])
            return program(self._params, *parallel.shard_rows(arrays, self.mesh))

        return self._each(sources, run)

    def sample(
        self, sources: Sequence[Sequence[int]], config: SamplingConfig, num_samples: int, seed: int = 0, places: Sequence | None = None,
    ) -> Iterator[tuple[int, Samples]]:  # fmt: skip
        """Samples [sample, ...] of every source, as `search` gives hypotheses. The same source and seed give the same samples. With `places`
        their answers are of their texts, as in a search that covers them.

        Raises:
            ValueError: if no samples are asked for, or longer ones than the model has positions for.
        """
        if num_samples < 1:
            raise ValueError(f"num_samples is {num_samples}; it must be at least 1")
        self.require_room(config.max_length)
        program = self._program(sample_rows, config, self.rules, num_samples)

        def run(rows: list[int], shape):
            ids, lengths = self._pad([sources[row] for row in rows], shape[0])
            numbers = np.zeros(len(ids), np.int32)
            numbers[: len(rows)] = [source_number(sources[row], seed) for row in rows]
            arrays = (ids, lengths > 0, numbers)
            if places is not None:
                arrays += stacked_places([places[row] for row in rows], len(ids), shape[0])
            return program(self._params, *parallel.shard_rows(arrays, self.mesh))

        return self._each(sources, run)

    def logprobs(
        self, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[Float[np.ndarray, "target"]]]:
        """Of every source, of each of its targets, the natural log-probability of every token."""
        ends = self.rules.ends if self.rules else ()
        program = self._program(score_ended_rows, ends) if ends else self._program(score_rows)
        results = [[np.zeros(0, np.float32)] * len(own) for own in targets]
        for number, pair, logprobs in self._each_target(sources, targets, program):
            results[number][pair] = logprobs[: len(targets[number][pair])]
        return results

    def continuations(
        self, sources: Sequence[Sequence[int]], prompts: Sequence[Sequence[Sequence[int]]], *, max_length: int,
        forbidden: tuple[int, ...] = (), places: Sequence | None = None,
    ) -> list[list[tuple[list[int], Float[np.ndarray, "time"], float]]]:  # fmt: skip
        """Of every source, of each of its prompts (target ids, at least one), what the model goes on with, greedily: the ids behind the
        prompt with the end of sentence last, their natural log-probabilities, and that of the prompt.

        max_length: without the end. forbidden: ids that none has. places: of every source (`places.answer_places`), where continuations
        are spans of it.

        Raises:
            ValueError: if a continuation may become longer than the model has positions for.
        """
        self.require_room(max((len(prompt) for own in prompts for prompt in own), default=0) + max_length)
        program = self._program(continue_rows, max_length, self.rules.ends if self.rules else (), forbidden)
        results: list[list] = [[None] * len(own) for own in prompts]
        for number, pair, found in self._each_target(sources, prompts, program, places, told=False):
            length = int(found.lengths)
            results[number][pair] = found.tokens[:length].tolist(), found.logprobs[:length], float(found.prompt_logprob)
        return results

    def _each_target(
        self, sources: Sequence, targets: Sequence[Sequence], program: Callable, places: Sequence | None = None, told: bool = True
    ) -> Iterator[tuple[int, int, object]]:  # fmt: skip
        """(source, target, what the program found of it) for all targets of all sources. told: whether `on_texts` is.

        Rows are sorted by shape and cut into what one device takes at a time, so that only the last chunk has empty places. What a chunk
        is depends on the sources and targets alone, not on the number of devices.
        """
        tasks = [
            (number, start, own[start : start + PAIRS])
            for number, own in enumerate(targets)
            for start in range(0, len(own), PAIRS)
        ]
        lengths = [(len(sources[number]), max(map(len, own))) for number, _, own in tasks]
        cut = list(chunks_of(lengths, self.batch_size, self.config.max_positions))
        chunks = [rows for _, rows in cut]

        def run(numbers: list[int], shape):
            source, target = shape
            ids = np.full((self.rows_at_once, source), self.config.pad_token_id, np.int32)
            wanted = np.full((self.rows_at_once, PAIRS, target), self.config.pad_token_id, np.int32)
            own_places: list = [()] * self.rows_at_once
            for place, row in self._places(chunks, numbers):
                number, _, own = tasks[row]
                ids[place, : len(sources[number])] = sources[number]
                for pair, tokens in enumerate(own):
                    wanted[place, pair, : len(tokens)] = tokens
                if places is not None:
                    own_places[place] = places[number]
            with self._lock:
                self._scored_tokens += sum(len(sources[tasks[row][0]]) for _, row in self._places(chunks, numbers))
                self._scored_positions += ids.size
            arrays = (ids, wanted)
            if places is not None:
                arrays += stacked_places(own_places, self.rows_at_once, source)
            return program(self._params, *parallel.shard_rows(arrays, self.mesh))

        for numbers, found in parallel.in_batches([shape for shape, _ in cut], self.mesh.size, run):
            if told:
                self.on_texts(sum(len(chunks[number]) for number in numbers))
            for place, row in self._places(chunks, numbers):
                number, start, own = tasks[row]
                for offset in range(len(own)):
                    at = place, offset
                    yield number, start + offset, jax.tree.map(lambda array, at=at: array[at], found)

    def require_room(self, max_length: int) -> None:
        """Raises ValueError if the model has no positions for targets of that length."""
        if max_length + 1 > self.config.max_positions:
            raise ValueError(f"max_length is {max_length}; the model has positions for {self.config.max_positions - 1}")

    @property
    def padding(self) -> float:
        """The share of padding among all source positions that `logprobs` and `continuations` have read so far, the empty rows of batches
        among it."""
        return 1 - self._scored_tokens / self._scored_positions if self._scored_positions else 0.0

    @property
    def platform(self) -> str:
        """What the devices are: cpu, gpu or tpu."""
        return self.mesh.devices.flat[0].platform

    @property
    def rows_at_once(self) -> int:
        """Of a batch, over all devices."""
        return self.batch_size * self.mesh.size

    def _program(self, function: Callable, *settings) -> Callable:
        """The function of (params, arrays) over the mesh, compiled for every shape once."""
        key = (function, *settings)
        with self._lock:  # blocks are scored in several threads; a program is compiled once
            if key not in self._programs:
                self._programs[key] = program(
                    function, self._graph, *settings, precision=self.precision, mesh=self.mesh
                )
            return self._programs[key]

    def _each(self, sources: Sequence[Sequence[int]], run: Callable) -> Iterator[tuple[int, object]]:
        longest = self.config.max_positions
        shapes = [(padded_length(len(source), SEARCH_SOURCES, longest),) for source in sources]
        for rows, found in parallel.in_batches(shapes, self.rows_at_once, run):
            self.on_texts(len(rows))
            for place, row in enumerate(rows):
                yield row, jax.tree.map(lambda array, place=place: array[place], found)

    def _pad(self, sources: Sequence[Sequence[int]], length: int) -> tuple[np.ndarray, np.ndarray]:
        ids, lengths = (
            np.full((self.rows_at_once, length), self.config.pad_token_id, np.int32),
            np.zeros(self.rows_at_once, np.int32),
        )
        for place, source in enumerate(sources):
            ids[place, : len(source)], lengths[place] = source, len(source)
        return ids, lengths

    def _places(self, chunks: list[list[int]], numbers: list[int]) -> Iterator[tuple[int, int]]:
        """Where the rows of these chunks, one for every device, stand in a batch: (place, row)."""
        for device, number in enumerate(numbers):
            yield from enumerate(chunks[number], device * self.batch_size)


def padded_length(length: int, lengths: Sequence[int], positions: int) -> int:
    """The smallest of `lengths` that holds a text, or beyond the last a multiple of STEP; never more than the model has positions."""
    size = next((size for size in lengths if size >= length), -(-length // STEP) * STEP)
    return max(min(size, positions), length)


def score_shape(source: int, target: int, positions: int) -> tuple[int, int]:
    """(source, target) that a text and its targets are padded to: the cheapest shape of the list that holds both."""
    for shape in sorted(SCORE_SHAPES, key=lambda shape: shape[0] + PAIRS_AT_ONCE * shape[1]):
        if source <= shape[0] and target <= shape[1]:
            return tuple(
                max(min(size, positions), length) for size, length in zip(shape, (source, target), strict=True)
            )
    return tuple(padded_length(length, (1024,), positions) for length in (source, target))


def chunks_of(
    lengths: Sequence[tuple[int, int]], size: int, positions: int
) -> Iterator[tuple[tuple[int, int], list[int]]]:
    """Rows of (source, longest target) tokens, sorted by shape and cut into chunks: each chunk's shape and rows."""
    shapes = [score_shape(*own, positions) for own in lengths]
    order = sorted(range(len(lengths)), key=lambda row: (shapes[row][::-1], lengths[row][0]), reverse=True)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield score_shape(*(max(shapes[row][axis] for row in rows) for axis in (0, 1)), positions), rows


def source_number(ids: Sequence[int], seed: int) -> int:
    """A number below 2^31 that only an equal text and seed have (but for chance): from it come the samples."""
    digest = hashlib.sha256(f"{seed}/".encode() + np.asarray(ids, np.int32).tobytes()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF
