"""From a block of input rows to rows of the output."""

from __future__ import annotations

import json

from quals_jax.commands.blocks import Block
from quals_jax.commands.errors import UserError


def score_block(quals, block: Block) -> list:
    """The results of a block: one for every summary, in input order."""
    tasks = [(row.document, summary) for row in block.rows for summary in row.summaries]
    return quals.score([document for document, _ in tasks], [summary for _, summary in tasks])


def output_rows(quals, block: Block, results: list) -> list[dict]:
    """The results of a block as rows of the output."""
    written, results = [], iter(results)
    for row in block.rows:
        for index, summary in enumerate(row.summaries):
            result = next(results)
            own = {"id": row.id, "summary_index": index, **result.to_json(), "spans": result.spans}
            if (percentile := quals.percentile(result.quals)) is not None:
                own["percentile"] = percentile
            own |= {"document": row.document, "summary": summary}
            written.append(own | {name: value for name, value in row.fields.items() if name not in own})
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
