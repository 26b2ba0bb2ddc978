"""Summarizer: one BART that writes summaries of documents, by beam search or by top-k sampling."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Int

from quals_jax import parallel
from quals_jax.data.batching import SOURCE_BUCKETS, pad, padded_length
from quals_jax.decoding.diverse_beam import Hypotheses, SearchConfig, diverse_beam_search
from quals_jax.decoding.sampling import Samples, SamplingConfig, sample_keys, top_k_sample
from quals_jax.models.bart import Bart, init_cache
from quals_jax.qagen import encode_rows
from quals_jax.tokenizer import Tokenizer

# The paper's on XSum (run_xsum_eval.sh): beam 6, 10 to 60 tokens, length penalty 1, nothing blocked.
XSUM_SEARCH = SearchConfig(num_beams=6, num_groups=1, min_length=10, max_length=60)


@dataclass(frozen=True)
class Conventions:
    """What a checkpoint says of how it was trained to read and write.

    source_bos: sources begin with `<s>`. forced_first_id: what every summary must begin with (of the hub's,
    `bart-large-cnn` forces `<s>` and `bart-large-xsum` does not, by transformers' pull request 6526). search: the beam
    search that its `generation_config.json` describes.
    """

    source_bos: bool = False
    forced_first_id: int | None = None
    search: SearchConfig = XSUM_SEARCH


def conventions(config: dict, generation: dict) -> Conventions:
    """The conventions in a hub folder's `config.json` and `generation_config.json`, which wins; of folders that this
    project wrote (they have a `quals_jax` block), and of fairseq files (two empty dicts), fairseq's.

    Hugging Face's lengths count the start token, and its `max_length` the end of sentence as well; `<s>` in front counts
    as any token. As there the n-grams that must not repeat include the start token, and the length that the penalty is of
    includes the end. fairseq: the end of a summary that has the full length costs what the model says; there it is free.

    Raises:
        ValueError: for a search that cannot be.
    """
    said = {name: value for name, value in {**config, **generation}.items() if value is not None}
    own = config.get("quals_jax")
    if not config:
        return Conventions()
    forced = said.get("forced_bos_token_id")
    if forced is None and said.get("force_bos_token_to_be_generated"):
        forced = said.get("bos_token_id", 0)
    usual = XSUM_SEARCH
    # What is said in new tokens wins there, and is the same without the start token.
    shortest = said["min_new_tokens"] + 1 if "min_new_tokens" in said else said.get("min_length", usual.min_length + 1)
    longest = said["max_new_tokens"] + 1 if "max_new_tokens" in said else said.get("max_length", usual.max_length + 2)
    search = SearchConfig(
        num_beams=said.get("num_beams", usual.num_beams),
        num_groups=1,
        min_length=max(shortest - 1, 0),
        max_length=longest - 2,
        length_penalty=float(said.get("length_penalty", usual.length_penalty)),
        no_repeat_ngram_size=said.get("no_repeat_ngram_size", usual.no_repeat_ngram_size),
    )
    return Conventions(source_bos=own.get("source_bos", False) if own else True, forced_first_id=forced, search=search)


def described(own: Conventions) -> dict:
    """The conventions as entries of `generation_config.json`: what `conventions` reads, and transformers searches by."""
    search = own.search
    return {
        "forced_bos_token_id": own.forced_first_id,
        "num_beams": search.num_beams,
        "min_length": search.min_length + 1,
        "max_length": search.max_length + 2,
        "length_penalty": search.length_penalty,
        "no_repeat_ngram_size": search.no_repeat_ngram_size,
        "early_stopping": True,
    }


def search_rows(
    graph, config: SearchConfig, forced: int | None, params, source_ids: Int[Array, "batch source"],
    active: Bool[Array, "batch"],
) -> Hypotheses:  # fmt: skip
    """Summaries of every text of a batch by beam search, best first. A pure function of arrays."""
    model, step, cache = _decoder(graph, params, source_ids, beams=config.num_beams, length=config.max_length + 1)
    return diverse_beam_search(
        step, cache, batch=source_ids.shape[0], config=config, active=active, forced_first_id=forced, **_ids(model)
    )


def sample_rows(
    graph, config: SamplingConfig, forced: int | None, num_samples: int, params,
    source_ids: Int[Array, "batch source"], active: Bool[Array, "batch"], numbers: Int[Array, "batch"],
) -> Samples:  # fmt: skip
    """Samples of every text of a batch, which depend on its number. A pure function of arrays."""
    model, step, cache = _decoder(graph, params, source_ids, beams=num_samples, length=config.max_length + 1)
    keys = sample_keys(0, numbers, num_samples)
    return top_k_sample(step, cache, keys, config=config, active=active, forced_first_id=forced, **_ids(model))


def _decoder(graph, params, source_ids, *, beams: int, length: int):
    """The model, one step of its decoder against the encoded texts, and an empty cache."""
    model = nnx.merge(graph, params)
    memory = encode_rows(model, source_ids)
    cache = init_cache(model.config, batch=source_ids.shape[0], beam=beams, length=length, dtype=model.dtype)

    def step(token_ids, cache):
        states, cache = model.decode(token_ids[:, :, None], memory, cache)
        return model.logits(states[:, :, 0]), cache

    return model, step, cache


def _ids(model: Bart) -> dict[str, int]:
    config = model.config
    return {"start_id": config.decoder_start_token_id, "eos_id": config.eos_token_id, "pad_id": config.pad_token_id}


class Summarizer:
    """A summarizer on all local devices. Make one with `from_pretrained`.

    What a document's summary or samples are depends on the document alone, not on what stands beside it, nor on the
    number of devices (but for near ties, where shapes differ).
    """

    def __init__(
        self, model: Bart, tokenizer: Tokenizer, *, search: SearchConfig | None = None, batch_size: int = 8,
        forced_first_id: int | None = None, name: str = "model", fingerprint: str = "",
        devices: Sequence[jax.Device] | None = None,
    ):  # fmt: skip
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
        if tokenizer.size > model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.size} entries, the model {model.config.vocab_size}: they do not belong together"
            )
        self.config, self.tokenizer = model.config, tokenizer
        self.forced_first_id, self.batch_size = forced_first_id, batch_size
        self.name, self.fingerprint = name, fingerprint
        self.mesh = parallel.make_mesh(devices or jax.local_devices())
        self._graph, params = nnx.split(model)
        self._params = parallel.replicate(params, self.mesh)
        self._samplers: dict[tuple, Callable] = {}
        self.use(search or XSUM_SEARCH)

    @classmethod
    def from_pretrained(
        cls, path: str | Path, tokenizer: str | Path | None = None, search: SearchConfig | Mapping | None = None,
        dtype: str = "float32", batch_size: int = 8, devices: Sequence[jax.Device] | None = None,
    ) -> Summarizer:  # fmt: skip
        """A summarizer from a Hugging Face folder, a fairseq `.pt` or a hub id.

        A hub folder is read by its own conventions (`<s>` in front of sources and summaries, its search); folders
        written by this project and fairseq files by fairseq's. `search` replaces the folder's; a mapping, some fields
        of it.

        Raises:
            ValueError: naming what is wrong with the path, the weights, the tokenizer or the dtype.
        """
        from quals_jax.checkpoints import CheckpointError, load_checkpoint
        from quals_jax.checkpoints.generation import check_generation
        from quals_jax.checkpoints.huggingface import read_json

        checkpoint = load_checkpoint(path, tokenizer=tokenizer, dtype=dtype)
        described = checkpoint.folder / "generation_config.json"
        generation = read_json(described) if checkpoint.extra and described.exists() else {}
        check_generation(checkpoint.extra, checkpoint.folder / "config.json", checkpoint.config.vocab_size)
        check_generation(generation, described, checkpoint.config.vocab_size)
        try:
            own = conventions(checkpoint.extra, generation)
        except ValueError as error:  # fields that contradict each other
            raise CheckpointError(f"{described}: {error}") from None
        tokenizer = checkpoint.tokenizer
        tokenizer.source_bos = own.source_bos
        room = checkpoint.config.max_position_embeddings - own.source_bos
        tokenizer.max_source_tokens = min(tokenizer.max_source_tokens, room)
        if search is None or isinstance(search, Mapping):
            search = replace(own.search, **(search or {}))
        return cls(
            checkpoint.model, tokenizer, search=search, batch_size=batch_size,
            forced_first_id=own.forced_first_id, name=checkpoint.name, fingerprint=checkpoint.fingerprint,
            devices=devices,
        )  # fmt: skip

    def use(self, search: SearchConfig) -> None:
        """From now on searches in this way.

        Raises:
            ValueError: if summaries may become longer than the model has positions for.
        """
        self._require_room(search.max_length)
        self.search = search
        self._search = self._program(partial(search_rows, self._graph, search, self.forced_first_id))

    def summarize(self, documents: Sequence[str]) -> list[str]:
        """The best summary of every document by beam search, without spaces at its ends."""
        return [summaries[0] for summaries in self.beams(documents)]

    def beams(self, documents: Sequence[str]) -> list[list[str]]:
        """All summaries of every document that beam search finished, best first."""

        def run(sources, rows, shape):
            ids, lengths = pad([sources[row] for row in rows] + [[]] * (self._rows - len(rows)), shape[0])
            return self._search(self._params, *parallel.shard_rows((ids, lengths > 0), self.mesh))

        return self._texts(documents, run)

    def sample(
        self, documents: Sequence[str], num_samples: int = 6, config: SamplingConfig | None = None, seed: int = 0
    ) -> list[list[str]]:
        """Samples of every document, drawn from the tokens' k most likely (the paper's candidates).

        The same document, seed and settings give the same samples; other seeds others.

        Raises:
            ValueError: if no samples are asked for, or longer ones than the model has positions for.
        """
        config = config or SamplingConfig()
        if num_samples < 1:
            raise ValueError(f"num_samples is {num_samples}; it must be at least 1")
        self._require_room(config.max_length)
        settings = (config, self.forced_first_id, num_samples)
        if settings not in self._samplers:
            self._samplers[settings] = self._program(partial(sample_rows, self._graph, *settings))
        sampler = self._samplers[settings]

        def run(sources, rows, shape):
            missing = self._rows - len(rows)
            ids, lengths = pad([sources[row] for row in rows] + [[]] * missing, shape[0])
            numbers = np.array([document_number(sources[row], seed) for row in rows] + [0] * missing, np.int32)
            return sampler(self._params, *parallel.shard_rows((ids, lengths > 0, numbers), self.mesh))

        return self._texts(documents, run)

    def _texts(self, documents: Sequence[str], run: Callable) -> list[list[str]]:
        """The texts of every document's sequences; rows of one length go through `run(sources, rows, shape)` together."""
        sources = [ids for ids, _ in self.tokenizer.encode_batch(documents)]
        shapes = [(padded_length(len(ids), SOURCE_BUCKETS, self.config.max_position_embeddings),) for ids in sources]
        results: list[list[str]] = [[] for _ in documents]
        for rows, found in parallel.in_batches(shapes, self._rows, partial(run, sources)):
            for place, row in enumerate(rows):
                lengths = found.lengths[place]
                sequences = [ids[:length].tolist() for ids, length in zip(found.tokens[place], lengths, strict=True)]
                results[row] = [self.tokenizer.decode(ids).strip() for ids in sequences if ids]
        return results

    def _program(self, function: Callable) -> Callable:
        return jax.jit(parallel.map_rows(function, self.mesh))

    def _require_room(self, max_length: int) -> None:
        room = self.config.max_position_embeddings - 1
        if max_length > room:
            raise ValueError(f"max_length is {max_length}; the model has positions for {room}")

    @property
    def _rows(self) -> int:
        return self.batch_size * self.mesh.size


def document_number(ids: Sequence[int], seed: int) -> int:
    """A number below 2^31 that only an equal document and seed have (but for chance): from it come the samples."""
    digest = hashlib.sha256(f"{seed}/".encode() + np.asarray(ids, np.int32).tobytes()).digest()
    return int.from_bytes(digest[:4], "little") & 0x7FFFFFFF
