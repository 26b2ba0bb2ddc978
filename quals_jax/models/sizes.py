"""Checks of sizes and ids that come from files."""

from __future__ import annotations

import dataclasses
import reprlib


def require(config, name: str, holds: bool, wanted: str) -> None:
    """Raises a ValueError that names the field, unless it `holds`."""
    if not holds:
        raise ValueError(f"{name} is {reprlib.repr(getattr(config, name))}; it must be {wanted}")


def read_fields(kind: type, values: dict) -> dict:
    """Of the contents of a `config.json` what a configuration of this kind has; keys that the model has no use for are ignored.

    Raises:
        ValueError: if a size is missing, naming all that are.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    missing = [
        name for name, field in fields.items() if field.default is dataclasses.MISSING and values.get(name) is None
    ]
    if missing:
        raise ValueError(f"the configuration lacks {', '.join(missing)}")
    return {name: value for name, value in values.items() if name in fields and value is not None}


def is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)  # Python's True is 1; a file's is not


def is_whole(value, least: int, most: int) -> bool:
    return is_number(value) and isinstance(value, int) and least <= value <= most
