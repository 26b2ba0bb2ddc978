"""SummEdits (Laban et al. 2023): edited summaries, consistent with the document or not.

Rows are {"id", "doc", "summary", "label": 1 or true consistent, 0 or false not}.
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.judgements import Judged, Judgements, only_summaries
from quals_jax.judgements.rows import read_rows

CONSISTENCY = "consistency"
SYSTEM = "the study's editors"


def read(path: Path, level: str) -> Judgements:
    only_summaries(path, level)
    rows, documents = [], {}
    for row in read_rows(path):
        document, label = row.get("doc", str), row.values.get("label")
        label = float(label) if isinstance(label, bool) else row.number_of("label")
        if label not in (0, 1):
            raise ValueError(f"{row.place}: field 'label' is {label:g}; it must be 0 or 1")
        number = str(documents.setdefault(document, len(documents)))
        name, summary = str(row.values.get("id", row.number)), row.get("summary", str)
        rows.append(Judged(name, number, SYSTEM, {CONSISTENCY: label}, label == 1, document, summary))
    return Judgements(rows, CONSISTENCY, notes=("1 consistent, 0 not",))
