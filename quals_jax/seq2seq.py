"""Seq2Seq: an encoder-decoder on its mesh, in ids. The only home of batches, their shapes, precision and compiled programs.

Four things are asked of a model: `search` (diverse beam search), `sample` (top-k sampling), `logprobs` (how likely given targets
are) and `continuations` (what it goes on with behind given prompts). Each is a pure function of arrays below, jitted once for every
shape that occurs; the shapes are few and listed here.

An architecture offers `init_cache`, `encode`, `memory`, `decode` and `logits`, and in its `config` its sizes and ids (models/bart.py).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from quals_jax import parallel
from quals_jax.decoding.continuation import Continuations, continue_prompts
from quals_jax.decoding.covering import Places
from quals_jax.decoding.diverse_beam import Hypotheses, SearchConfig, diverse_beam_search
from quals_jax.decoding.rules import NO_RULES, Rules, as_one_event
from quals_jax.decoding.sampling import Samples, SamplingConfig, sample_keys, top_k_sample
from quals_jax.decoding.stages import cache_stages
from quals_jax.models.teacher_forcing import encode_memory, per_token, reduce_logits, shift_right, target_logprobs
from quals_jax.places import stacked_places
from quals_jax.precision import Precision

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
PAIRS_AT_ONCE = 10  # decoded together; the loop over them ends with the last that is there
LOGITS_AT_ONCE = 2**24  # numbers, when targets are scored


def search_rows(
    graph, config: SearchConfig, rules: Rules | None, params, source_ids: Int[Array, "batch source"], active: Bool[Array, "batch"],
    *places: Array,
) -> Hypotheses:  # fmt: skip
    """What the model writes of every text of a batch, best first. `places`: the arrays of `Places`, for a search that covers its texts."""
    rules = rules or NO_RULES
    model, step, decoding = _decoder(graph, params, source_ids, beam=config.num_beams, length=config.max_length + 1)
    return diverse_beam_search(
        step,
        batch=source_ids.shape[0],
        config=config,
        active=active,
        rules=rules,
        places=Places(*places) if places else None,
        separator_id=rules.separator,
        **decoding,
        **ids_of(model),
    )


def sample_rows(
    graph, config: SamplingConfig, forced: int | None, num_samples: int, separator: int | None, params,
    source_ids: Int[Array, "batch source"], active: Bool[Array, "batch"], numbers: Int[Array, "batch"], *places: Array,
) -> Samples:  # fmt: skip
    """Samples of every text of a batch, which depend on its number. `places`: as for `search_rows`, with `separator`."""
    model, step, decoding = _decoder(graph, params, source_ids, beam=num_samples, length=config.max_length + 1)
    keys = sample_keys(0, numbers, num_samples)
    return top_k_sample(
        step, keys=keys, config=config, active=active, forced_first_id=forced, places=Places(*places) if places else None,
        separator_id=separator, **decoding, **ids_of(model),
    )  # fmt: skip


def score_rows(
    graph,
    params,
    source_ids: Int[Array, "batch source"],
    target_ids: Int[Array, "batch pair target"],
    *,
    ends: tuple[int, ...] = (),
) -> Float[Array, "batch pair target"]:
    """The natural log-probability of every target token given the row's text (0 at padding). The text is encoded once for all its pairs,
    and the pairs are decoded in blocks until the last that any row has. `ends` are one event with the end of sentence."""
    model = nnx.merge(graph, params)
    memory = encode_memory(model, source_ids)
    config, (batch, pairs, target) = model.config, target_ids.shape
    block = min(pairs, PAIRS_AT_ONCE)
    blocks = blocks_of(target_ids, config.pad_token_id)

    def logprobs_of(logits, ids):
        return target_logprobs(as_one_event(logits, ends, config.eos_token_id), ids)

    def score(number, logprobs):
        ids = jax.lax.dynamic_slice_in_dim(target_ids, number * block, block, axis=1)
        states, _ = model.decode(shift_right(ids, config.decoder_start_token_id), memory)
        found = per_token(reduce_logits(model, states, ids, logprobs_of, at_once=LOGITS_AT_ONCE), ids)
        found = jnp.where(ids == config.pad_token_id, 0, found)
        return jax.lax.dynamic_update_slice_in_dim(logprobs, found, number * block, axis=1)

    wide = jnp.promote_types(model.dtype, jnp.float32)
    return jax.lax.fori_loop(0, blocks, score, jnp.zeros((batch, pairs, target), wide))


def score_ended_rows(graph, ends: tuple[int, ...], params, source_ids, target_ids) -> Float[Array, "batch pair target"]:
    """`score_rows` where more than the end of sentence ends a target."""
    return score_rows(graph, params, source_ids, target_ids, ends=ends)


def continue_rows(
    graph, max_length: int, ends: tuple[int, ...], forbidden: tuple[int, ...], params, source_ids: Int[Array, "batch source"],
    prompts: Int[Array, "batch pair prompt"], *places: Array,
) -> Continuations:  # fmt: skip
    """What the model goes on with behind every prompt, given the row's text, which is encoded once for all of them; the prompts are
    decoded in blocks until the last that any row has. `places`: the arrays of `Places`, for continuations that are spans of the text."""
    block = min(prompts.shape[1], PAIRS_AT_ONCE)
    length = prompts.shape[-1] + max_length + 1
    model, step, decoding = _decoder(graph, params, source_ids, beam=block, length=length)
    pad_id = model.config.pad_token_id

    def go_on(number, found):
        continued = continue_prompts(
            step,
            prompts=jax.lax.dynamic_slice_in_dim(prompts, number * block, block, axis=1),
            max_length=max_length,
            ends=ends,
            forbidden=forbidden,
            places=Places(*places) if places else None,
            **decoding,
            **ids_of(model),
        )
        return jax.tree.map(
            lambda all, own: jax.lax.dynamic_update_slice_in_dim(all, own, number * block, axis=1), found, continued
        )

    shape = (*prompts.shape[:2], max_length + 1)
    wide = jnp.float64 if jax.config.jax_enable_x64 else jnp.float32
    none = Continuations(
        jnp.full(shape, pad_id, jnp.int32), jnp.zeros(shape[:2], jnp.int32), jnp.zeros(shape, wide), jnp.zeros(shape[:2], wide)
    )  # fmt: skip
    return jax.lax.fori_loop(0, blocks_of(prompts, pad_id), go_on, none)


def blocks_of(target_ids: Int[Array, "batch pair target"], pad_id: int) -> Int[Array, ""]:
    """How many blocks of pairs there are until the last pair that any row has."""
    pairs = target_ids.shape[1]
    block = min(pairs, PAIRS_AT_ONCE)
    used = jnp.any(target_ids != pad_id, axis=(0, 2))
    return -(-jnp.max(jnp.where(used, jnp.arange(1, pairs + 1), 0)) // block)


def ids_of(model) -> dict[str, int]:
    config = model.config
    return {"start_id": config.decoder_start_token_id, "eos_id": config.eos_token_id, "pad_id": config.pad_token_id}


def _decoder(graph, params, source_ids, *, beam: int, length: int) -> tuple[nnx.Module, Callable, dict]:
    """The model, one step of its decoder against the encoded texts, and the cache that a decoding loop begins with and lets grow."""
    model = nnx.merge(graph, params)
    memory = encode_memory(model, source_ids)
    new_cache = partial(model.init_cache, batch=source_ids.shape[0], beam=beam)

    def step(token_ids, cache):
        states, cache = model.decode(token_ids[:, :, None], memory, cache)
        return model.logits(states[:, :, 0]), cache

    def grow(cache, length: int):
        def pad(array, larger):
            return (
                array
                if array.shape == larger.shape
                else jnp.pad(array, [(0, new - old) for old, new in zip(array.shape, larger.shape, strict=True)])
            )

        return jax.tree.map(pad, cache, jax.eval_shape(lambda: new_cache(length=length)))

    return model, step, {"cache": new_cache(length=cache_stages(length)[0]), "grow": grow}


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
        self._graph, params = nnx.split(model)
        self._params = parallel.replicate(inference_params(params, self.precision), self.mesh)
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
        graph, params = nnx.split(model)
        if graph != self._graph:
            raise ValueError("the weights are of a model of another architecture, or of other sizes")
        self._params = parallel.replicate(inference_params(params, self.precision), self.mesh)

    def search(
        self,
        sources: Sequence[Sequence[int]],
        config: SearchConfig,
        places: Sequence | None = None,
        separator_id: int | None = None,
    ) -> Iterator[tuple[int, Hypotheses]]:
        """The hypotheses [beam, ...] of every source as (its place, hypotheses), in the order in which batches are done. With
        `config.covering`, `places` are every source's (`places.answer_places`), and answers begin behind `separator_id`.

        What a source's hypotheses are depends on it alone, not on what stands beside it.

        Raises:
            ValueError: if hypotheses may become longer than the model has positions for.
        """
        self.require_room(config.max_length)
        rules = self.rules
        if config.covering:
            rules = replace(rules or NO_RULES, separator=separator_id)
        program = self._program(search_rows, config, rules)

        def run(rows: list[int], shape):
            ids, lengths = self._pad([sources[row] for row in rows], shape[0])
            arrays = (ids, lengths > 0)
            if config.covering:
                arrays += stacked_places([places[row] for row in rows], len(ids), shape[0])
            return program(self._params, *parallel.shard_rows(arrays, self.mesh))

        return self._each(sources, run)

    def sample(
        self, sources: Sequence[Sequence[int]], config: SamplingConfig, num_samples: int, seed: int = 0, places: Sequence | None = None,
        separator_id: int | None = None,
    ) -> Iterator[tuple[int, Samples]]:  # fmt: skip
        """Samples [sample, ...] of every source, as `search` gives hypotheses. The same source and seed give the same samples. With `places`
        and `separator_id` their answers are of their texts, as in a search that covers them.

        Raises:
            ValueError: if no samples are asked for, or longer ones than the model has positions for.
        """
        if num_samples < 1:
            raise ValueError(f"num_samples is {num_samples}; it must be at least 1")
        self.require_room(config.max_length)
        program = self._program(sample_rows, config, self.forced_first_id, num_samples, separator_id)

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


def program(function: Callable, *settings, precision: Precision, mesh: jax.sharding.Mesh) -> Callable:
    """A function of (*settings, params, *arrays) as a program of (params, *arrays), rows cut over the mesh."""
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    mapped = parallel.map_rows(precision.scoped(partial(function, *settings)), mesh)
    return jax.jit(mapped, compiler_options=cpu_options() if on_cpu else None)


@cache
def cpu_options() -> dict[str, bool] | None:
    """Without this option XLA's CPU back end copies the search's whole cache at every step. None where XLA does not know it (any more)."""
    options = {"xla_cpu_copy_insertion_use_region_analysis": True}
    try:
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            jax.jit(lambda: jnp.zeros(()), compiler_options=options)()
    except (RuntimeError, ValueError):
        return None
    return options


def inference_params(params: nnx.State, precision: Precision) -> nnx.State:
    """The parameters as a program that does not train holds them: matrices in the type they are multiplied in, the rest exact."""

    def cast(array):
        return array.astype(precision.compute) if array.ndim >= 2 and array.dtype == precision.master else array

    return jax.tree.map(cast, params)


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
