"""Rows to score, as a stream: JSON, CSV, TSV, Parquet, Arrow, saved data sets, parallel files; plain, packed, or from standard input."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from quals_jax.scoring.columnar import columnar_rows, is_columnar
from quals_jax.scoring.columns import Columns, Finder
from quals_jax.scoring.files import Lines, opened, texts, unpacked_name, whole
from quals_jax.scoring.json_rows import json_rows
from quals_jax.scoring.row import Row, RowError, make_row
from quals_jax.scoring.tables import TAB, header, names_of, table_rows

__all__ = ["Row", "RowError", "read_files", "read_parallel", "read_rows", "single_row"]
USUAL = Columns()
JSON = (".jsonl", ".json", ".ndjson")


def read_rows(
    path: str,
    columns: Columns = USUAL,
    *,
    encoding: str | None = None,
    tell: Callable[[str], None] | None = None,
    start: int = 0,
) -> Iterator[Row | RowError]:
    """The rows of a file, in the form that its name says: CSV, TSV, Parquet, Arrow, a folder of `datasets`; else JSON, an object a
    line or one array. It may be packed (gzip, bzip2, xz). Where the first line is a header, what has another name (standard input: `-`) is CSV.

    columns: what document, summary and id are called. encoding: of text (UTF-8, or UTF-16 with its mark). tell: is told which columns
    were found, where they have not the usual names. start: the number of the first row.

    A bad row is yielded as an error, so that the caller may go on behind it.

    Raises:
        RowError: if the file cannot be opened, or not be read from some line on.
    """
    finder = Finder(columns, "standard input" if path == "-" else path, tell)
    for number, row in enumerate(_rows(path, finder, encoding), start):
        if start and isinstance(row, Row):
            row = replace(row, number=number, id=number if row.id == row.number else row.id)
        yield row


def _rows(path: str, finder: Finder, encoding: str | None) -> Iterator[Row | RowError]:
    if is_columnar(path):
        yield from columnar_rows(path, finder)
        return
    suffix = Path(unpacked_name(path)).suffix.lower()
    with opened(path, encoding) as lines:
        if suffix in (".tsv", ".tab"):
            yield from table_rows(lines, finder, TAB)
        elif suffix == ".csv" or (suffix not in JSON and _has_header(lines, finder.columns)):
            yield from table_rows(lines, finder)
        else:
            yield from json_rows(lines, finder)


def _has_header(lines: Lines, columns: Columns) -> bool:
    line = header(lines).strip()
    names = [] if line.startswith(("{", "[")) else names_of(line)
    return columns.found(names).missing(names) is None


def read_files(
    paths: Sequence[str], columns: Columns, *, encoding: str | None = None, tell: Callable[[str], None] | None = None
) -> Iterator[Row | RowError]:
    """The rows of several files, one after the other; numbers go on.

    Raises:
        RowError: if one cannot be read.
    """
    start = 0
    for place, path in enumerate(paths):
        for row in read_rows(path, columns, encoding=encoding, tell=tell, start=start):
            start += 1
            if isinstance(row, Row) and row.share is not None and len(paths) > 1:
                row = replace(row, share=(place + row.share) / len(paths))
            yield row


def read_parallel(documents: str, summaries: str, encoding: str | None = None) -> Iterator[Row | RowError]:
    """Rows of two files that go together line by line. A line of `summaries` is a text, or the released code's `{"summaries": [...]}`.

    Raises:
        RowError: if one file is longer than the other.
    """
    with opened(documents, encoding) as first, opened(summaries, encoding) as second:
        lines = zip_longest(texts(first), texts(second))
        for number, (document, summary) in enumerate(lines):
            if document is None or summary is None:
                short, long = (documents, summaries) if document is None else (summaries, documents)
                raise RowError(f"{short} has {number} lines, and {long} has more: they must go together line by line")
            try:
                own = {"document": whole(document)} | _summaries_of_line(whole(summary))
                places = {"document": f"{documents}, line {number + 1}", "summary": f"{summaries}, line {number + 1}"}
                yield make_row(own, number, places, first.share())
            except RowError as error:
                yield error


def single_row(document: str, summary: str) -> Iterator[Row | RowError]:
    """The one row that a command line holds."""
    try:
        yield make_row(
            {"document": document, "summary": summary}, 0, dict.fromkeys(("document", "summary"), "command line")
        )
    except RowError as error:
        yield error


def _summaries_of_line(line: str) -> dict:
    if line.lstrip().startswith("{"):
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            return {"summary": line}
        if isinstance(values, dict) and "summaries" in values:
            return {"summaries": values["summaries"]}
    return {"summary": line}
