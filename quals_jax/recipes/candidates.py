"""The recipe's first two steps: what the summarizer writes of every document, and how QUALS or ROUGE scores it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from quals_jax.metrics.rouge import processes_for, rouge
from quals_jax.qagen import QAGen
from quals_jax.quals import Quals
from quals_jax.recipes import steps
from quals_jax.recipes.config import ROUGE_KIND, CandidateConfig, ConseqConfig
from quals_jax.recipes.documents import Document, Documents, scores_of
from quals_jax.summarizer import Summarizer


def training_documents(config: ConseqConfig) -> Documents:
    """The documents that are read, with their references."""
    settings = config.candidates
    return Documents(
        config.data.train, rows=settings.rows, story_seed=settings.story_seed, false_share=config.data.false_share,
        false_kinds=config.data.false_kinds, folder=config.data.folder, clean=config.data.clean,
    )  # fmt: skip


def sample(config: ConseqConfig, folder: Path, say: Callable[[str], None]) -> Path:
    """The file of candidates: `beams` and `samples` of every document, from the model that training starts from."""
    documents, summarizer = training_documents(config), make_summarizer(config)
    inputs = {"model": summarizer.identity, "documents": documents.fingerprint(), "dtype": config.model.dtype}
    return sample_from(summarizer, documents, config.candidates, folder, inputs, say)


def make_summarizer(config: ConseqConfig) -> Summarizer:
    """The model that training starts from, to be sampled from."""
    return Summarizer.from_pretrained(
        config.model.initial, config.model.tokenizer or None, dtype=config.model.dtype,
        batch_size=config.candidates.batch_size,
    )  # fmt: skip


def sample_from(
    summarizer: Summarizer, documents: Sequence[Document], settings: CandidateConfig, folder: Path, inputs: dict,
    say: Callable[[str], None],
) -> Path:  # fmt: skip
    """Writes `folder`/candidates.jsonl; its path. inputs: what else the candidates are made from, beside the settings."""
    result, sampling = folder / "candidates.jsonl", settings.sampling()

    def make(rows: range) -> list[dict]:
        own = [documents[row] for row in rows]
        texts = [row.document for row in own]
        none = [[] for _ in own]
        sampled = summarizer.sample(texts, settings.samples, sampling, settings.seed) if settings.samples else none
        searched = summarizer.beams(texts) if settings.beams else none
        return [
            {"id": row.id, "document": row.document, "reference": row.reference, "candidates": [*beams, *samples]}
            for row, beams, samples in zip(own, searched, sampled, strict=True)
        ]

    if settings.beams:
        summarizer.use(settings.search(summarizer.search))
    say(f"sampling: {len(documents)} documents")
    steps.in_blocks(
        result, candidate_inputs(settings, inputs), len(documents), make, block_rows=settings.block_rows,
        say=lambda line: say(f"sampling: {line}"),
    )  # fmt: skip
    return result


def candidate_inputs(settings: CandidateConfig, inputs: dict) -> dict:
    """What candidates are made from: `inputs`, and those of the settings that they depend on."""
    return inputs | {
        "samples": settings.samples, "seed": settings.seed, "block_rows": settings.block_rows,
        "sampling": dataclasses.asdict(settings.sampling()),
    } | ({"beams": settings.beams} if settings.beams else {})  # fmt: skip


def score(
    config: ConseqConfig, folder: Path, candidates: Path, say: Callable[[str], None], quals: Quals | None = None
) -> Path:
    """The file of candidates with their scores, and with those of the references where QUALS is the score. `quals`: the metric, where it
    is made already."""
    rows = list(steps.read_rows(candidates))
    by_rouge = config.kind == ROUGE_KIND
    result = folder / ("rouge.jsonl" if by_rouge else "quals.jsonl")
    quals = None if by_rouge else quals or make_quals(config)
    signature = "mean of ROUGE-1, 2, L" if by_rouge else quals.signature
    inputs = {"candidates": steps.sha256(candidates), "score": signature, "block_rows": config.candidates.block_rows}

    with processes_for(sum(len(row["candidates"]) for row in rows) if by_rouge else 0) as pool:

        def make(block: range) -> list[dict]:
            own = [rows[row] for row in block]
            scored = rouge_scores(own, pool) if by_rouge else quals_scores(quals, own)
            return [row | found for row, found in zip(own, scored, strict=True)]

        say(f"scoring: {len(rows)} documents")
        block_rows = config.candidates.block_rows
        steps.in_blocks(
            result, inputs, len(rows), make, block_rows=block_rows, say=lambda line: say(f"scoring: {line}")
        )
    return result


def quals_scores(quals: Quals, rows: list[dict]) -> list[dict]:
    """QUALS of candidates and reference of every row; a document is encoded once for all of them. None of a blank document."""
    texts = [[*row["candidates"], row["reference"]] for row in rows]
    documents = [row["document"] for row, own in zip(rows, texts, strict=True) for _ in own]
    scores = iter(scores_of(quals, documents, [text for own in texts for text in own]))
    listed = [[next(scores) for _ in own] for own in texts]
    return [{"candidate_scores": own[:-1], "reference_score": own[-1]} for own in listed]


def rouge_scores(rows: list[dict], pool=None) -> list[dict]:
    """The mean of ROUGE-1, 2 and L of every candidate against the row's reference, which needs no score."""
    references = [row["reference"] for row in rows for _ in row["candidates"]]
    found = iter(rouge(references, [text for row in rows for text in row["candidates"]], pool=pool))
    return [
        {"candidate_scores": [next(found).mean for _ in row["candidates"]], "reference_score": None} for row in rows
    ]


def make_quals(config: ConseqConfig) -> Quals:
    """The metric, as the configuration describes it."""
    settings = config.scoring
    qagen = QAGen.from_pretrained(
        settings.qagen or None, settings.tokenizer or None, settings.search(), settings.dtype, settings.batch_size
    )
    return Quals(qagen, settings.max_pairs, settings.summary_score)
