"""The recipe's step from scores to S+ and S-: which document gives a contrast, and which two of its texts."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from quals_jax import conseq, parallel
from quals_jax.recipes import steps
from quals_jax.recipes.config import ROUGE_KIND, ConseqConfig, SelectionConfig
from quals_jax.report.score_plot import plot_scores

Scores = Sequence[float | None]


@dataclasses.dataclass(frozen=True)
class Contrast:
    """A document's S+ and S-, as places among its candidates; `positive` is None where S+ is its reference."""

    document: int
    positive: int | None
    negative: int


def contrasts(
    candidate_scores: Sequence[Scores], reference_scores: Scores | None, settings: SelectionConfig
) -> list[Contrast]:
    """The contrasts that the settings choose, ordered by the lowest candidate of each document.

    With `settings.positive` "reference" they are those of `conseq.select`, the paper's. Else every document of the `candidate_ratio` gives
    one that has a good text and a bad candidate. Good is what scores at least as high as the lowest of the `reference_ratio` best
    references. S+ is the reference if it is good ("either" only), else the first good candidate: the likeliest of beams, any of samples.
    S- is chosen as ever, by its distance from S+ where there is a margin, and must be less than good.

    Not in the article: `docs/results.md` has what it gains.

    Raises:
        ValueError: as `conseq.select` does, and where S+ may be a candidate but references have no scores.
    """
    options = dataclasses.asdict(settings)
    source = options.pop("positive")
    if source == "reference":
        found = conseq.select(candidate_scores, reference_scores, **options)
        return [Contrast(document, None, negative) for document, negative in found]
    if reference_scores is None:
        raise ValueError(f"positive is {source!r}; it needs reference scores")
    known = sorted((score for score in reference_scores if score is not None), reverse=True)
    admitted = known[: round(settings.reference_ratio * len(reference_scores))]
    floor = admitted[-1] if admitted else math.inf

    def good(score: float | None) -> bool:
        return score is not None and score >= floor

    positives: list[tuple[int | None, float] | None] = []  # of every document: its place, its score
    for own, reference in zip(candidate_scores, reference_scores, strict=True):
        places = [place for place, score in enumerate(own) if good(score)]
        if source == "either" and good(reference):
            positives.append((None, reference))
        else:
            positives.append((places[0], own[places[0]]) if places else None)
    scores = [None if found is None else found[1] for found in positives]
    chosen = []
    for document, negative in conseq.select(candidate_scores, scores, **options | {"reference_ratio": 1.0}):
        score = candidate_scores[document][negative]
        if positives[document] is not None and score is not None and not good(score):
            chosen.append(Contrast(document, positives[document][0], negative))
    return chosen


def select(config: ConseqConfig, workdir: Path, scores: Path, say: Callable[[str], None]) -> Path:
    """The file of S+ and S-, lowest candidate first, and a plot of the scores beside it.

    Raises:
        ValueError: if nothing was selected.
    """
    result, plot = workdir / "selected.jsonl", workdir / "scores.png"
    settings = config.selection
    inputs = {"scores": steps.sha256(scores), **dataclasses.asdict(settings), "by": config.kind}
    if not parallel.any_process(not (steps.fits(result, inputs) and plot.exists())):
        return result
    rows = list(steps.read_rows(scores))
    references = None if config.kind == ROUGE_KIND else [row["reference_score"] for row in rows]
    chosen = contrasts([row["candidate_scores"] for row in rows], references, settings)
    if not chosen:  # in every process: none must wait for one that has failed
        raise ValueError(
            f"of {len(rows)} documents none is in both the lowest {settings.candidate_ratio} of the candidates and"
            f" the highest {settings.reference_ratio} of the references; raise selection.candidate_ratio or"
            " selection.reference_ratio"
        )
    if parallel.is_first_process():
        triples = [triple(rows[contrast.document], contrast) for contrast in chosen]
        steps.write_whole(result, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in triples))
        plot_scores(plot, rows, triples)
        steps.note(result, inputs)
        say(f"selected: {len(triples)} of {len(rows)} documents")
    parallel.wait_for_all("selected")
    return result


def triple(row: dict, contrast: Contrast) -> dict:
    """A row of selected.jsonl; `positive` is the place of an S+ that is no reference."""
    positive, negative = contrast.positive, contrast.negative
    own = positive is not None
    made = {
        "id": row["id"],
        "document": row["document"],
        "summaries": [row["candidates"][positive] if own else row["reference"], row["candidates"][negative]],
        "positive_score": row["candidate_scores"][positive] if own else row["reference_score"],
        "negative_score": row["candidate_scores"][negative],
        "candidate": negative,
    }
    return made | ({"positive": positive} if own else {})


def expected_share(config: ConseqConfig) -> float:
    """The share of documents that give a contrast, where two independent rankings decide; at most, where S+ may be a candidate."""
    settings = config.selection
    by_both = config.kind != ROUGE_KIND and settings.positive == "reference"
    return settings.candidate_ratio * (settings.reference_ratio if by_both else 1)
