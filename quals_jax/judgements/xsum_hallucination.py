"""XSum hallucination annotations (Maynez et al. 2020): three people (or more, where more are named) marked what the document does not
say, and whether it is a fact.

`faithful` is the mean over the annotators of the share of words outside their marks (a word counts as marked when the whole of it
is): the figure published with the data, and where there is none, as for the references, the same worked out from the marks. The label
is that most annotators marked nothing. `factual` is the share of annotators who call it a fact, whether the document says it or not;
summaries in which nothing was marked were not asked about, and are facts.

Rows are {"bbcid", "system", "summary", "spans": [{"worker", "text", "start", "end"}], "factual": {worker: yes or no}, "document": str
or null, "scores": {...}}. The system Gold is the reference, with which the others are compared.
"""

from __future__ import annotations

import re
from pathlib import Path

from quals_jax.judgements import Judged, Judgements, only_summaries
from quals_jax.judgements.rows import Row, read_rows

ANNOTATORS = 3
GOLD = "Gold"
UNKNOWN = "NULL"  # an annotator gave no answer
JUDGEMENTS_AMONG_SCORES = ("Faithful", "Factual")


def read(path: Path, level: str) -> Judgements:
    only_summaries(path, level)
    found = list(read_rows(path))
    gold = {
        str(row.values.get("bbcid")): row.values.get("summary") for row in found if row.values.get("system") == GOLD
    }
    rows = []
    for row in found:
        document, system = row.identifier("bbcid"), row.identifier("system")
        summary, marks, asked = unescaped(row.get("summary", str)), marked(row), annotators(row)
        scores = row.optional("scores", dict, {})
        published = scores.get("Faithful") is not None
        human = {"faithful": row.number_of("Faithful", of=scores) if published else faithful(summary, marks, asked)}
        if (factual := _factual(row, marks, asked)) is not None:
            human["factual"] = factual
        reference = gold.get(document)
        rows.append(
            Judged(
                f"{document}-{system}",
                document,
                system,
                human,
                label=2 * len(marks) < asked,
                document=row.optional("document", str, None),
                summary=summary,
                references=(unescaped(reference),) if reference and system != GOLD else (),
                recorded=row.numbers(scores, without=JUDGEMENTS_AMONG_SCORES),
            )
        )
    notes = (
        "share of words that no annotator marked, mean of all asked; faithful (label): most of them marked nothing",
        f"the reference of the other systems is {GOLD}, which is itself compared with none",
    )
    return Judgements(rows, "faithful", ranked_systems=True, notes=notes)


def marked(row: Row) -> dict[str, list[tuple[int, int]]]:
    """Per annotator who marked something, from where to where: offsets from 0, the end not included."""
    marks: dict[str, list[tuple[int, int]]] = {}
    for span in row.objects("spans"):
        start, end = row.number_of("start", of=span), row.number_of("end", of=span)
        marks.setdefault(row.get("worker", str, of=span), []).append((int(start) - 1, int(end) - 1))
    return marks


def annotators(row: Row) -> int:
    """How many were asked: three, or all that are named where those are more. Who marked nothing and was not asked whether it is a
    fact is not named."""
    return max(ANNOTATORS, len({*marked(row), *row.optional("factual", dict, {})}))


def unescaped(text: str) -> str:
    """The text without the backslashes before apostrophes; the marks' offsets do not count them."""
    return text.replace("\\'", "'")


def faithful(summary: str, marks: dict[str, list[tuple[int, int]]], asked: int = ANNOTATORS) -> float:
    """The share of words outside the marks, mean over the annotators who were asked."""
    words = [match.span() for match in re.finditer(r"\S+", summary)]
    inside = sum(
        any(start <= first and last <= end for start, end in own) for own in marks.values() for first, last in words
    )
    return 1 - inside / (asked * len(words)) if words else 1.0


def _factual(row: Row, marks: dict, asked: int) -> float | None:
    """The share of annotators who say yes; None where nobody could tell, or was asked."""
    given = row.optional("factual", dict, {})
    answers = [row.get(worker, str, of=given) for worker in given]
    if set(answers) - {"yes", "no", UNKNOWN}:
        raise ValueError(f"{row.place}: field 'factual' must have yes, no or {UNKNOWN} for every annotator")
    if "yes" in answers or "no" in answers:
        return answers.count("yes") / asked
    return None if marks else 1.0
