"""Makes the report from the rows of an output: the worst in full, the others by their summary alone."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

from quals_jax.spans import locate

WORST_IN_FULL = 200
ROWS_SHOWN = 10_000  # a browser takes seconds for more
SHOWN_BELOW = -0.5  # spans that score lower are marked in the summary
FLOOR = -10.0  # nats; a bar for less ends here


def write_report(
    path: Path,
    scores: Path,
    *,
    signature: str,
    mean: float | None,
    token_text: Callable[[int], str] = str,
    full: int = WORST_IN_FULL,
    most: int = ROWS_SHOWN,
) -> None:
    """Writes a self-contained page about the rows in `scores` (JSONL as score.py writes it); every text is escaped.

    `token_text` says what stands below the two bars of a token; `most` rows are on the page, the worst, and `full` of them in full.

    Raises:
        OSError: if the page cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    # Which rows are shown in full is known only after one pass; the second reads just what it needs.
    counts = {"rows": 0, "unscored": 0}
    worst = [number for _, number in heapq.nsmallest(max(full, most), _totals(scores, counts))]
    page = Environment(
        loader=PackageLoader("quals_jax.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for part in page.get_template("report.html").generate(
            rows=_rows(scores, set(worst[:most]), set(worst[:full]), token_text),
            signature=signature,
            mean=mean,
            count=counts["rows"],
            unscored=counts["unscored"],
            shown=min(most, counts["rows"]),
            full=min(full, counts["rows"]),
            marked=SHOWN_BELOW,
            floor=f"{FLOOR:.0f}".replace("-", "\u2212"),
        ):
            file.write(part)


def _totals(scores: Path, counts: dict[str, int]) -> Iterator[tuple[float, int]]:
    """What rows are sorted by; those without a score come last."""
    with open(scores, encoding="utf-8", newline="\n") as lines:
        for number, row in enumerate(map(json.loads, lines)):
            counts["rows"] += 1
            counts["unscored"] += row["quals"] is None
            yield math.inf if row["quals"] is None else row["quals"], number


def _rows(scores: Path, shown: set[int], full: set[int], token_text: Callable[[int], str]) -> Iterator[dict]:
    with open(scores, encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines):
            if number not in shown:
                continue
            row = json.loads(line)
            row |= {"number": number, "full": number in full, "facts": _facts(row)}
            if row["full"]:
                row["parts"] = marked_parts(row["summary"], row.get("spans", []))
                row["pairs"] = _pairs(row, token_text)
            yield row


def _facts(row: dict) -> str:
    """What stands below a summary."""
    shown = row["id"] if isinstance(row["id"], str) else json.dumps(row["id"], ensure_ascii=False)
    facts = [shown, row.get("kind"), f"{row['num_pairs']} {'pair' if row['num_pairs'] == 1 else 'pairs'}"]
    facts.append("document cut" if row["truncated"] else None)
    facts.append(f"above {row['percentile']}% of reference summaries" if "percentile" in row else None)
    return " · ".join(str(fact) for fact in facts if fact is not None)


def _pairs(row: dict, token_text: Callable[[int], str]) -> list[dict]:
    """The row's pairs, worst first, each with its tokens' bars and the number of the mark that points to it."""
    marks = [(part["number"], part["place"]) for part in row["parts"] if part["score"] is not None]
    pairs = []
    for pair in row["pairs"]:
        place = locate(pair["answer"], row["summary"])
        mark = next((number for number, other in marks if place == other), None)
        if mark is None and pair["score"] < SHOWN_BELOW and place:
            mark = next((number for number, other in marks if _overlap(place, other)), None)
        bars = _bars(pair, token_text)
        spoken = "; ".join(f"{bar['text'].strip()}: {bar['title']}" for bar in bars)
        pairs.append(pair | {"bars": bars, "spoken": spoken, "mark": mark})
    return sorted(pairs, key=lambda pair: pair["score"])


def _bars(pair: dict, token_text: Callable[[int], str]) -> list[dict]:
    """Per token its text, and how far its log-probability given summary and document is below 0, in percent of the way to the floor."""
    both = zip(pair["tokens"], pair["summary_logprobs"], pair["document_logprobs"], strict=True)
    return [
        {
            "text": token_text(token),
            "summary": round(100 * min(s / FLOOR, 1)),
            "document": round(100 * min(d / FLOOR, 1)),
            "title": f"given the summary {s:.2f}, given the document {d:.2f}",
        }
        for token, s, d in both
    ]


def marked_parts(summary: str, spans: list[dict]) -> list[dict]:
    """The summary in pieces, in order: plain ones, and those that a badly scored answer points to (worst first where they overlap)."""
    taken: list[dict] = []
    for span in spans:
        place = span["start"], span["end"]
        if span["score"] < SHOWN_BELOW and not any(_overlap(place, other["place"]) for other in taken):
            taken.append(
                {"number": len(taken), "place": place, "score": span["score"], "question": span["questions"][0]}
            )
    parts, position = [], 0
    for mark in sorted(taken, key=lambda mark: mark["place"]):
        start, end = mark["place"]
        parts += [{"text": summary[position:start], "score": None}, mark | {"text": summary[start:end]}]
        position = end
    return [part for part in [*parts, {"text": summary[position:], "score": None}] if part["text"]]


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
