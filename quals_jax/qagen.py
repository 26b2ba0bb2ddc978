"""QAGen: one BART that reads a text and writes a question and its answer; and how likely it finds pairs, given another text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from quals_jax import parallel
from quals_jax.data.batching import PAIR_BUCKETS, SOURCE_BUCKETS, bucket, pad, padded_length
from quals_jax.decoding.diverse_beam import Hypotheses, SearchConfig, diverse_beam_search
from quals_jax.models.bart import Bart, Memory, init_cache
from quals_jax.pairs import QAPair, split_pair
from quals_jax.tokenizer import Tokenizer

EMBEDDED = Path(__file__).parent / "assets" / "gazette_qagen"
DISTRIBUTION = "quals_distribution.json"  # beside a model: QUALS of reference summaries, sorted
# Few: each is a program for every length of document, and what is compiled late shows in a long run's time and memory.
TARGET_BUCKETS = (16, 32, 64, 128, 256, 512, 1024)
PAIRS_AT_ONCE = 20  # decoded together against one document; more go in blocks, so that attention stays small
LOGITS_AT_ONCE = 2**24  # numbers; [batch, pair, target, vocab] would be gigabytes


def encode_rows(model: Bart, source_ids: Int[Array, "batch source"]) -> Memory:
    mask = source_ids != model.config.pad_token_id
    return model.memory(model.encode(source_ids, mask), mask)


def search_rows(
    graph, config: SearchConfig, params, source_ids: Int[Array, "batch source"], active: Bool[Array, "batch"]
) -> Hypotheses:
    """Questions and answers to every text of a batch. A pure function of arrays: it runs under jit, shard_map and pmap."""
    model = nnx.merge(graph, params)
    memory = encode_rows(model, source_ids)
    batch = source_ids.shape[0]
    cache = init_cache(
        model.config, batch=batch, beam=config.num_beams, length=config.max_length + 1, dtype=model.dtype
    )

    def step(token_ids, cache):
        states, cache = model.decode(token_ids[:, :, None], memory, cache)
        return model.logits(states[:, :, 0]), cache

    return diverse_beam_search(
        step, cache, batch=batch, config=config, active=active,
        start_id=model.config.decoder_start_token_id, eos_id=model.config.eos_token_id, pad_id=model.config.pad_token_id,
    )  # fmt: skip


def score_rows(
    graph, params, source_ids: Int[Array, "batch source"], target_ids: Int[Array, "batch pair target"]
) -> Float[Array, "batch pair target"]:
    """The natural log-probability of every target token given the row's text (0 at padding). The text is encoded once for all its pairs."""
    model = nnx.merge(graph, params)
    memory = encode_rows(model, source_ids)
    batch, pairs, target = target_ids.shape
    block = min(pairs, PAIRS_AT_ONCE)
    blocks = jnp.moveaxis(target_ids.reshape(batch, pairs // block, block, target), 1, 0)
    logprobs = jax.lax.map(lambda ids: target_logprobs(model, memory, ids), blocks)
    return jnp.moveaxis(logprobs, 0, 1).reshape(batch, pairs, target)


def target_logprobs(
    model: Bart, memory: Memory, target_ids: Int[Array, "batch pair target"]
) -> Float[Array, "batch pair target"]:
    """Teacher forcing: the log-probability of every token given those before it. Logits are made and reduced in slices."""
    start = jnp.full_like(target_ids[..., :1], model.config.decoder_start_token_id)
    states, _ = model.decode(jnp.concatenate([start, target_ids[..., :-1]], axis=-1), memory)
    states, targets = states.reshape(-1, states.shape[-1]), target_ids.reshape(-1)
    count = -(-len(targets) // max(1, LOGITS_AT_ONCE // model.config.vocab_size))  # of slices, as even as can be
    size = -(-len(targets) // count)
    missing = count * size - len(targets)
    slices = (
        jnp.pad(states, ((0, missing), (0, 0))).reshape(-1, size, states.shape[-1]),
        jnp.pad(targets, (0, missing)).reshape(-1, size),
    )

    def reduce(slice):
        logits = model.logits(slice[0])
        chosen = jnp.take_along_axis(logits, slice[1][:, None], axis=-1)[:, 0]
        return chosen - jax.nn.logsumexp(logits, axis=-1)

    logprobs = jax.lax.map(reduce, slices).reshape(-1)[: len(targets)]
    return jnp.where(targets == model.config.pad_token_id, 0, logprobs).reshape(target_ids.shape)


class QAGen:
    """A question-answer generator on all local devices. Make one with `from_pretrained`.

    name: what the model is called in signatures. fingerprint: a hash of its weights. distribution: QUALS of reference
    summaries ("quals", sorted) and what made them ("signature"), if the model came with it.
    """

    def __init__(
        self,
        model: Bart,
        tokenizer: Tokenizer,
        *,
        search: SearchConfig | None = None,
        batch_size: int = 8,
        name: str = "model",
        fingerprint: str = "",
        devices: Sequence[jax.Device] | None = None,
        distribution: dict | None = None,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        if tokenizer.size > model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.size} entries, the model {model.config.vocab_size}: they do not belong together"
            )
        self.config, self.dtype = model.config, model.dtype
        self.tokenizer, self.search = tokenizer, search or SearchConfig()
        longest = self.config.max_position_embeddings
        if self.search.max_length + 1 > longest:
            raise ValueError(f"max_length is {self.search.max_length}; the model has positions for {longest - 1}")
        self.batch_size, self.name, self.fingerprint = batch_size, name, fingerprint
        self.distribution = distribution
        self._document_tokens = self._document_positions = 0
        self.mesh = parallel.make_mesh(devices or jax.local_devices())
        graph, params = nnx.split(model)
        self._params = parallel.replicate(params, self.mesh)
        self._search = jax.jit(parallel.map_rows(partial(search_rows, graph, self.search), self.mesh))
        self._score = jax.jit(parallel.map_rows(partial(score_rows, graph), self.mesh))

    @classmethod
    def from_pretrained(
        cls, path: str | Path | None = None, tokenizer: str | Path | None = None, search: SearchConfig | None = None, dtype: str = "float32",
        batch_size: int = 8, devices: Sequence[jax.Device] | None = None,
    ) -> QAGen:  # fmt: skip
        """A QAGen from a Hugging Face folder, a fairseq `.pt` or a hub id; without a path, the embedded one, which knows only Gazette.

        Args:
            tokenizer: the folder of the tokenizer's files, where the checkpoint has none beside it.
            dtype: of matrix products: float32, bfloat16, or float64 (for tests: it switches JAX's x64 mode on).
            batch_size: rows per device.

        Raises:
            ValueError: naming what is wrong with the path, the weights, the tokenizer or the dtype.
        """
        from quals_jax.checkpoints import load_checkpoint

        checkpoint = load_checkpoint(path or EMBEDDED, tokenizer=tokenizer, dtype=dtype)
        checkpoint.tokenizer.check_connector()
        distribution = checkpoint.folder / DISTRIBUTION
        distribution = json.loads(distribution.read_text(encoding="utf-8")) if distribution.exists() else None
        return cls(
            checkpoint.model, checkpoint.tokenizer, search=search, batch_size=batch_size, name=checkpoint.name,
            fingerprint=checkpoint.fingerprint, devices=devices, distribution=distribution,
        )  # fmt: skip

    def generate(self, summaries: Sequence[str]) -> list[list[QAPair]]:
        """All `num_beams` pairs of every summary, best first."""
        return self.generate_ids([ids for ids, _ in self.tokenizer.encode_batch(summaries)])

    def generate_ids(self, sources: Sequence[list[int]]) -> list[list[QAPair]]:
        """`generate` for texts that are ids already."""
        shapes = [(self._source_bucket(source),) for source in sources]

        def run(rows: list[int], shape):
            ids, lengths = pad([sources[row] for row in rows] + [[]] * (self._rows - len(rows)), shape[0])
            return self._search(self._params, *parallel.shard_rows((ids, lengths > 0), self.mesh))

        results: list[list[QAPair]] = [[] for _ in sources]
        for rows, hypotheses in parallel.in_batches(shapes, self._rows, run):
            for place, row in enumerate(rows):
                results[row] = self._pairs(jax.tree.map(lambda array, place=place: array[place], hypotheses))
        return results

    def score(self, documents: Sequence[str], kept_lists: Sequence[Sequence[QAPair]]) -> list[list[np.ndarray]]:
        """Per document and pair, the natural log-probability of every token of the pair given the document.

        Raises:
            ValueError: if the two lists differ in length, or a pair has tokens that the model does not know, or too many, or none.
        """
        return self.score_ids([ids for ids, _ in self.tokenizer.encode_batch(documents)], kept_lists)

    def score_ids(self, sources: Sequence[list[int]], kept_lists: Sequence[Sequence[QAPair]]) -> list[list[np.ndarray]]:
        """`score` for documents that are ids already."""
        if len(sources) != len(kept_lists):
            raise ValueError(f"there are {len(sources)} documents, and pairs for {len(kept_lists)}")
        for pairs in kept_lists:
            for pair in pairs:
                self._check_pair(pair)
        # A row is a document with at most as many pairs as the largest bucket holds.
        most = PAIR_BUCKETS[-1]
        tasks = [
            (number, start, [pair.tokens for pair in pairs[start : start + most]])
            for number, pairs in enumerate(kept_lists)
            for start in range(0, len(pairs), most)
        ]
        shapes = [
            (
                self._source_bucket(sources[number]),
                bucket(len(tokens), PAIR_BUCKETS),
                padded_length(max(map(len, tokens)), TARGET_BUCKETS, self.config.max_position_embeddings),
            )
            for number, _, tokens in tasks
        ]

        # Sorted by length and cut into what one device takes at a time, so that only the last chunk has empty places. What a
        # chunk is depends on the documents alone, not on the number of devices. The search is not batched like this: which
        # pairs it finds must not depend on a row's neighbours by so much as a rounding.
        order = sorted(range(len(tasks)), key=lambda row: shapes[row], reverse=True)
        chunks = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]

        def run(numbers: list[int], shape):
            source, pairs, target = shape
            ids = np.full((self._rows, source), self.config.pad_token_id, np.int32)
            targets = np.full((self._rows, pairs, target), self.config.pad_token_id, np.int32)
            for place, row in self._places(chunks, numbers):
                number, _, tokens = tasks[row]
                ids[place, : len(sources[number])] = sources[number]
                targets[place, : len(tokens)] = pad(tokens, target)[0]
                self._document_tokens += len(sources[number])
            self._document_positions += ids.size
            return self._score(self._params, *parallel.shard_rows((ids, targets), self.mesh))

        results = [[np.zeros(0, np.float32)] * len(pairs) for pairs in kept_lists]
        largest = [tuple(max(sizes) for sizes in zip(*(shapes[row] for row in chunk), strict=True)) for chunk in chunks]
        for numbers, logprobs in parallel.in_batches(largest, self.mesh.size, run):
            for place, row in self._places(chunks, numbers):
                number, start, tokens = tasks[row]
                for offset, ids in enumerate(tokens):
                    results[number][start + offset] = logprobs[place, offset, : len(ids)]
        return results

    @property
    def padding(self) -> float:
        """The share of padding among all document positions scored so far, the empty rows of batches among it."""
        return 1 - self._document_tokens / self._document_positions if self._document_positions else 0.0

    @property
    def _rows(self) -> int:
        return self.batch_size * self.mesh.size

    def _places(self, chunks: list[list[int]], numbers: list[int]) -> Iterator[tuple[int, int]]:
        """Where the rows of these chunks, one for every device, stand in a batch: (place, row)."""
        for device, number in enumerate(numbers):
            yield from enumerate(chunks[number], device * self.batch_size)

    def _check_pair(self, pair: QAPair) -> None:
        """Refuses what would be looked up beside the model's tables: JAX would clip it, and give a number."""
        tokens, longest, vocabulary = pair.tokens, self.config.max_position_embeddings, self.config.vocab_size
        if not 1 <= len(tokens) <= longest:
            raise ValueError(f"the pair {pair.question!r} has {len(tokens)} tokens; it must have 1 to {longest}")
        if not 0 <= min(tokens) <= max(tokens) < vocabulary:
            raise ValueError(
                f"the pair {pair.question!r} has token ids {min(tokens)} to {max(tokens)}; the model's end at {vocabulary - 1}"
            )

    def _source_bucket(self, source: list[int]) -> int:
        """What a text is padded to."""
        return padded_length(len(source), SOURCE_BUCKETS, self.config.max_position_embeddings)

    def _pairs(self, hypotheses: Hypotheses) -> list[QAPair]:
        """The hypotheses of one row [beam, ...] as pairs."""
        pairs = []
        for beam, length in enumerate(hypotheses.lengths.tolist()):
            if not length:
                continue
            tokens = hypotheses.tokens[beam, :length].tolist()
            question, answer = split_pair(self.tokenizer.decode(tokens), self.tokenizer.connector)
            score = float(hypotheses.scores[beam])
            pairs.append(
                QAPair(
                    question=question,
                    answer=answer,
                    tokens=tokens,
                    beam_logprobs=hypotheses.beam_logprobs[beam, :length],
                    summary_logprobs=hypotheses.model_logprobs[beam, :length],
                    beam_score=score,
                    # fairseq: the sum is made from the normalised score, in double precision, and it is what pairs are sorted by.
                    beam_total=score * length**self.search.length_penalty,
                )
            )
        return pairs
