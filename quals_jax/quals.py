"""QUALS: generate pairs from a summary, keep those it bears out, and ask how much less likely they are given the document."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from quals_jax import __version__
from quals_jax.batch_size import rows_together
from quals_jax.corpus import CorpusResult, score_corpus
from quals_jax.coverage import coverage, unasked
from quals_jax.document_answers import DocumentAnswer, ask_documents
from quals_jax.inputs import check_pairs, check_texts
from quals_jax.long_documents import LONG_DOCUMENTS, TRUNCATE, score_documents
from quals_jax.metrics.answers import token_f1
from quals_jax.pair_formats import source_prefix
from quals_jax.pairs import MAX_PAIRS, QAPair, check_max_pairs, keep_pairs
from quals_jax.qagen import QAGen
from quals_jax.spans import spans
from quals_jax.statistics import interval_of_mean
from quals_jax.world import OutsideWorldWarning, Strangers

SUMMARY_SCORES = ("likelihood", "beam")


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoredPair(QAPair):
    """A kept pair with its tokens' log-probabilities given the document, and its score: the mean over the tokens of how much
    less likely the document makes them than the summary does. Near 0: supported; far below: not.

    document_answer: what the document answers to the question (`quals_jax.document_answers`), None where it has no answer;
    document_answer_logprob: the natural logarithm of how likely, None where the document was not asked; document_answer_span: start and
    end of the first place of the document where the answer stands."""

    document_logprobs: np.ndarray
    score: float
    document_answer: str | None = None
    document_answer_logprob: float | None = None
    document_answer_span: tuple[int, int] | None = None

    def to_json(self) -> dict:
        listed = {
            name: _floats(getattr(self, name)) for name in ("document_logprobs", "summary_logprobs", "beam_logprobs")
        }
        first = {
            "question": self.question,
            "answer": self.answer,
            "tokens": list(self.tokens),
            **listed,
            "score": self.score,
        }
        if self.document_answer_logprob is None:
            return first
        span = self.document_answer_span
        return first | {
            "document_answer": self.document_answer,
            "document_answer_logprob": self.document_answer_logprob,
            "document_answer_span": None if span is None else list(span),
        }


@dataclass(frozen=True, eq=False)
class QualsResult:
    """The score of one summary. `quals` is None where no pair was kept. `truncated`: the document was cut to the model's length, so that
    its end was not read (in windows all of it is); `summary_truncated`: the summary was, so that nothing was asked about its end.
    `outside`: the model is the embedded one, and these are no texts of Gazette, so that the score says nothing."""

    quals: float | None
    pairs: tuple[ScoredPair, ...]
    truncated: bool
    summary_truncated: bool = False
    summary: str = ""
    outside: bool = False

    @property
    def spans(self) -> list[dict]:
        """Which words of the summary the answers point to, worst first: `start`, `end`, `score`, `questions` (`quals_jax.spans`)."""
        return spans(self.summary, self.pairs)

    @property
    def coverage(self) -> float:
        """The share of the summary's content words that a kept pair speaks of (`quals_jax.coverage`): the score is of what was asked."""
        return coverage(self.summary, self.pairs)

    @property
    def unasked(self) -> list[tuple[int, int]]:
        """Start and end of the content words of the summary that no kept pair speaks of."""
        return unasked(self.summary, self.pairs)

    @property
    def f1(self) -> float | None:
        """How far the answers from summary and document agree, from 0 to 1 (QUALS-F1): the mean over the pairs of their token F1; an answer
        that the document does not have agrees with none. None without pairs, or where the document was not asked."""
        if not self.pairs or any(pair.document_answer_logprob is None for pair in self.pairs):
            return None
        return float(np.mean([token_f1(pair.answer, pair.document_answer or "") for pair in self.pairs]))

    @property
    def num_pairs(self) -> int:
        return len(self.pairs)

    def to_json(self) -> dict:
        """The fields of `score.py`'s output that belong to the score."""
        pairs = [pair.to_json() for pair in self.pairs]
        first = {"quals": self.quals, "num_pairs": self.num_pairs, "truncated": self.truncated, "pairs": pairs}
        unasked = [list(place) for place in self.unasked]
        return first | {"summary_truncated": self.summary_truncated, "coverage": self.coverage, "unasked": unasked}


class Quals:
    """The metric. `summary_score`: "likelihood" compares with the model's likelihood given the summary (the paper's text), "beam"
    with what diverse beam search accumulated, penalties included (the released code). `max_pairs=None` keeps all pairs.
    `long_documents`: "truncate" reads of a document what the model can read at once, "windows" all of it (`quals_jax.long_documents`).
    `document_answers`: every pair is told what the document answers to its question, which changes no score."""

    def __init__(
        self,
        qagen: QAGen,
        max_pairs: int | None = MAX_PAIRS,
        summary_score: str = "likelihood",
        long_documents: str = TRUNCATE,
        document_answers: bool = False,
    ):
        if isinstance(qagen, str | Path):
            raise TypeError(
                f"qagen is {qagen!r}; it must be a QAGen, such as QAGen.from_pretrained({str(qagen)!r}) gives"
            )
        if summary_score not in SUMMARY_SCORES:
            raise ValueError(f"summary_score is {summary_score!r}; it must be one of {', '.join(SUMMARY_SCORES)}")
        check_max_pairs(max_pairs)
        if long_documents not in LONG_DOCUMENTS:
            raise ValueError(f"long_documents is {long_documents!r}; it must be one of {', '.join(LONG_DOCUMENTS)}")
        self.qagen, self.max_pairs, self.summary_score = qagen, max_pairs, summary_score
        self.long_documents, self.document_answers = long_documents, document_answers
        self._warned = False

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], document_answers: bool | None = None
    ) -> list[QualsResult]:
        """One result for every document and its summary, in order. A text is read once, however often it stands in a list.

        document_answers: whether the documents are asked too, where that is not as `Quals` was made.

        Raises:
            ValueError: if the lists differ in length, or a document is empty.
            TypeError: for what is no list of texts, naming list, row and type.
        """
        for name, texts in {"documents": documents, "summaries": summaries}.items():
            if isinstance(texts, str):
                raise TypeError(f"documents and summaries must be lists of texts; {name} is one text")
        documents = check_texts("documents", documents, empty=False)
        summaries = check_texts("summaries", summaries)
        if len(documents) != len(summaries):
            raise ValueError(f"there are {len(documents)} documents and {len(summaries)} summaries")
        distinct = list(dict.fromkeys(summaries))
        sources = self.qagen.tokenizer.encode_batch(distinct)
        cut = {summary: truncated for summary, (_, truncated) in zip(distinct, sources, strict=True)}
        generated = dict(zip(distinct, self.qagen.answered(distinct, [ids for ids, _ in sources]), strict=True))
        as_read = self.qagen.codec.as_read
        kept = [keep_pairs(generated[summary], as_read(summary), self.max_pairs) for summary in summaries]

        rows: dict[str, list[int]] = {}
        for row, document in enumerate(documents):
            rows.setdefault(document, []).append(row)
        lists = [[pair for row in own for pair in kept[row]] for own in rows.values()]
        scored, truncated = score_documents(self.qagen, list(rows), lists, self.long_documents)
        answers = [[None] * len(own) for own in lists]
        if self.document_answers if document_answers is None else document_answers:
            answers = ask_documents(self.qagen, list(rows), lists, self.long_documents)

        results: list[QualsResult | None] = [None] * len(documents)
        for places, logprobs, said, document_cut in zip(rows.values(), scored, answers, truncated, strict=True):
            remaining = iter(zip(logprobs, said, strict=True))
            for row in places:
                own = list(islice(remaining, len(kept[row])))
                results[row] = self._result(kept[row], own, document_cut, cut[summaries[row]])
        results = [replace(result, summary=summary) for result, summary in zip(results, summaries, strict=True)]
        return self._told(documents, results) if self.qagen.only_gazette else results

    def corpus(self, documents: Sequence[str], summaries: Sequence[str], progress: bool = False) -> CorpusResult:
        """The mean over all summaries with its interval, and every result: `score` for a whole corpus, in blocks.

        progress: shows a bar on standard error. Raises what `score` raises.
        """
        return score_corpus(self, documents, summaries, progress=progress)

    def _told(self, documents: list[str], results: list[QualsResult]) -> list[QualsResult]:
        """The results, marked where they are of another world than the embedded model's; the first time with a warning."""
        strangers, told = Strangers(), []
        for document, result in zip(documents, results, strict=True):
            outside = strangers.add(document, result.summary, truncated=result.truncated, num_pairs=result.num_pairs)
            told.append(replace(result, outside=True) if outside else result)
        note = strangers.note("other texts need another model (--model, or QAGen.from_pretrained(path))")
        if note and not self._warned:
            self._warned = True
            warnings.warn(note, OutsideWorldWarning, stacklevel=3)
        return told

    def score_stream(
        self, pairs: Iterable[tuple[str, str] | Mapping], block_rows: int | None = None
    ) -> Iterator[QualsResult]:
        """Results of (document, summary) pairs, or of rows `{"document", "summary"}`, from any iterator, yielded as blocks of rows are
        done; memory holds one block. block_rows: as many as suit the devices, unless it is said.

        Raises:
            TypeError, ValueError: for a row that is none, naming it, after the results of those before its block.
        """
        pairs, block_rows = check_pairs(pairs), block_rows or self.block_rows
        while block := list(islice(pairs, block_rows)):
            documents, summaries = zip(*block, strict=True)
            yield from self.score(documents, summaries)

    @property
    def block_rows(self) -> int:
        """How many summaries are worth scoring together on these devices."""
        return rows_together(self.qagen.runner.rows_at_once)

    def percentile(self, quals: float | None) -> float | None:
        """The percentage of reference summaries that score lower, if the model came with their scores under these settings."""
        references = self.reference_scores
        if quals is None or references is None:
            return None
        return round(100 * float(np.searchsorted(references, quals) / len(references)), 1)

    @property
    def reference_scores(self) -> list[float] | None:
        """QUALS of reference summaries, sorted, if the model came with them and they were made with these settings."""
        distribution = self.qagen.distribution
        if not distribution or _settings(distribution["signature"]) != _settings(self.signature):
            return None
        return distribution["quals"]

    @property
    def signature(self) -> str:
        """All that changes the number, so that it can be repeated."""
        search, qagen = self.qagen.search, self.qagen
        fields = {"model": f"{qagen.name}@{qagen.fingerprint[:8]}" if qagen.fingerprint else qagen.name}
        if search.num_beams != search.num_groups:
            fields["beams"] = search.num_beams
        if qagen.revision:
            fields["revision"] = qagen.revision
        if qagen.codec.format.name != "connector":
            fields["format"] = qagen.codec.format.name
        if qagen.tokenizer.prefix != source_prefix(qagen.codec.format, vars(qagen.config)):
            fields["prefix"] = repr(qagen.tokenizer.prefix)
        fields |= {"groups": search.num_groups, "strength": search.diversity_strength}
        usual = asdict(type(search)(num_beams=search.num_beams, num_groups=search.num_groups))
        for name in ("min_length", "max_length", "length_penalty", "no_repeat_ngram_size"):
            if getattr(search, name) != usual[name]:
                fields[name] = getattr(search, name)
        if search.covering:
            fields["covering"] = "on"
        if self.long_documents != TRUNCATE:
            fields["long_documents"] = self.long_documents
            if qagen.window_tokens:
                fields["window_tokens"] = qagen.window_tokens
        fields |= {"pairs": self.max_pairs or "all", "summary_score": self.summary_score}
        if changing := qagen.kernels.changing(qagen.dtype):
            fields["kernels"] = changing
        fields |= {"dtype": qagen.dtype, "backend": qagen.runner.platform, "version": __version__}
        return " | ".join(f"{name}:{value}" for name, value in fields.items())

    def _result(
        self, kept: list[QAPair], found: list[tuple[np.ndarray, DocumentAnswer | None]], truncated: bool, cut: bool
    ) -> QualsResult:
        pairs = tuple(
            ScoredPair(
                **vars(pair),
                document_logprobs=document,
                score=self._pair_score(pair, document),
                **({} if said is None else said.fields()),
            )
            for pair, (document, said) in zip(kept, found, strict=True)
        )
        return QualsResult(float(np.mean([pair.score for pair in pairs])) if pairs else None, pairs, truncated, cut)

    def _pair_score(self, pair: QAPair, document_logprobs: np.ndarray) -> float:
        given_document = float(np.mean(document_logprobs, dtype=np.float64))
        if self.summary_score == "beam":
            return given_document - pair.beam_score
        return given_document - float(np.mean(pair.summary_logprobs, dtype=np.float64))


def confidence_interval(results: Iterable[QualsResult], level: float = 0.95) -> tuple[float, float]:
    """The bootstrap interval of the mean QUALS over the results that have one; (nan, nan) where none has.

    Raises:
        TypeError: for what is no result, naming it.
    """
    scores = []
    for row, result in enumerate(results):
        if not hasattr(result, "quals"):
            raise TypeError(f"results[{row}] is a {type(result).__name__}; it must be a result of Quals.score")
        scores += [] if result.quals is None else [result.quals]
    return interval_of_mean(scores, level)


def _settings(signature: str) -> list[str]:
    """What of a signature makes scores of one model comparable."""
    fields = signature.split(" | ")
    # Windows change nothing for documents that the model can read whole, such as those of references mostly are.
    silent = ("model", "dtype", "backend", "version", "kernels", "long_documents", "window_tokens")
    return [field for field in fields if field.partition(":")[0] not in silent]


def _floats(array: np.ndarray | None) -> list[float] | None:
    """Numbers as short as they can be written without changing the float32."""
    return None if array is None else list(map(float, map(str, np.asarray(array, np.float32))))
