"""Rows of tables: CSV with commas, semicolons or tabs, and TSV."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterator

from quals_jax.scoring.columns import FLAGS, Finder
from quals_jax.scoring.files import Lines, texts
from quals_jax.scoring.row import Row, RowError, make_row

TAB = "\t"
SAMPLE = 200  # lines that are looked at to see how a table was written

csv.field_size_limit(2**31 - 1)


def table_rows(lines: Lines, finder: Finder, usual: str = ",") -> Iterator[Row | RowError]:
    """The rows below a header that names the columns. `usual`: what stands between cells unless the header shows another; of TSV files
    a tab.

    In a TSV without quoted cells every line is a row: quotes are characters like others.
    """
    first, stated = header(lines), _stated(lines)
    if stated:
        lines.drop()
    delimiter = stated or delimiter_of(first, usual)
    if usual == TAB and not is_quoted(lines.peek(SAMPLE)):
        records = _plain_records(lines, delimiter)
    else:
        records = _csv_records(lines, delimiter, blanks=_has_blanks(first, delimiter))
    path = lines.path
    if (top := next(records, None)) is None:
        return
    _, names = _record(top)
    nameless = {place for place, name in enumerate(names) if not name.strip()}
    if len(nameless) > 1:
        names = [f"column {place + 1}" if place in nameless else name for place, name in enumerate(names)]
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise RowError(
            f"{path}, line 1: the header has {twice!r} {names.count(twice)} times; every column needs a name of its own"
        )
    columns = finder.of(names)
    if (missing := columns.missing(names)) is not None:
        named = ", ".join(map(repr, names)) or "none"
        raise RowError(f"{path}, line 1: the header has no column {missing!r}; it has {named}; {FLAGS}")
    number = 0
    for record in records:
        try:
            line, values = _record(record)
            if len(values) > 1 and not any(
                map(str.strip, values)
            ):  # what spreadsheets write of rows in which nothing stands
                continue
            place = f"{path}, line {line}"
            if set(range(len(values), len(names))) <= nameless:
                values += [""] * (len(names) - len(values))
            if len(values) != len(names) and (len(values) < len(names) or any(values[len(names) :])):
                raise RowError(f"{place}: has {len(values)} columns, and the header {len(names)}")
            named = dict(zip(names, values, strict=False))
            yield make_row(named, number, dict.fromkeys(("document", "summary"), place), lines.share(), columns)
        except RowError as error:
            yield error
        number += 1


def header(lines: Lines) -> str:
    """The line that names the columns, as text: the first, or the one below that which states the delimiter."""
    return _line(lines, 1 if _stated(lines) else 0)


def _stated(lines: Lines) -> str | None:
    """The delimiter that a line above the header states (`sep=;`), as Excel wants and writes it."""
    found = re.fullmatch(r'"?sep=(.)"?', _line(lines, 0).strip("\r\n"), re.IGNORECASE)
    return found[1] if found else None


def _line(lines: Lines, place: int) -> str:
    return b"".join(lines.peek(place + 1)[place : place + 1]).removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


def _has_blanks(line: str, delimiter: str) -> bool:
    """Whether a blank follows every delimiter of a header: it then belongs to no cell, and a quote may follow it."""
    return all(cell.startswith(" ") for cell in line.rstrip("\r\n").split(delimiter)[1:])


def delimiter_of(line: str, usual: str) -> str:
    """What stands between the cells of a header: a comma, a semicolon or a tab, whichever is there outside quotes most often."""
    bare = re.sub(r'"[^"]*"', "", line)
    counts = {delimiter: bare.count(delimiter) for delimiter in (usual, ",", ";", TAB)}
    return usual if usual == TAB and counts[TAB] else max(counts, key=counts.get)


def names_of(line: str) -> list[str]:
    """The columns that a header names, if it is one."""
    try:
        return next(csv.reader([line], delimiter=delimiter_of(line, ",")), [])
    except csv.Error:
        return []


def is_quoted(sample: list[bytes]) -> bool:
    """Whether a TSV has been written with quotes around cells, as spreadsheets do where a cell holds tabs, quotes or line ends.

    It is where all of the header's cells are quoted, or the quotes show that something is kept in them: a cell that is quoted whole
    and doubles the quotes inside, or has a line end or a tab in it.
    """
    if not sample or b'"' not in b"".join(sample):
        return False
    cells = sample[0].removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n").split(b"\t")
    if all(len(cell) > 1 and cell.startswith(b'"') and cell.endswith(b'"') for cell in cells):
        return True
    text = b"".join(sample).decode("utf-8", "replace")
    if len(sample) == SAMPLE:
        text = text.rpartition("\n")[0]
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=TAB, strict=True))
    except csv.Error:
        return False
    if any(record and len(record) != len(cells) for record in records):
        return False
    return any(re.search(r'["\t\n]', cell) and _quoted(cell) in text for record in records for cell in record)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _record(record: tuple[int, list[str]] | RowError) -> tuple[int, list[str]]:
    if isinstance(record, RowError):
        raise record
    return record


def _plain_records(lines: Lines, delimiter: str) -> Iterator[tuple[int, list[str]] | RowError]:
    for number, line in enumerate(texts(lines), 1 + lines.dropped):
        if line:
            yield line if isinstance(line, RowError) else (number, line.split(delimiter))


def _csv_records(lines: Lines, delimiter: str, *, blanks: bool = False) -> Iterator[tuple[int, list[str]] | RowError]:
    """The records with the number of their first line. Of a record whose quotes are wrong only that line is lost: reading goes on
    at the next, however many the parser has taken. blanks: whether those behind a delimiter are passed over."""
    settings = {"delimiter": delimiter, "strict": True, "skipinitialspace": blanks}
    path, coming, waiting, taken = lines.path, texts(lines, ends=True), deque(), []

    def feed() -> Iterator[str]:
        while (line := waiting.popleft() if waiting else next(coming, None)) is not None:
            taken.append(line)
            yield line.text if isinstance(line, RowError) else line

    reader, start = csv.reader(feed(), **settings), 1 + lines.dropped
    while True:
        try:
            values = next(reader, None)
            errors = [line for line in taken if isinstance(line, RowError)]
            if errors:
                yield errors[0]
            elif values:
                yield start, values
        except csv.Error as error:
            values = []
            yield taken[0] if isinstance(taken[0], RowError) else RowError(f"{path}, line {start}: {_told(error)}")
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
            reader = csv.reader(feed(), **settings)
        if values is None:
            return
        start += len(taken)
        taken.clear()


def _told(error: csv.Error) -> str:
    return "a quote is opened and never closed" if "end of data" in str(error) else str(error)
