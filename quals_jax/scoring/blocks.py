"""Blocks of input rows, the unit of work of `score.py`: read ahead of the devices, written behind them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from quals_jax.errors import UserError
from quals_jax.scoring.rows import Row, RowError, read_parallel, read_rows, single_row


class Block(NamedTuple):
    """The good rows of a block of the input, in order, and what is wrong with the others; `number` counts blocks from 0."""

    number: int
    rows: list[Row]
    skipped: list[str]

    @property
    def fingerprint(self) -> str:
        """A hash of all that shapes the output: the rows, and what is said of the others."""
        held = [(row.id, row.document, row.summaries, row.fields) for row in self.rows]
        return hashlib.sha256(repr((held, self.skipped)).encode("utf-8", "backslashreplace")).hexdigest()


@dataclass(frozen=True)
class RowSource:
    """Where rows come from: one file (`input`), two with a text a line, or one pair of texts; and how they are taken.

    block_rows: rows of a block. on_error: what is done at a bad row, "stop" or "skip".
    """

    input: str | None = None
    documents: str | None = None
    summaries: str | None = None
    document: str | None = None
    summary: str | None = None
    block_rows: int = 256
    on_error: str = "stop"


def read_blocks(source: RowSource, shard: tuple[int, int] = (0, 1), seen=None) -> Iterator[Block]:
    """The blocks of the input that belong to this shard, (index, count). `seen`, a hash, takes in every block, the others' too.

    Raises:
        UserError: at a bad row, after the blocks before it (`--on_error stop`); where the input cannot be read, or has no rows.
    """
    if source.input is not None:
        rows = read_rows(source.input)
    elif source.documents is not None:
        rows = read_parallel(source.documents, source.summaries)
    else:
        rows = single_row(source.document, source.summary)
    index, count = shard
    try:
        for number in itertools.count():
            block = []
            for row in itertools.islice(rows, source.block_rows):
                if isinstance(row, RowError) and source.on_error == "stop":
                    raise row
                block.append(row)
            if not block:
                break
            good = [row for row in block if not isinstance(row, RowError)]
            read = Block(number, good, [str(row) for row in block if isinstance(row, RowError)])
            if seen is not None:
                seen.update(read.fingerprint.encode())
            if number % count == index:
                yield read
    except RowError as error:
        raise UserError(error) from None
    if number == 0:
        raise UserError(f"{source.input or source.documents}: holds no rows")


def run_blocks(blocks: Iterable[Block], work: Callable, write: Callable, stopped: Callable[[], bool]) -> None:
    """`write(block, work(block))` for every block, in order, until `stopped()`: while one is worked on, the next is read and the
    last is written. What was worked on is written even where reading the next block fails."""
    blocks = iter(blocks)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        coming, written = reader.submit(next, blocks, None), None
        while not stopped() and (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            done = work(block)
            if written is not None:
                written.result()
            written = writer.submit(write, block, done)
        if written is not None:
            written.result()
