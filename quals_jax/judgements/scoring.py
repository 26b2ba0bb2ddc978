"""Scores of judged summaries by several metrics, in blocks; with a file, a run that was stopped goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from quals_jax.judgements import Judged, Judgements
from quals_jax.judgements.columns import Column
from quals_jax.scoring.ledger import Ledger

BLOCK_ROWS = 128


@dataclass(frozen=True)
class _Block:
    rows: Sequence[Judged]
    fingerprint: str


def score(
    data: Judgements, columns: Sequence[Column], *, output: Path | None = None, arguments: dict | None = None, overwrite: bool = False,
    block_rows: int = BLOCK_ROWS, say: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, list[float | None]]:  # fmt: skip
    """Per column, the scores of all rows.

    Args:
        output: a JSONL file for one row a summary, written as blocks are done. arguments: all that shapes it, beside the rows and
            the columns' signatures. say: called after every block with the rows done and the rows there are.

    Raises:
        ValueError: what a metric raises.
        UserError: if the file belongs to another run or cannot be written.
    """
    blocks = list(_blocks(data.rows, block_rows))
    if output is None:
        lines = [line for block in _told(blocks, 0, say) for line in _scored(block, columns, data.judgement)]
        return _by_column(map(json.loads, lines), columns)
    signatures = {own.name: f"{own.signature} | compared:{own.compared}" for own in columns}
    shaped_by = {**(arguments or {}), "judgement": data.judgement, "metrics": signatures, "block_rows": block_rows}
    with contextlib.closing(Ledger(output, shaped_by, overwrite=overwrite)) as ledger:
        remaining = iter(blocks)
        ledger.check_input(remaining)
        if not ledger.finished:
            for block in _told(list(remaining), ledger.blocks * block_rows, say):
                ledger.append(_scored(block, columns, data.judgement), fingerprint=block.fingerprint)
            ledger.finish()
    with open(output, encoding="utf-8", newline="\n") as lines:
        return _by_column(map(json.loads, lines), columns)


def _blocks(rows: Sequence[Judged], block_rows: int) -> Iterator[_Block]:
    for start in range(0, len(rows), block_rows):
        own = rows[start : start + block_rows]
        said = json.dumps([astuple(row) for row in own], sort_keys=True)
        yield _Block(own, hashlib.sha256(said.encode()).hexdigest())


def _told(blocks: Sequence[_Block], done: int, say: Callable[[int, int], None]) -> Iterator[_Block]:
    of = done + sum(len(block.rows) for block in blocks)
    for block in blocks:
        yield block
        done += len(block.rows)
        say(done, of)


def _scored(block: _Block, columns: Sequence[Column], judgement: str) -> list[str]:
    scores = [column.scores(block.rows) for column in columns]
    lines = []
    for place, row in enumerate(block.rows):
        own = {column.name: scores[number][place] for number, column in enumerate(columns)}
        found = {"id": row.id, "document_id": row.document_id, "system": row.system}
        found |= {"human": row.human[judgement], "label": row.label, "scores": own}
        lines.append(json.dumps(found, ensure_ascii=False))
    return lines


def _by_column(rows: Iterator[dict], columns: Sequence[Column]) -> dict[str, list[float | None]]:
    found: dict[str, list[float | None]] = {column.name: [] for column in columns}
    for row in rows:
        for name, own in found.items():
            own.append(row["scores"][name])
    return found
