"""Rows to score, as a stream: JSONL, CSV, TSV, parallel files; plain, gzipped, or from standard input."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import math
import os
import sys
import zlib
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO

from quals_jax.remote import RemoteError, is_url, open_binary

DEEPEST = 100  # levels of lists and objects in a row
TABLES = (".csv", ".tsv")
csv.field_size_limit(2**31 - 1)


class RowError(ValueError):
    """A row that cannot be scored; the message names file, line and field. `text`: what can be read of a line of another encoding."""

    text = ""


@dataclass(frozen=True)
class Row:
    """A document and its summaries. `fields` are the input's other fields; `number` counts rows from 0; `share` is how much of
    the input is read with this row, where that is known."""

    number: int
    id: object
    document: str
    summaries: tuple[str, ...]
    fields: dict = field(default_factory=dict)
    share: float | None = field(default=None, compare=False)


def read_rows(path: str) -> Iterator[Row | RowError]:
    """The rows of a JSONL, CSV or TSV file (by its suffix; `.gz` may follow), or of standard input (`-`, JSONL).

    In TSV every line is a row: quotes are characters like others.

    A bad row is yielded as an error, so that the caller may go on behind it.

    Raises:
        RowError: if the file cannot be opened, or not be read from some line on.
    """
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    with _opened(path) as lines:
        if suffix in TABLES:
            records = _csv_records(path, lines) if suffix == ".csv" else _tsv_records(path, lines)
            yield from _table_rows(path, records, lines)
        else:
            yield from _json_rows(path, lines)


def read_parallel(documents: str, summaries: str) -> Iterator[Row | RowError]:
    """Rows of two files that go together line by line. A line of `summaries` is a text, or the released code's `{"summaries": [...]}`.

    Raises:
        RowError: if one file is longer than the other.
    """
    with _opened(documents) as first, _opened(summaries) as second:
        lines = zip_longest(_texts(documents, first), _texts(summaries, second))
        for number, (document, summary) in enumerate(lines):
            if document is None or summary is None:
                short, long = (documents, summaries) if document is None else (summaries, documents)
                raise RowError(f"{short} has {number} lines, and {long} has more: they must go together line by line")
            try:
                own = {"document": _line(document)} | _summaries_of_line(_line(summary))
                places = {"document": f"{documents}, line {number + 1}", "summary": f"{summaries}, line {number + 1}"}
                yield _row(own, number, places, _share(first))
            except RowError as error:
                yield error


def single_row(document: str, summary: str) -> Iterator[Row | RowError]:
    """The one row that a command line holds."""
    try:
        yield _row(
            {"document": document, "summary": summary}, 0, dict.fromkeys(("document", "summary"), "command line")
        )
    except RowError as error:
        yield error


def _opened(path: str) -> BinaryIO:
    if path == "-":
        if sys.stdin is None:
            raise RowError("standard input is closed; pipe the rows in, or name a file")
        return sys.stdin.buffer
    try:
        if path.endswith(".gz"):
            return gzip.GzipFile(fileobj=open_binary(path)) if is_url(path) else gzip.open(path, "rb")
        return open_binary(path)
    except IsADirectoryError:
        raise RowError(f"{path}: is a folder; name a file in it") from None
    except OSError as error:
        raise RowError(f"{path}: {error.strerror or error}") from None
    except RemoteError as error:
        raise RowError(str(error)) from None


def _share(lines: BinaryIO) -> float | None:
    """How much of the file is read, from 0 to 1; None of a pipe. Of a packed file, as packed."""
    try:
        raw = getattr(lines, "fileobj", lines)
        return raw.tell() / max(os.fstat(raw.fileno()).st_size, 1)
    except (OSError, AttributeError):
        return None


def _texts(path: str, lines: BinaryIO, *, ends: bool = False) -> Iterator[str | RowError]:
    """The lines, without their ends unless they are wanted; in the place of one that is no UTF-8, the error."""
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not ends:
                line = line.removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                bad = RowError(f"{path}, line {number}: is not UTF-8 ({error.reason}); convert the file first")
                bad.text = line.decode("utf-8", "replace")
                yield bad
    except (OSError, EOFError, zlib.error) as error:
        raise RowError(f"{path}, after line {number}: cannot be read ({error})") from None


def _line(text: str | RowError) -> str:
    if isinstance(text, RowError):
        raise text
    return text


def _json_rows(path: str, lines: BinaryIO) -> Iterator[Row | RowError]:
    number = 0
    for line_number, line in enumerate(_texts(path, lines), 1):
        if isinstance(line, str) and not line.strip():
            continue
        place = f"{path}, line {line_number}"
        try:
            yield _row(
                _object(_line(line), place), number, dict.fromkeys(("document", "summary"), place), _share(lines)
            )
        except RowError as error:
            yield error
        number += 1


def _object(line: str, place: str) -> dict:
    try:
        values = json.loads(line, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{place}: is no JSON ({error})") from None
    if not isinstance(values, dict):
        raise RowError(f"{place}: is no JSON object but {_kind(values)}")
    if line.count("[") + line.count("{") > DEEPEST and _is_deep(values):  # Python could not write it out again
        raise RowError(f"{place}: is nested deeper than {DEEPEST} levels")
    if "\\ud" in line.lower():  # the only way to a lone surrogate, which cannot be written out again
        for name, value in values.items():
            try:
                json.dumps([name, value], ensure_ascii=False).encode("utf-8")
            except UnicodeEncodeError:
                shown = name.encode("utf-8", "backslashreplace").decode()
                raise RowError(f"{place}: field {shown!r} holds a lone surrogate, which is no character") from None
    return values


def _once(pairs: list[tuple[str, object]]) -> dict:
    """An object; json itself takes the last of two fields of one name, and says nothing."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"field {Counter(name for name, _ in pairs).most_common(1)[0][0]!r} stands there twice")
    return values


def _is_deep(values: object) -> bool:
    level = [values]
    for _ in range(DEEPEST):
        level = [own for value in level for own in (value.values() if isinstance(value, dict) else value)]
        level = [own for own in level if isinstance(own, dict | list)]
    return bool(level)


def _no_number(text: str):
    raise ValueError(f"{text} is none of JSON's numbers")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _table_rows(path: str, records: Iterator, lines: BinaryIO) -> Iterator[Row | RowError]:
    """Rows of records, (line, values) each or an error; the first names the columns."""
    _, names = _record(next(records, (1, [])))
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise RowError(
            f"{path}, line 1: the header has {twice!r} {names.count(twice)} times; every column needs a name of its own"
        )
    missing = [name for name in ("document", "summary") if name not in names]
    if missing:
        named = ", ".join(map(repr, names)) or "none"
        raise RowError(f"{path}, line 1: the header has no column {missing[0]!r}; it has {named}")
    for number, record in enumerate(records):
        try:
            line, values = _record(record)
            place = f"{path}, line {line}"
            if len(values) != len(names):
                raise RowError(f"{place}: has {len(values)} columns, and the header {len(names)}")
            named = dict(zip(names, values, strict=True))
            yield _row(named, number, dict.fromkeys(("document", "summary"), place), _share(lines))
        except RowError as error:
            yield error


def _record(record: tuple[int, list[str]] | RowError) -> tuple[int, list[str]]:
    if isinstance(record, RowError):
        raise record
    return record


def _tsv_records(path: str, lines: BinaryIO) -> Iterator[tuple[int, list[str]] | RowError]:
    for number, line in enumerate(_texts(path, lines), 1):
        if line:
            yield line if isinstance(line, RowError) else (number, line.split("\t"))


def _csv_records(path: str, lines: BinaryIO) -> Iterator[tuple[int, list[str]] | RowError]:
    """The records with the number of their first line. Of a record whose quotes are wrong only that line is lost: reading goes on
    at the next, however many the parser has taken."""
    coming, waiting, taken = _texts(path, lines, ends=True), deque(), []

    def feed() -> Iterator[str]:
        while (line := waiting.popleft() if waiting else next(coming, None)) is not None:
            taken.append(line)
            yield line.text if isinstance(line, RowError) else line

    reader, start = csv.reader(feed(), strict=True), 1
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
            reader = csv.reader(feed(), strict=True)
        if values is None:
            return
        start += len(taken)
        taken.clear()


def _told(error: csv.Error) -> str:
    return "a quote is opened and never closed" if "end of data" in str(error) else str(error)


def _summaries_of_line(line: str) -> dict:
    if line.lstrip().startswith("{"):
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            return {"summary": line}
        if isinstance(values, dict) and "summaries" in values:
            return {"summaries": values["summaries"]}
    return {"summary": line}


def _row(values: dict, number: int, places: dict[str, str], share: float | None = None) -> Row:
    """The row of these fields; `places` says where document and summary stand."""
    if "document" not in values:
        raise RowError(f"{places['document']}: has no field 'document'")
    if "summary" not in values and "summaries" not in values:
        raise RowError(f"{places['summary']}: has no field 'summary' (or 'summaries')")
    document, place = _text(values["document"], places["document"], "document"), places["summary"]
    if not document.strip():
        raise RowError(f"{places['document']}: field 'document' is empty")
    if "summaries" in values:
        summaries = values["summaries"]
        if not isinstance(summaries, list) or not summaries:
            raise RowError(f"{place}: field 'summaries' must be a list of texts, at least one, not {_kind(summaries)}")
        summaries = tuple(_text(text, place, f"summaries[{index}]") for index, text in enumerate(summaries))
    else:
        summaries = (_text(values["summary"], place, "summary"),)
    fields = {name: value for name, value in values.items() if name not in ("document", "summary", "summaries", "id")}
    return Row(number, values.get("id", number), document, summaries, fields, share)


def _text(value: object, place: str, name: str) -> str:
    if not isinstance(value, str):
        raise RowError(f"{place}: field {name!r} must be a text, not {_kind(value)}")
    if "\0" in value:
        raise RowError(f"{place}: field {name!r} holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise RowError(f"{place}: field {name!r} holds a lone surrogate, which is no character")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number") if value != [] else "an empty list"
