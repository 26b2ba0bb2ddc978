"""Rows of JSON: an object a line, or one array of objects."""

from __future__ import annotations

import codecs
import json
import math
from collections import Counter
from collections.abc import Iterator

from quals_jax.scoring.columns import Finder
from quals_jax.scoring.files import Lines, texts, unpacked_name, whole
from quals_jax.scoring.row import Row, RowError, kind, make_row

DEEPEST = 100  # levels of lists and objects in a row


def json_rows(lines: Lines, finder: Finder) -> Iterator[Row | RowError]:
    """An object a line; or, where the file begins with `[` or is one `.json` object, what that holds."""
    first = b"".join(lines.peek(1)).removeprefix(codecs.BOM_UTF8).strip()
    name = unpacked_name(lines.path).lower()
    array = first.startswith(b"[") and not (first.endswith(b"]") and len(lines.peek(2)) > 1)
    # An object over many lines, or one alone, which may hold rows.
    an_object = name.endswith(".json") and first.startswith(b"{") and (not _is_whole(first) or len(lines.peek(2)) < 2)
    yield from (_array if array or an_object else _lines)(lines, finder)


def _lines(lines: Lines, finder: Finder) -> Iterator[Row | RowError]:
    number = 0
    for line_number, line in enumerate(texts(lines), 1):
        if isinstance(line, str) and not line.strip():
            continue
        place = f"{lines.path}, line {line_number}"
        try:
            values = _object(whole(line), place)
            yield make_row(
                values, number, dict.fromkeys(("document", "summary"), place), lines.share(), finder.of(values)
            )
        except RowError as error:
            yield error
        number += 1


def _array(lines: Lines, finder: Finder) -> Iterator[Row | RowError]:
    """The objects of one array, or of the only list of objects in an object. It is read whole."""
    text = "\n".join(whole(line) for line in texts(lines))
    values = _parsed(text, lines.path)
    if isinstance(values, dict):
        lists = [own for own in values.values() if isinstance(own, list) and own and isinstance(own[0], dict)]
        usual = finder.columns.found(values).missing(values) is None
        values = _of_columns(values) or (lists[0] if len(lists) == 1 and not usual else [values])
    for number, own in enumerate(values):
        place = f"{lines.path}, item {number + 1}"
        try:
            own = sound(own, place, text)
            yield make_row(
                own, number, dict.fromkeys(("document", "summary"), place), (number + 1) / len(values), finder.of(own)
            )
        except RowError as error:
            yield error


def _of_columns(values: dict) -> list[dict] | None:
    """Rows of an object of columns, each a list or an object by row, as pandas writes tables; None of another object."""
    columns = [list(own.values()) if isinstance(own, dict) else own for own in values.values()]
    if len(columns) < 2 or not all(isinstance(own, list) and len(own) == len(columns[0]) > 0 for own in columns):
        return None
    return [dict(zip(values, row, strict=True)) for row in zip(*columns, strict=True)]


def _is_whole(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _object(line: str, place: str) -> dict:
    return sound(_parsed(line, place), place, line)


def _parsed(text: str, place: str):
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{place}: is no JSON ({error})") from None


def sound(values: object, place: str, line: str | None = None) -> dict:
    """The value, which must be an object that can be written out again; `line` is the text that it was read from.

    Raises:
        RowError: naming place and field.
    """
    if not isinstance(values, dict):
        raise RowError(f"{place}: is no JSON object but {kind(values)}")
    if (line is None or line.count("[") + line.count("{") > DEEPEST) and _is_deep(
        values
    ):  # Python could not write it out again
        raise RowError(f"{place}: is nested deeper than {DEEPEST} levels")
    if line is None or "\\ud" in line.lower():  # the only way to a lone surrogate, which cannot be written out again
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
