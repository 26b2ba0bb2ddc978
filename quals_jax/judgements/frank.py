"""FRANK (Pagnoni et al. 2021): the share of consistent sentences of a summary by majority vote, kinds of error, and what metrics gave.

Rows are {"hash", "model_name", "Factuality", one field for each kind of error, "metrics": {name: score or null}}, without texts. A kind
of error is a judgement too: the share of sentences without it. A row need not have all of them.
"""

from __future__ import annotations

import math
from pathlib import Path

from quals_jax.judgements import Judged, Judgements, only_summaries
from quals_jax.judgements.rows import read_rows

FACTUALITY = "Factuality"
OTHER_FIELDS = ("hash", "model_name", "dataset", "split", "metrics", "article", "summary", "reference")


def read(path: Path, level: str) -> Judgements:
    only_summaries(path, level)
    rows = []
    for row in read_rows(path):
        human = row.numbers({name: own for name, own in row.values.items() if _judges(name, own)})
        given = row.optional("metrics", dict, {})
        document, system = row.identifier("hash"), row.identifier("model_name")
        texts = {name: row.optional(name, str, None) for name in OTHER_FIELDS[5:]}
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
    return Judgements(rows, FACTUALITY, ranked_systems=True, notes=("share of sentences without error",))


def _judges(name: str, value: object) -> bool:
    """Whether a field is a judgement: Factuality, and whatever else is a number and is not known to be something else."""
    if name == FACTUALITY or name in OTHER_FIELDS:
        return name == FACTUALITY
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
