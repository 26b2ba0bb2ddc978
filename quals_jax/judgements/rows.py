"""Rows of a JSONL file with their place, so that what is wrong with one can be said in one line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quals_jax.scoring.files import opened, texts, whole
from quals_jax.scoring.json_rows import sound


@dataclass(frozen=True)
class Row:
    """One line of a file. `place` names it."""

    place: str
    number: int
    values: dict

    def get(self, name: str, kind: type | tuple[type, ...], *, of: dict | None = None) -> Any:
        """A field of this row (or of the object `of` in it), which must be there and of this kind.

        Raises:
            ValueError: naming file, line and field.
        """
        values = self.values if of is None else of
        if not isinstance(values, dict) or name not in values:
            raise ValueError(f"{self.place}: has no field {name!r}")
        found = values[name]
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            raise ValueError(f"{self.place}: field {name!r} is {shown(found)}")
        return found

    def number_of(self, name: str, *, of: dict | None = None) -> float:
        """A finite number, which some of these files write as a text."""
        found = self.get(name, (int, float, str), of=of)
        try:
            value = float(found)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"{self.place}: field {name!r} is {shown(found)}, not a number")
        return value

    def identifier(self, name: str) -> str:
        """A name, which some of these files write as a whole number."""
        return str(self.get(name, (str, int)))

    def optional(self, name: str, kind: type, otherwise: Any) -> Any:
        """As `get`, and `otherwise` where the field is null or not there."""
        return otherwise if self.values.get(name) is None else self.get(name, kind)

    def numbers(self, given: dict, *, without: tuple[str, ...] = ()) -> dict[str, float]:
        """The finite numbers of an object; null and NaN say that there is none. `without`: names to pass over."""
        known = {name for name, value in given.items() if value is not None and value == value and name not in without}
        return {name: self.number_of(name, of=given) for name in given if name in known}

    def objects(self, name: str, *, of: dict | None = None) -> list[dict]:
        """A list of objects."""
        found = self.get(name, list, of=of)
        if not all(isinstance(one, dict) for one in found):
            raise ValueError(f"{self.place}: field {name!r} must be a list of objects")
        return found


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSONL file (packed ones too); empty lines are passed over.

    Raises:
        ValueError: if the file cannot be read, or a line is no JSON object or holds what is no text.
    """
    with opened(str(path)) as lines:
        for number, line in enumerate(texts(lines), 1):
            place, line = f"{path}: line {number}", whole(line)
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError):
                values = None
            if not isinstance(values, dict):
                raise ValueError(f"{place}: is no JSON object")
            yield Row(place, number - 1, sound(values, place, line))


def shown(value: object) -> str:
    """A value in an error message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:40] + "…"
