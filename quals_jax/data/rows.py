"""Rows to score, as a stream: JSONL, CSV, TSV, parallel files; plain, gzipped, or from standard input."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

SEPARATORS = {".csv": ",", ".tsv": "\t"}
csv.field_size_limit(2**31 - 1)


class RowError(ValueError):
    """A row that cannot be scored; the message names file, line and field."""


@dataclass(frozen=True)
class Row:
    """A document and its summaries. `fields` are the input's other fields; `number` counts rows from 0."""

    number: int
    id: object
    document: str
    summaries: tuple[str, ...]
    fields: dict = field(default_factory=dict)


def read_rows(path: str) -> Iterator[Row | RowError]:
    """The rows of a JSONL, CSV or TSV file (by its suffix; `.gz` may follow), or of standard input (`-`, JSONL).

    A bad row is yielded as an error, so that the caller may go on behind it.

    Raises:
        RowError: if the file cannot be opened, or is no UTF-8 from some line on.
    """
    suffix = Path(path.removesuffix(".gz")).suffix.lower()
    with _opened(path) as lines:
        yield from _csv_rows(path, lines, SEPARATORS[suffix]) if suffix in SEPARATORS else _json_rows(path, lines)


def read_parallel(documents: str, summaries: str) -> Iterator[Row | RowError]:
    """Rows of two files that go together line by line. A line of `summaries` is a text, or the released code's `{"summaries": [...]}`.

    Raises:
        RowError: if one file is longer than the other.
    """
    with _opened(documents) as first, _opened(summaries) as second:
        for number, (document, summary) in enumerate(zip_longest(_texts(documents, first), _texts(summaries, second))):
            if document is None or summary is None:
                short, long = (documents, summaries) if document is None else (summaries, documents)
                raise RowError(f"{short} has {number} lines, and {long} has more: they must go together line by line")
            try:
                values = {"document": document, **_summaries_of_line(summary, f"{summaries}, line {number + 1}")}
                yield _row(values, number, documents, number + 1)
            except RowError as error:
                yield error


def single_row(document: str, summary: str) -> Iterator[Row | RowError]:
    """The one row that a command line holds."""
    try:
        yield _row({"document": document, "summary": summary}, 0, "the command line", None)
    except RowError as error:
        yield error


def _opened(path: str):
    if path == "-":
        return io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="\n")
    try:
        if path.endswith(".gz"):
            return gzip.open(path, "rt", encoding="utf-8-sig", newline="\n")
        return open(path, encoding="utf-8-sig", newline="\n")
    except IsADirectoryError:
        raise RowError(f"{path}: is a folder; name a file in it") from None
    except OSError as error:
        raise RowError(f"{path}: {error.strerror or error}") from None


def _texts(path: str, lines: io.TextIOBase) -> Iterator[str]:
    """The lines without their ends; what cannot be read is said with its place."""
    number = 0
    try:
        for line in lines:
            number += 1
            yield line.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise RowError(f"{path}, after line {number}: is not UTF-8 ({error.reason}); convert the file first") from None
    except (OSError, EOFError) as error:
        raise RowError(f"{path}, after line {number}: cannot be read ({error})") from None


def _json_rows(path: str, lines) -> Iterator[Row | RowError]:
    number = 0
    for line_number, line in enumerate(_texts(path, lines), 1):
        if not line.strip():
            continue
        try:
            yield _row(_object(line, path, line_number), number, path, line_number)
        except RowError as error:
            yield error
        number += 1


def _object(line: str, path: str, line_number: int) -> dict:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{path}, line {line_number}: is no JSON ({error})") from None
    if not isinstance(values, dict):
        raise RowError(f"{path}, line {line_number}: is no JSON object but {_kind(values)}")
    return values


def _csv_rows(path: str, lines, separator: str) -> Iterator[Row | RowError]:
    def raw():
        for line in _texts(path, lines):
            yield line + "\n"

    reader = csv.DictReader(raw(), delimiter=separator, strict=True)
    try:
        names = reader.fieldnames or []
        missing = [name for name in ("document", "summary") if name not in names]
        if missing:
            raise RowError(
                f"{path}, line 1: the header has no column {missing[0]!r}; it has {', '.join(map(repr, names)) or 'none'}"
            )
        for number, values in enumerate(reader):
            try:
                if None in values or None in values.values():
                    raise RowError(
                        f"{path}, line {reader.line_num}: has another number of columns than the header, {len(names)}"
                    )
                yield _row(values, number, path, reader.line_num)
            except RowError as error:
                yield error
    except csv.Error as error:
        raise RowError(f"{path}, line {reader.line_num}: {error}") from None


def _summaries_of_line(line: str, place: str) -> dict:
    if line.lstrip().startswith("{"):
        try:
            values = json.loads(line)
        except ValueError:
            return {"summary": line}
        if isinstance(values, dict) and "summaries" in values:
            return {"summaries": values["summaries"]}
    return {"summary": line}


def _row(values: dict, number: int, path: str, line_number: int | None) -> Row:
    place = path if line_number is None else f"{path}, line {line_number}"
    if "document" not in values:
        raise RowError(f"{place}: has no field 'document'")
    if "summary" not in values and "summaries" not in values:
        raise RowError(f"{place}: has no field 'summary' (or 'summaries')")
    document = _text(values["document"], place, "document")
    if not document.strip():
        raise RowError(f"{place}: field 'document' is empty")
    if "summaries" in values:
        summaries = values["summaries"]
        if not isinstance(summaries, list) or not summaries:
            raise RowError(f"{place}: field 'summaries' must be a list of texts, at least one, not {_kind(summaries)}")
        summaries = tuple(_text(text, place, f"summaries[{index}]") for index, text in enumerate(summaries))
    else:
        summaries = (_text(values["summary"], place, "summary"),)
    fields = {name: value for name, value in values.items() if name not in ("document", "summary", "summaries", "id")}
    return Row(number, values.get("id", number), document, summaries, fields)


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
