"""FRANK (Pagnoni et al. 2021): the share of consistent sentences of a summary by majority vote, kinds of error, and what metrics gave.

Rows are {"hash", "model_name", "Factuality", one field for each kind of error, "metrics": {name: score or null}}, without texts. A kind
of error is a judgement too: the share of sentences without it.
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.judgements import Judged, Judgements, only_summaries
from quals_jax.judgements.rows import read_rows

OTHER_FIELDS = ("hash", "model_name", "dataset", "split", "metrics", "article", "summary", "reference")


def read(path: Path, level: str) -> Judgements:
    only_summaries(path, level)
    rows = []
    for row in read_rows(path):
        row.number_of("Factuality")
        human = {name: row.number_of(name) for name in row.values if name not in OTHER_FIELDS}
        given = row.get("metrics", dict)
        document, system = row.get("hash", str), row.get("model_name", str)
        texts = {name: row.get(name, str) if row.values.get(name) is not None else None for name in OTHER_FIELDS[5:]}
        rows.append(
            Judged(
                f"{document}-{system}",
                document,
                system,
                human,
                document=texts["article"],
                summary=texts["summary"],
                references=(texts["reference"],) if texts["reference"] else (),
                recorded=row.numbers(given),
            )
        )
    return Judgements(rows, "Factuality", ranked_systems=True, notes=("share of sentences without error",))
