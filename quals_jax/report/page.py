"""Makes the report from the rows of an output: a head that sums up all of them, and the worst of them to open."""

from __future__ import annotations

import base64
import gzip
import heapq
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from quals_jax.report.overview import NONE, GroupCount, group_name, histogram, place_groups, threshold
from quals_jax.sentences import sentence_places
from quals_jax.spans import locate
from quals_jax.statistics import interval_of_mean

ROWS_SHOWN = 2_000
SENTENCE_ROWS = (
    20  # so many rows, the worst, are looked up in their documents, as that costs about as much as their scores
)
CHUNK = 100  # rows that are compressed together: the page opens one such piece when a row of it is opened
FLOOR = -10.0  # nats; a bar for less ends here

Rows = Path | Sequence[dict]
Sentences = Callable[[str, list[dict]], list[tuple[int, int] | None]]


def write_report(
    path: Path,
    rows: Rows,
    *,
    signature: str,
    token_text: Callable[[int], str] = str,
    shown: int = ROWS_SHOWN,
    group_by: str | None = None,
    reference_scores: Sequence[float] | None = None,
    sentences: Sentences | None = None,
    sentence_rows: int = SENTENCE_ROWS,
    notes: Sequence[str] = (),
    outside: Callable[[dict], bool] | None = None,
) -> None:
    """Writes a self-contained page about rows as `score.py` writes them; every text is escaped.

    rows: a JSONL file, or the rows themselves. The head counts all of them; the worst `shown` can be read and opened.
    token_text: what stands below the bars of a token.
    group_by: the field whose groups are compared; without one, the first that all rows have and that has few values.
    reference_scores: QUALS of reference summaries, sorted or not, which say from where on words are marked (`overview.threshold`).
    sentences: called with document and pairs of each of the worst `sentence_rows` rows; gives per pair start and end of the
        sentence of the document in which the pair is likeliest (`quals_jax.evidence`). A pair that has a
        `document_sentence` already keeps it; one with a `document_answer_span` gets the sentence of that, in every row.
    notes: what must be said of the scores, at the top. outside: whether the score of a row says nothing; no words of it are marked.

    Raises:
        OSError: if the page cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    counts = _Counts(groups=GroupCount(group_by))
    # Which rows are shown is known only after one pass; the second reads just what it needs.
    worst = [number for _, number in heapq.nsmallest(shown, _totals(rows, counts, outside))]
    if counts.outside == counts.rows:
        reference_scores = None  # there is nothing to compare with them
    marked, why = threshold(reference_scores, counts.pairs)
    counts.marked = sum(low < marked for low in counts.lowest)
    group_field = counts.groups.chosen()
    looked_up = set(worst[:sentence_rows]) if sentences else set()
    page = Environment(
        loader=PackageLoader("quals_jax.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    chunks: list[str] = []
    low, high = interval_of_mean(counts.scores)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        for part in page.get_template("report.html").generate(
            rows=_heads(rows, worst, marked, group_field, token_text, sentences, looked_up, chunks, outside),
            chunks=chunks,
            chunk_rows=CHUNK,
            signature=signature,
            counts=counts,
            mean=sum(counts.scores) / len(counts.scores) if counts.scores else None,
            low=low,
            high=high,
            shown=len(worst),
            threshold=marked,
            why=why,
            floor=FLOOR,
            histogram=histogram(counts.scores, reference_scores, marked),
            group_field=group_field,
            groups=place_groups(counts.groups.groups(marked)),
            has_sentences=bool(looked_up),
            has_answers=counts.answered,
            notes=notes,
        ):
            file.write(part)


@dataclass
class _Counts:
    """What the first pass gathers."""

    groups: GroupCount
    rows: int = 0
    unscored: int = 0
    cut: int = 0
    summaries_cut: int = 0
    outside: int = 0
    marked: int = 0
    answered: bool = False  # whether the documents of any row were asked
    unasked: bool = False  # whether any row tells which of its words no question asks about
    scores: array = field(default_factory=lambda: array("d"))
    lowest: array = field(default_factory=lambda: array("d"))  # per row, the lowest of its score and its spans'
    pairs: array = field(default_factory=lambda: array("f"))


def _read(rows: Rows) -> Iterator[dict]:
    if not isinstance(rows, Path):
        yield from rows
        return
    with open(rows, encoding="utf-8", newline="\n") as lines:
        yield from map(json.loads, lines)


def _totals(rows: Rows, counts: _Counts, outside: Callable[[dict], bool] | None) -> Iterator[tuple[float, int]]:
    """What rows are sorted by; those without a score come last."""
    for number, row in enumerate(_read(rows)):
        counts.rows += 1
        counts.cut += row["truncated"]
        counts.summaries_cut += row.get("summary_truncated", False)
        counts.groups.add(row)
        counts.unasked |= bool(row.get("unasked"))
        counts.answered |= any("document_answer" in pair for pair in row["pairs"])
        counts.pairs.extend(pair["score"] for pair in row["pairs"])
        if row["quals"] is None:
            counts.unscored += 1
            counts.outside += bool(outside and outside(row))
            yield math.inf, number
            continue
        counts.scores.append(row["quals"])
        if outside and outside(row):
            counts.outside += 1
            yield row["quals"], number
            continue
        counts.lowest.append(min([row["quals"], *(span["score"] for span in row.get("spans", []))]))
        yield row["quals"], number


def _heads(rows, worst, marked, group_field, token_text, sentences, looked_up, chunks, outside) -> Iterator[dict]:
    """What of each row stands in the page as text, in input order; `chunks` is filled on the way with all the rest."""
    shown, waiting, texts = set(worst), [], {}
    for number, row in enumerate(_read(rows)):
        if number not in shown:
            continue
        strange = outside is not None and outside(row)
        parts = marked_parts(row["summary"], [] if strange else row.get("spans", []), marked)
        row = row | {"pairs": _with_answers(row)}
        if number in looked_up and row["pairs"]:
            row = row | {"pairs": _with_sentences(row, sentences)}
        marks = pair_marks(row, parts, marked)
        waiting.append({"number": number, "row": _rounded(row), "marks": marks})
        texts |= {token: token_text(token) for pair in row["pairs"] for token in pair["tokens"] if token not in texts}
        if len(waiting) == CHUNK:
            chunks.append(_packed(waiting, texts))
            waiting, texts = [], {}
        bad = any(part["score"] is not None for part in parts) or (row["quals"] is not None and row["quals"] < marked)
        bad = bad and not strange
        yield {
            "number": number,
            "quals": row["quals"],
            "bad": bad,
            "parts": split_unasked(parts, row.get("unasked", []) if row["pairs"] else []),
            "facts": _facts(row),
            "worst": min(row["pairs"], key=lambda pair: pair["score"], default=None),
            "group": group_name(row.get(group_field, NONE)) if group_field else "",
        }
    if waiting:
        chunks.append(_packed(waiting, texts))


def _with_answers(row: dict) -> list[dict]:
    """The pairs, those whose document's answer stands in the document with the sentence in which it does."""
    places = None
    found = []
    for pair in row["pairs"]:
        span = pair.get("document_answer_span")
        if span and "document_sentence" not in pair:
            places = sentence_places(row["document"]) if places is None else places
            around = [place for place in places if place[0] < span[1] and span[0] < place[1]]
            pair = pair | {"document_sentence": [around[0][0], around[-1][1]] if around else span}
        found.append(pair)
    return found


def _with_sentences(row: dict, sentences: Sentences) -> list[dict]:
    missing = [pair for pair in row["pairs"] if "document_sentence" not in pair]
    found = iter(sentences(row["document"], missing) if missing else [])
    return [
        pair if "document_sentence" in pair else pair | {"document_sentence": _listed(next(found))}
        for pair in row["pairs"]
    ]


def _listed(place: tuple[int, int] | None) -> list[int] | None:
    return None if place is None else list(place)


def _rounded(row: dict) -> dict:
    """The row as the page keeps it: log-probabilities to three digits, and without those of the search."""
    pairs = []
    for pair in row["pairs"]:
        pair = {name: value for name, value in pair.items() if name != "beam_logprobs"}
        for name in ("document_logprobs", "summary_logprobs"):
            pair[name] = [round(value, 3) for value in pair[name]]
        pairs.append(pair | {"score": round(pair["score"], 4)})
    return row | {"pairs": pairs}


def _packed(rows: list[dict], texts: dict[int, str]) -> str:
    content = json.dumps({"rows": rows, "texts": texts}, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(content.encode(), 6, mtime=0)).decode()


def _facts(row: dict) -> str:
    """What stands below a summary."""
    shown = row["id"] if isinstance(row["id"], str) else json.dumps(row["id"], ensure_ascii=False)
    facts = [shown, row.get("kind"), f"{row['num_pairs']} {'question' if row['num_pairs'] == 1 else 'questions'}"]
    facts.append("document cut" if row["truncated"] else None)
    facts.append("summary cut" if row.get("summary_truncated") else None)
    facts.append(f"{row['coverage']:.0%} of its words asked about" if "coverage" in row else None)
    facts.append(f"above {row['percentile']}% of reference summaries" if "percentile" in row else None)
    return " · ".join(str(fact) for fact in facts if fact is not None)


def pair_marks(row: dict, parts: list[dict], marked: float) -> list[int | None]:
    """Per pair of the row, the number of the marked part that its answer points to."""
    marks = [(part["number"], part["place"]) for part in parts if part["score"] is not None]
    found = []
    for pair in row["pairs"]:
        place = locate(pair["answer"], row["summary"])
        mark = next((number for number, other in marks if place == other), None)
        if mark is None and pair["score"] < marked and place:
            mark = next((number for number, other in marks if _overlap(place, other)), None)
        found.append(mark)
    return found


def marked_parts(summary: str, spans: Iterable[dict], marked: float) -> list[dict]:
    """The summary in pieces, in order: plain ones, and those that answers scored below `marked` point to (worst first where they overlap)."""
    taken: list[dict] = []
    for span in spans:
        place = span["start"], span["end"]
        if span["score"] < marked and not any(_overlap(place, other["place"]) for other in taken):
            taken.append(
                {"number": len(taken), "place": place, "score": span["score"], "question": span["questions"][0]}
            )
    parts, position = [], 0
    for mark in sorted(taken, key=lambda mark: mark["place"]):
        start, end = mark["place"]
        parts += [{"text": summary[position:start], "score": None}, mark | {"text": summary[start:end]}]
        position = end
    return [part for part in [*parts, {"text": summary[position:], "score": None}] if part["text"]]


def split_unasked(parts: list[dict], places: Iterable[Sequence[int]]) -> list[dict]:
    """The parts, of which the plain ones are cut where words stand that no kept pair asks about (`unasked`)."""
    found, start = [], 0
    places = sorted(places)
    for part in parts:
        end = start + len(part["text"])
        if part["score"] is None:
            position = start
            for left, right in places:
                if position <= left and right <= end:
                    found.append({"text": part["text"][position - start : left - start], "score": None})
                    found.append({"text": part["text"][left - start : right - start], "score": None, "unasked": True})
                    position = right
            found.append({"text": part["text"][position - start :], "score": None})
        else:
            found.append(part)
        start = end
    return [part for part in found if part["text"]]


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
