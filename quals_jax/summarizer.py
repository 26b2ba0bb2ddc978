"""Summarizer: an encoder-decoder that writes summaries of documents, by beam search or by top-k sampling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from quals_jax.checkpoints.generation import T5_TYPES
from quals_jax.decoding.diverse_beam import Hypotheses, SearchConfig
from quals_jax.decoding.sampling import Samples, SamplingConfig
from quals_jax.inputs import check_texts
from quals_jax.precision import Precision
from quals_jax.seq2seq import Seq2Seq
from quals_jax.tokenizer import Tokenizer

# The paper's on XSum (run_xsum_eval.sh): beam 6, 10 to 60 tokens, length penalty 1, nothing blocked.
XSUM_SEARCH = SearchConfig(num_beams=6, num_groups=1, min_length=10, max_length=60)


@dataclass(frozen=True)
class Conventions:
    """What a checkpoint says of how it was trained to read and write.

    source_bos: sources begin with `<s>`. forced_first_id: what every summary must begin with (of the hub's,
    `bart-large-cnn` forces `<s>` and `bart-large-xsum` does not, by transformers' pull request 6526). search: the beam
    search that its `generation_config.json` describes. prefix: what is put before every document.
    """

    source_bos: bool = False
    forced_first_id: int | None = None
    search: SearchConfig = XSUM_SEARCH
    prefix: str = ""


def conventions(config: dict, generation: dict, task: dict | None = None, prefix: str = "") -> Conventions:
    """The conventions in a hub folder's `config.json` and `generation_config.json`, which wins; of folders that this
    project wrote (they have a `quals_jax` block), and of fairseq files (two empty dicts), fairseq's. task: what `config.json` says of
    summarization alone, which goes before what it says of everything.

    Hugging Face's lengths count the start token, and its `max_length` the end of sentence as well; `<s>` in front counts
    as any token. As there the n-grams that must not repeat include the start token, and the length that the penalty is of
    includes the end. fairseq: the end of a summary that has the full length costs what the model says; there it is free.

    Raises:
        ValueError: for a search that cannot be.
    """
    said = {name: value for name, value in {**config, **(task or {}), **generation}.items() if value is not None}
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
    bos = config.get("model_type") not in T5_TYPES  # which have no `<s>`
    source_bos = bos and (own.get("source_bos", False) if own else True)
    return Conventions(source_bos=source_bos, forced_first_id=forced, search=search, prefix=prefix)


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


class Summarizer:
    """A summarizer on all local devices. Make one with `from_pretrained`.

    What a document's summary or samples are depends on the document alone, not on what stands beside it, nor on the
    number of devices (but for near ties, where shapes differ).
    """

    def __init__(
        self, model, tokenizer: Tokenizer, *, search: SearchConfig | None = None, batch_size: int = 8,
        forced_first_id: int | None = None, name: str = "model", fingerprint: str = "",
        devices: Sequence[jax.Device] | None = None, precision: Precision | None = None,
    ):  # fmt: skip
        if tokenizer.size > model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.size} entries, the model {model.config.vocab_size}: they do not belong together"
            )
        self.runner = Seq2Seq(
            model, precision=precision, batch_size=batch_size, forced_first_id=forced_first_id, devices=devices
        )
        self.config, self.tokenizer = model.config, tokenizer
        self.forced_first_id, self.batch_size = forced_first_id, batch_size
        self.name, self.fingerprint = name, fingerprint
        self.use(search or XSUM_SEARCH)

    @classmethod
    def from_pretrained(
        cls, path: str | Path, tokenizer: str | Path | None = None, search: SearchConfig | Mapping | None = None,
        dtype: str = "float32", batch_size: int = 8, devices: Sequence[jax.Device] | None = None, prefix: str | None = None,
    ) -> Summarizer:  # fmt: skip
        """A summarizer from a Hugging Face folder, a fairseq `.pt` or a hub id.

        A hub folder is read by its own conventions (`<s>` in front of sources and summaries, its search); folders
        written by this project and fairseq files by fairseq's. `search` replaces the folder's; a mapping, some fields
        of it. `prefix` is what is put before every document, in place of what the folder says ("summarize: " of most T5s).

        Raises:
            ValueError: naming what is wrong with the path, the weights, the tokenizer or the dtype; and for a T5 of which it is not
                known what it expects before a document.
        """
        from quals_jax.checkpoints import CheckpointError, load_checkpoint
        from quals_jax.checkpoints.generation import check_generation, document_prefix, summarization
        from quals_jax.checkpoints.huggingface import read_json

        precision = Precision.of(dtype)
        precision.require(devices or jax.local_devices())
        checkpoint = load_checkpoint(path, tokenizer=tokenizer, dtype=dtype)
        described, stated = checkpoint.folder / "generation_config.json", checkpoint.folder / "config.json"
        generation = read_json(described) if checkpoint.extra and described.exists() else {}
        task, rows = summarization(checkpoint.extra, stated), checkpoint.config.vocab_size
        check_generation(checkpoint.extra, stated, rows)
        check_generation(task, f"{stated}: task_specific_params: summarization", rows)
        check_generation(generation, described, rows)
        prefix = document_prefix(checkpoint.extra, stated) if prefix is None else prefix
        if prefix is None:
            raise CheckpointError(
                f"{stated}: does not say what this t5 model expects before a document; put"
                ' "quals_jax": {"prefix": "summarize: "} into it, or what it was trained with ("" for nothing)'
            )
        try:
            own = conventions(checkpoint.extra, generation, task, prefix)
        except ValueError as error:  # fields that contradict each other
            raise CheckpointError(f"{described}: {error}") from None
        tokenizer = checkpoint.tokenizer
        tokenizer.source_bos, tokenizer.prefix = own.source_bos, own.prefix
        room = checkpoint.config.max_positions - own.source_bos
        tokenizer.max_source_tokens = min(tokenizer.max_source_tokens, room)
        if search is None or isinstance(search, Mapping):
            search = replace(own.search, **(search or {}))
        return cls(
            checkpoint.model, tokenizer, search=search, batch_size=batch_size,
            forced_first_id=own.forced_first_id, name=checkpoint.name, fingerprint=checkpoint.fingerprint,
            devices=devices, precision=precision,
        )  # fmt: skip

    @property
    def identity(self) -> str:
        """What summaries depend on beside the search: the weights' fingerprint, and what is put before documents, if that is anything."""
        return self.fingerprint + (f" after {self.tokenizer.prefix!r}" if self.tokenizer.prefix else "")

    def conventions(self, search: SearchConfig) -> Conventions:
        """How it reads and writes, with this search."""
        return Conventions(self.tokenizer.source_bos, self.forced_first_id, search, self.tokenizer.prefix)

    def use(self, search: SearchConfig) -> None:
        """From now on searches in this way.

        Raises:
            ValueError: if summaries may become longer than the model has positions for.
        """
        self.runner.require_room(search.max_length)
        self.search = search

    def summarize(self, documents: Sequence[str]) -> list[str]:
        """The best summary of every document by beam search, without spaces at its ends."""
        return [summaries[0] for summaries in self.beams(documents)]

    def beams(self, documents: Sequence[str]) -> list[list[str]]:
        """All summaries of every document that beam search finished, best first."""
        sources = self._sources(documents)
        return self._texts(sources, self.runner.search(sources, self.search))

    def sample(
        self, documents: Sequence[str], num_samples: int = 6, config: SamplingConfig | None = None, seed: int = 0
    ) -> list[list[str]]:
        """Samples of every document, drawn from the tokens' k most likely (the paper's candidates).

        The same document, seed and settings give the same samples; other seeds others.

        Raises:
            ValueError: if no samples are asked for, or longer ones than the model has positions for.
        """
        sources = self._sources(documents)
        return self._texts(sources, self.runner.sample(sources, config or SamplingConfig(), num_samples, seed))

    def logprobs(self, documents: Sequence[str], summaries: Sequence[str]) -> list[Float[np.ndarray, "target"]]:
        """Of every summary the natural log-probability of each token, its end included, given its document."""
        targets = [[[*ids, self.config.eos_token_id]] for ids in self.tokenizer.encode_pieces(summaries)]
        return [own[0] for own in self.runner.logprobs(self._sources(documents), targets)]

    def _sources(self, documents: Sequence[str]) -> list[list[int]]:
        return [ids for ids, _ in self.tokenizer.encode_batch(check_texts("documents", documents))]

    def _texts(
        self, sources: Sequence[list[int]], sequences: Iterable[tuple[int, Hypotheses | Samples]]
    ) -> list[list[str]]:
        """The texts of every document's sequences."""
        results: list[list[str]] = [[] for _ in sources]
        for row, found in sequences:
            ids = [
                tokens[:length] for tokens, length in zip(found.tokens.tolist(), found.lengths.tolist(), strict=True)
            ]
            results[row] = [self.tokenizer.decode(tokens).strip() for tokens in ids if tokens]
        return results
