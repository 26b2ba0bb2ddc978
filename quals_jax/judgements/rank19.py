"""Sentence pairs of Falke et al. (2019): of two sentences made from one source sentence, the correct one must score higher.

Rows are {"id", "document", "correct", "incorrect"}. The same source sentence is the same document.
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.judgements import Judged, Judgements, only_summaries
from quals_jax.judgements.rows import read_rows

CORRECT = "correct"


def read(path: Path, level: str) -> Judgements:
    only_summaries(path, level)
    rows, documents = [], {}
    for row in read_rows(path):
        document, name = row.get("document", str), str(row.values.get("id", row.number))
        number = str(documents.setdefault(document, len(documents)))
        for kind, pair in ((CORRECT, None), ("incorrect", f"{name}-{CORRECT}")):
            good, text = kind == CORRECT, row.get(kind, str)
            human = {CORRECT: float(good)}
            rows.append(Judged(f"{name}-{kind}", number, kind, human, good, document, text, worse_than=pair))
    return Judgements(rows, CORRECT, notes=("1 correct, 0 not; pairs: the correct one against the other",))
