"""Blocks of input rows, the unit of work of `score.py`: read ahead of the devices, written behind them."""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from quals_jax.errors import UserError
from quals_jax.scoring.columns import Columns
from quals_jax.scoring.rows import Row, RowError, read_files, read_parallel, single_row

AT_ONCE = 2  # blocks that are worked on together
BLOCK_ROWS = 256  # unless it is said, or the devices are known


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
    """Where rows come from: one file or several (`input`), two with a text a line, or one pair of texts; and how they are taken.

    block_rows: rows of a block; None: as many as suit the devices (`batch_size.rows_together`).
    on_error: what is done at a bad row, "stop" or "skip". document_column, summary_column, id_column:
    the fields' names where they are not the usual ones. encoding: of text files.
    """

    input: str | Sequence[str] | None = None
    documents: str | None = None
    summaries: str | None = None
    document: str | None = None
    summary: str | None = None
    block_rows: int | None = None
    on_error: str = "stop"
    document_column: str | None = None
    summary_column: str | None = None
    id_column: str | None = None
    encoding: str | None = None

    @property
    def columns(self) -> Columns:
        return Columns(self.document_column, self.summary_column, self.id_column)


def read_rows(source: RowSource) -> Iterator[Row | RowError]:
    """The rows of the input, and in the place of bad ones what is wrong with them.

    Raises:
        UserError: where the input cannot be read, or has no rows.
    """
    empty = True
    try:
        if source.input is not None:
            files = [source.input] if isinstance(source.input, str) else source.input
            rows = read_files(files, source.columns, encoding=source.encoding, tell=_tell)
        elif source.documents is not None:
            rows = read_parallel(source.documents, source.summaries, source.encoding)
        else:
            rows = single_row(source.document, source.summary)
        for row in rows:
            empty = False
            yield row
    except RowError as error:
        raise UserError(error) from None
    if empty:
        place = source.documents if source.input is None else ", ".join(files)
        raise UserError(f"{place}: holds no rows")


def look_ahead(source: RowSource, rows: Iterator[Row | RowError]) -> tuple[list[Row], Iterator[Row | RowError]]:
    """The good ones among the first rows, and all rows.

    Raises:
        UserError: if there is a bad one among them (`--on_error stop`).
    """
    first = list(itertools.islice(rows, source.block_rows or BLOCK_ROWS))
    bad = next((row for row in first if isinstance(row, RowError)), None)
    if bad is not None and source.on_error == "stop":
        raise UserError(bad)
    return [row for row in first if not isinstance(row, RowError)], itertools.chain(first, rows)


def read_blocks(
    source: RowSource, shard: tuple[int, int] = (0, 1), seen=None, rows: Iterator[Row | RowError] | None = None
) -> Iterator[Block]:
    """The blocks of the input that belong to this shard, (index, count). `seen`, a hash, takes in every block, the others' too. `rows` are
    those of the input, where some of them were looked at before.

    Raises:
        UserError: at a bad row, after the blocks before it (`--on_error stop`); where the input cannot be read, or has no rows.
    """
    rows = rows or read_rows(source)
    index, count = shard
    for number in itertools.count():
        block = list(itertools.islice(rows, source.block_rows or BLOCK_ROWS))
        if not block:
            return
        wrong = [row for row in block if isinstance(row, RowError)]
        if wrong and source.on_error == "stop":
            raise UserError(wrong[0])
        read = Block(number, [row for row in block if not isinstance(row, RowError)], list(map(str, wrong)))
        if seen is not None:
            seen.update(read.fingerprint.encode())
        if number % count == index:
            yield read


def _tell(message: str) -> None:
    print(f"note: {message}", file=sys.stderr)


def run_blocks(blocks: Iterable[Block], work: Callable, write: Callable, stopped: Callable[[], bool]) -> None:
    """`write(block, work(block))` for every block, in order, until `stopped()`: while some are worked on, the next is read and the last
    is written. Two are worked on at once, so that the devices compute for one while Python makes texts of the other's ids.

    What was worked on is written even where reading the next block fails.
    """
    blocks, working, written = iter(blocks), deque(), None

    def write_oldest(written: Future | None) -> Future:
        block, done = working.popleft()
        done = done.result()
        if written is not None:
            written.result()
        return writer.submit(write, block, done)

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(AT_ONCE) as workers, ThreadPoolExecutor(1) as writer:
        coming, unread = reader.submit(next, blocks, None), None
        while not stopped():
            try:
                block = coming.result()
            except Exception as error:  # raised below, when what came before is written
                unread, block = error, None
            if block is None:
                break
            coming = reader.submit(next, blocks, None)
            working.append((block, workers.submit(work, block)))
            if len(working) == AT_ONCE:
                written = write_oldest(written)
        while working:
            written = write_oldest(written)
        if written is not None:
            written.result()
    if unread is not None:
        raise unread
