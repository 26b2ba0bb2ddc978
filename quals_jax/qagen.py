"""QAGen: an encoder-decoder that reads a text and writes a question and its answer; and how likely it finds pairs, given another text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import jax
import numpy as np

from quals_jax import parallel
from quals_jax.batch_size import AUTO, largest_batch_size
from quals_jax.decoding.diverse_beam import Hypotheses, SearchConfig
from quals_jax.decoding.sampling import SamplingConfig, as_hypotheses
from quals_jax.distribution import is_of, read_distribution
from quals_jax.inputs import check_texts
from quals_jax.kernels import Kernels
from quals_jax.pair_formats import FORMATS, PairCodec, PairFormat, source_prefix
from quals_jax.pairs import QAPair, check_pair_objects, with_others
from quals_jax.places import answer_places
from quals_jax.precision import Precision
from quals_jax.seq2seq import Seq2Seq
from quals_jax.tokenizer import Tokenizer
from quals_jax.world import EMBEDDED


class QAGen:
    """A question-answer generator on all local devices. Make one with `from_pretrained`.

    unknown: what the model was taught to answer where the text has no answer. window_tokens: how many tokens the windows of long
    documents have (`long_documents`), where the model was taught shorter texts than it has positions for.
    name: what the model is called in signatures. fingerprint: a hash of its weights. distribution: QUALS of reference
    summaries ("quals", sorted) and what made them ("signature"), if the model came with it. only_gazette: whether it is the embedded
    model, to which other texts are strange. runner: the model in ids.
    """

    def __init__(
        self, model, tokenizer: Tokenizer, *, search: SearchConfig | None = None, batch_size: int = 8, name: str = "model",
        fingerprint: str = "", devices: Sequence[jax.Device] | None = None, distribution: dict | None = None,
        precision: Precision | None = None, only_gazette: bool = False, pair_format: str = "connector", unknown: str = "",
        revision: str | None = None, window_tokens: int | None = None,
    ):  # fmt: skip
        if tokenizer.size > model.config.vocab_size:
            raise ValueError(
                f"the tokenizer has {tokenizer.size} entries, the model {model.config.vocab_size}: they do not belong together"
            )
        self.codec = PairCodec(FORMATS[pair_format], tokenizer, eos_id=model.config.eos_token_id)
        search = search or SearchConfig()
        rules = self.codec.rules if pair_format != "connector" or search.covering else None
        self.runner = Seq2Seq(model, precision=precision, batch_size=batch_size, devices=devices, rules=rules)
        self.config, self.dtype = model.config, self.runner.precision.name
        self.tokenizer, self.search = tokenizer, search
        self.runner.require_room(self.search.max_length)
        self.unknown = unknown
        self.kernels = model.kernels
        self.batch_size, self.name, self.fingerprint = batch_size, name, fingerprint
        self.revision, self.window_tokens = revision, window_tokens
        self.distribution, self.only_gazette = distribution, only_gazette

    @classmethod
    def from_pretrained(
        cls, path: str | Path | None = None, tokenizer: str | Path | None = None, search: SearchConfig | None = None, dtype: str = "float32",
        batch_size: int | str = 8, devices: Sequence[jax.Device] | None = None, pair_format: str | None = None,
        revision: str | None = None, kernels: str = "none",
    ) -> QAGen:  # fmt: skip
        """A QAGen from a Hugging Face folder, a fairseq `.pt` or a hub id; without a path, the embedded one, which knows only Gazette.

        Args:
            tokenizer: the folder of the tokenizer's files, where the checkpoint has none beside it.
            dtype: float32 (exact on every back end), tf32 (GPUs alone), bfloat16, or float64 (for tests: it switches JAX's x64 mode on).
            batch_size: rows per device; "auto": as many as fit its memory (`batch_size.py`), by a few compilations.
            revision: the branch, tag or commit of a hub id.
            kernels: those of ours to compute with, as `kernels.Kernels.of` names them; nobody has run them on an accelerator yet.
            pair_format: how the model writes pairs (`pair_formats`), where its folder does not say and it is no public model that is known.

        Raises:
            ValueError: naming what is wrong with the path, the weights, the tokenizer, the dtype, the format or the kernels.
        """
        from quals_jax.checkpoints import load_checkpoint

        precision, wanted = Precision.of(dtype), Kernels.of(kernels)
        precision.require(devices or jax.local_devices())
        path = EMBEDDED if path is None else path
        checkpoint = load_checkpoint(path, tokenizer=tokenizer, dtype=dtype, revision=revision)
        wanted.require(checkpoint.model, (devices or jax.local_devices())[0].platform)
        checkpoint.model.kernels = wanted
        format = format_of(checkpoint, pair_format)
        if format.name == "connector" and isinstance(checkpoint.tokenizer, Tokenizer):
            checkpoint.tokenizer.check_connector()
        checkpoint.tokenizer.prefix = prefix_of(checkpoint, format)
        if batch_size == AUTO:
            mesh = parallel.make_mesh(devices or jax.local_devices())
            batch_size = largest_batch_size(checkpoint.model, precision, mesh)
        embedded = checkpoint.folder.resolve() == EMBEDDED or is_of(EMBEDDED, checkpoint.fingerprint)
        return cls(
            checkpoint.model, checkpoint.tokenizer, search=search, batch_size=batch_size, name=checkpoint.name,
            fingerprint=checkpoint.fingerprint, devices=devices, precision=precision, only_gazette=embedded,
            distribution=read_distribution(checkpoint.folder, checkpoint.fingerprint), pair_format=format.name, unknown=checkpoint.settings.unknown,
            revision=revision, window_tokens=checkpoint.settings.window_tokens,
        )  # fmt: skip

    def generate(self, summaries: Sequence[str]) -> list[list[QAPair]]:
        """All `num_beams` pairs of every summary, best first; with a search that covers its texts up to twice as many."""
        summaries = check_texts("summaries", summaries)
        return self._searched([ids for ids, _ in self.tokenizer.encode_batch(summaries)], summaries, answered=False)

    def generate_ids(self, sources: Sequence[list[int]]) -> list[list[QAPair]]:
        """`generate` for texts that are ids already.

        Raises:
            ValueError: if the search covers its texts, which must then be given as texts.
        """
        if self.search.covering:
            raise ValueError("a search that covers its texts needs the texts: use generate")
        return self._searched(sources, None, answered=False)

    def answered(self, summaries: Sequence[str], sources: Sequence[list[int]]) -> list[list[QAPair]]:
        """Of every summary (and its ids) the pairs whose answer is literally in it, upper and lower case apart: `generate` without those
        that `keep_pairs` drops first, which are not even made."""
        return self._searched(sources, summaries, answered=True)

    def _searched(
        self, sources: Sequence[list[int]], summaries: Sequence[str] | None, *, answered: bool
    ) -> list[list[QAPair]]:
        covering = {}
        if self.search.covering:
            texts = map(self.codec.as_read, summaries)
            pieces = self.tokenizer.encode_pieces, self.tokenizer.decode
            places = [answer_places(text, *pieces, unknown=self.unknown) for text in texts]
            covering = {"places": places}
        results: list[list[QAPair]] = [[] for _ in sources]
        texts = [self.codec.as_read(summary).lower() for summary in summaries] if answered else [None] * len(sources)
        for row, hypotheses in self.runner.search(sources, self.search, **covering):
            results[row] = self._pairs(hypotheses, texts[row])
        if self.search.covering:
            sampling = SamplingConfig(min_length=self.search.min_length, max_length=self.search.max_length)
            for row, samples in self.runner.sample(sources, sampling, self.search.num_beams, **covering):
                results[row] = with_others(results[row], self._pairs(as_hypotheses(samples, self.search), texts[row]))
        return results

    def score(self, documents: Sequence[str], kept_lists: Sequence[Sequence[QAPair]]) -> list[list[np.ndarray]]:
        """Per document and pair, the natural log-probability of every token of the pair given the document.

        Raises:
            ValueError: if the two lists differ in length, or a pair has tokens that the model does not know, or too many, or none.
            TypeError: for what is no list of texts, or of lists of pairs.
        """
        return self.score_ids(
            [ids for ids, _ in self.tokenizer.encode_batch(check_texts("documents", documents))], kept_lists
        )

    def score_ids(self, sources: Sequence[list[int]], kept_lists: Sequence[Sequence[QAPair]]) -> list[list[np.ndarray]]:
        """`score` for documents that are ids already."""
        if len(sources) != len(kept_lists):
            raise ValueError(f"there are {len(sources)} documents, and pairs for {len(kept_lists)}")
        kept_lists = [check_pair_objects(f"kept_lists[{row}]", pairs) for row, pairs in enumerate(kept_lists)]
        for pair in chain.from_iterable(kept_lists):
            self._check_pair(pair)
        return self.runner.logprobs(sources, [[pair.tokens for pair in pairs] for pairs in kept_lists])

    def _check_pair(self, pair: QAPair) -> None:
        """Refuses what would be looked up beside the model's tables: JAX would clip it, and give a number."""
        tokens, longest, vocabulary = pair.tokens, self.config.max_positions, self.config.vocab_size
        if not 1 <= len(tokens) <= longest:
            raise ValueError(f"the pair {pair.question!r} has {len(tokens)} tokens; it must have 1 to {longest}")
        if not 0 <= min(tokens) <= max(tokens) < vocabulary:
            raise ValueError(
                f"the pair {pair.question!r} has token ids {min(tokens)} to {max(tokens)}; the model's end at {vocabulary - 1}"
            )

    def _pairs(self, hypotheses: Hypotheses, text: str | None = None) -> list[QAPair]:
        """The hypotheses of one summary [beam, ...] as pairs; with a lower-cased text those alone whose answer is in it."""
        pairs = []
        rows = zip(hypotheses.tokens.tolist(), hypotheses.lengths.tolist(), hypotheses.scores.tolist(), strict=True)
        for beam, (row, length, score) in enumerate(rows):
            if not length:
                continue
            tokens = row[:length]
            question, answer = self.codec.split(tokens)
            if text is not None and (answer is None or answer.lower() not in text):
                continue
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


def format_of(checkpoint, named: str | None) -> PairFormat:
    """The format that is named, or that the folder or the table of public models states.

    Raises:
        ValueError: if there is none of that name, or none is known.
    """
    found, formats = named or checkpoint.settings.pair_format, ", ".join(FORMATS)
    if found is None:
        kind = f"{checkpoint.config.model_type} model"
        raise ValueError(
            f"{checkpoint.name}: it is not known how this {kind} writes questions and answers; if it does (a summarizer does not), name"
            f" its format with --pair_format ({formats})"
        )
    if found not in FORMATS:
        raise ValueError(f"pair_format is {found!r}; it must be one of {formats}")
    return FORMATS[found]


def prefix_of(checkpoint, format: PairFormat) -> str:
    """What is put before every text: as the folder's own block says, or as the format has it."""
    said = checkpoint.settings.prefix
    return source_prefix(format, checkpoint.extra) if said is None else said
