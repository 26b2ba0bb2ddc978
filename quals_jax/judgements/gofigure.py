"""GO FIGURE (Gabriel et al. 2021), both of its parts; the fields of a row say which.

*Graded errors*: {"id", "document", "reference", "random_summary", "entity_errors": 3 texts, "verb_errors": 3 texts}. A metric must fall
from the reference over one, two and three errors to the reference of another document, so the judgement is 0, -1, -2, -3 and -4, and these
degrees are the systems, whose means are ranked. A text in which no (further) error could be put is left out; none of the four need be there.

*Judged summaries*: {"article", "summary", "label"}, with the label factual, factually incorrect or too incoherent; the last are left out.
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.judgements import Judged, Judgements, only_summaries
from quals_jax.judgements.rows import Row, read_rows

DEGREE, FACTUAL = "degree", "factual"
ERRORS, RANDOM_TEXT = ("entity_errors", "verb_errors"), "random_summary"
USUAL = 3  # errors at most
LABELS = {"factual": True, "factually incorrect": False}
INCOHERENT = "too incoherent"
SYSTEM = "the study's summarizers"


def read(path: Path, level: str) -> Judgements:
    only_summaries(path, level)
    found = list(read_rows(path))
    if found and "label" in found[0].values:
        return _judged(found)
    counts = [len(row.optional(name, list, [])) for row in found for name in ERRORS]
    most, possible = max([USUAL, *counts]), sum(counts)
    rows = [judged for row in found for judged in _graded(row, -1.0 - most)]
    given = sum(row.values.get(RANDOM_TEXT) is not None for row in found)
    without = possible + len(found) + given - len(rows)
    note = (
        f"0 the reference, -1 to -{most} at most so many errors put in, -{most + 1} the reference of another document"
    )
    left = (f"{without} texts without a further error are left out",) if without else ()
    return Judgements(rows, DEGREE, ranked_systems=True, notes=(note, *left))


def _graded(row: Row, worst: float) -> list[Judged]:
    name, document, reference = (
        str(row.values.get("id", row.number)),
        row.get("document", str),
        row.get("reference", str),
    )
    best = f"{name}-reference"
    rows = [Judged(best, name, "reference", {DEGREE: 0.0}, True, document, reference)]
    seen = {reference}
    for kind in ERRORS:
        for degree, text in enumerate(row.optional(kind, list, []), 1):
            if not isinstance(text, str):
                raise ValueError(f"{row.place}: field {kind!r} must be a list of texts")
            if text not in seen:
                seen.add(text)
                system = f"{kind.partition('_')[0]}-{degree}"
                human = {DEGREE: -float(degree)}
                rows.append(Judged(f"{name}-{system}", name, system, human, False, document, text, worse_than=best))
    if (other := row.optional(RANDOM_TEXT, str, None)) is not None:
        rows.append(Judged(f"{name}-random", name, "random", {DEGREE: worst}, False, document, other, worse_than=best))
    return rows


def _judged(found: list[Row]) -> Judgements:
    rows, incoherent = [], 0
    for row in found:
        label = row.get("label", str).strip().lower()
        if label == INCOHERENT:
            incoherent += 1
            continue
        if label not in LABELS:
            raise ValueError(f"{row.place}: field 'label' must be one of {', '.join([*LABELS, INCOHERENT])}")
        name = str(row.values.get("id", row.number))
        summary = row.get("summary", str).replace("<br/>", " ").strip()
        human = {FACTUAL: float(LABELS[label])}
        rows.append(Judged(name, name, SYSTEM, human, LABELS[label], row.get("article", str), summary))
    notes = (f"1 factual, 0 factually incorrect; {incoherent} summaries too incoherent to judge are left out",)
    return Judgements(rows, FACTUAL, notes=notes)
