"""Makes the report from the rows of an output: the worst in full, all in the table."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from pathlib import Path

WORST_IN_FULL = 200
SHOWN_BELOW = -0.5  # spans that score lower are marked in the summary


def write_report(path: Path, scores: Path, *, signature: str, mean: float | None, full: int = WORST_IN_FULL) -> None:
    """Writes a self-contained page about the rows in `scores` (JSONL as score.py writes it); every text is escaped.

    Raises:
        OSError: if the page cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    # Which rows are shown in full is known only after one pass; the second reads just what it needs.
    with open(scores, encoding="utf-8") as lines:
        totals = [
            (float("inf") if row["quals"] is None else row["quals"], number)
            for number, row in enumerate(map(json.loads, lines))
        ]
    worst = {number for _, number in heapq.nsmallest(full, totals)}
    page = Environment(
        loader=PackageLoader("quals_jax.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for part in page.get_template("report.html").generate(
            rows=_rows(scores, worst),
            signature=signature,
            mean=mean,
            count=len(totals),
            full=len(worst),
            marked=SHOWN_BELOW,
        ):
            file.write(part)


def _rows(scores: Path, worst: set[int]) -> Iterator[dict]:
    with open(scores, encoding="utf-8") as lines:
        for number, row in enumerate(map(json.loads, lines)):
            shown = {
                "number": number,
                "id": row["id"],
                "quals": row["quals"],
                "num_pairs": row["num_pairs"],
                "summary": row["summary"],
            }
            shown |= {"truncated": row["truncated"], "kind": row.get("kind"), "full": number in worst}
            if shown["full"]:
                shown |= {
                    "parts": marked_parts(row["summary"], row.get("spans", [])),
                    "document": row["document"],
                    "pairs": _pairs(row),
                }
            yield shown


def _pairs(row: dict) -> list[dict]:
    """The row's pairs, worst first, each with the heights of its tokens' two bars."""
    return sorted((pair | {"bars": _bars(pair)} for pair in row["pairs"]), key=lambda pair: pair["score"])


def _bars(pair: dict) -> list[dict]:
    """Per token the probability given summary and document, in percent of the bar."""
    import math

    both = zip(pair["summary_logprobs"], pair["document_logprobs"], strict=True)
    return [
        {
            "summary": round(100 * math.exp(s), 1),
            "document": round(100 * math.exp(d), 1),
            "title": f"given summary {s:.2f}, given document {d:.2f}",
        }
        for s, d in both
    ]


def marked_parts(summary: str, spans: list[dict]) -> list[dict]:
    """The summary in pieces, in order: plain ones, and those that a badly scored answer points to (worst first where they overlap)."""
    taken: list[dict] = []
    for span in spans:
        if span["score"] < SHOWN_BELOW and all(
            span["end"] <= other["start"] or span["start"] >= other["end"] for other in taken
        ):
            taken.append(span)
    parts, position = [], 0
    for span in sorted(taken, key=lambda span: span["start"]):
        parts.append({"text": summary[position : span["start"]], "score": None})
        parts.append(
            {"text": summary[span["start"] : span["end"]], "score": span["score"], "questions": span["questions"]}
        )
        position = span["end"]
    return [part for part in [*parts, {"text": summary[position:], "score": None}] if part["text"]]
