"""From a block of input rows to rows of the output."""

from __future__ import annotations

import json

from quals_jax.errors import UserError
from quals_jax.scoring.blocks import Block
from quals_jax.scoring.rows import Row

# Every name that a field of the output can have. A field of the input of such a name, left over from an earlier run perhaps, is
# dropped, also where this run has no such field: it would be taken for this run's.
OUTPUT_FIELDS = frozenset(
    ("id", "summary_index", "quals", "num_pairs", "truncated", "pairs", "spans", "percentile", "document", "summary")
    + (
        "f1",
        "correction",
        "corrected_score",
        "edits",
        "summary_truncated",
        "coverage",
        "unasked",
        "document_answer",
        "document_answer_logprob",
        "document_answer_span",
    )
)
LATER_FIELDS = ("summary_truncated", "coverage", "unasked")  # than the first version's, so they stand last


def score_block(quals, block: Block) -> list:
    """The results of a block: one for every summary, in input order."""
    tasks = [(row.document, summary) for row in block.rows for summary in row.summaries]
    return quals.score([document for document, _ in tasks], [summary for _, summary in tasks])


def carried(row: Row) -> dict:
    """The fields of an input row that go into the output as they are."""
    return {name: value for name, value in row.fields.items() if name not in OUTPUT_FIELDS}


def output_rows(quals, block: Block, results: list, *, insist: bool = False, f1: bool = False) -> list[dict]:
    """The results of a block as rows of the output: the fields of the first version, the input's own, and those that came later.

    insist: gives percentiles also where the model knows nothing of such texts. f1: gives QUALS-F1 too.
    """
    written, results = [], iter(results)
    for row in block.rows:
        for index, summary in enumerate(row.summaries):
            result = next(results)
            values = result.to_json()
            later = {name: values.pop(name) for name in LATER_FIELDS}
            if f1:
                later["f1"] = result.f1
            own = {"id": row.id, "summary_index": index, **values, "spans": result.spans}
            percentile = None if result.outside and not insist else quals.percentile(result.quals)
            if percentile is not None:
                own["percentile"] = percentile
            written.append(own | {"document": row.document, "summary": summary} | carried(row) | later)
    return written


def as_line(row: dict) -> str:
    """The row as one line of JSON.

    Raises:
        UserError: if a number in it is none; QUALS must not be NaN.
    """
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise UserError(f"id {row['id']}: the model gives no finite numbers; are its weights damaged?") from None
