"""FIB (Tam et al. 2023): of two summaries of a document, the consistent one must score higher.

Rows are {"id", "document", "correct", "choices": [{"set", "other"}]}; `correct` is the reference, made consistent by hand. `other` is
inconsistent, except in the set `factually_consistent-model_generated`. Inconsistent ones are paired with `correct`, as in the article;
the set is the system.
"""

from __future__ import annotations

import re
from pathlib import Path

from quals_jax.judgements import Judged, Judgements, only_summaries
from quals_jax.judgements.rows import read_rows

CONSISTENCY = "consistency"
CONSISTENT_SET = "factually_consistent-model_generated"
REFERENCE_SET = "reference"
MARKS = re.compile(r"</?t>")  # around the sentences of CNN/DM's


def read(path: Path, level: str) -> Judgements:
    only_summaries(path, level)
    rows = []
    for row in read_rows(path):
        name, document = str(row.values.get("id", row.number)), row.get("document", str)
        correct: dict[str, str] = {}  # text -> id: a choice may have a reference of its own
        for place, choice in enumerate(row.objects("choices")):
            text = row.get("correct", str, of=choice if "correct" in choice else None)
            if text not in correct:
                correct[text] = f"{name}-correct-{len(correct)}" if correct else f"{name}-correct"
                rows.append(_row(correct[text], name, REFERENCE_SET, True, document, text))
            kind, other = row.get("set", str, of=choice), row.get("other", str, of=choice)
            good = kind == CONSISTENT_SET
            rows.append(_row(f"{name}-{place}", name, kind, good, document, other, None if good else correct[text]))
    return Judgements(
        rows, CONSISTENCY, notes=("1 consistent, 0 not; pairs: the reference against an inconsistent one",)
    )


def _row(id: str, document_id: str, kind: str, good: bool, document: str, text: str, pair: str | None = None) -> Judged:
    summary = " ".join(MARKS.sub(" ", text).split())
    return Judged(id, document_id, kind, {CONSISTENCY: float(good)}, good, document, summary, worse_than=pair)
