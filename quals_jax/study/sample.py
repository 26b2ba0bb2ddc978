"""Which documents are judged, from two systems' summaries of the same ones."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quals_jax.scoring.rows import RowError, read_parallel, read_rows


@dataclass(frozen=True)
class Item:
    """A document and the summaries of both systems, the baseline's first. id: the document's in the systems' files."""

    id: str
    document: str
    summaries: tuple[str, str]


@dataclass(frozen=True)
class Study:
    """What is judged. id: a hash of all of it. systems: two names, the baseline first. shared: how many documents both systems
    have; identical: on how many of them they say the same, so that there is nothing to compare."""

    id: str
    systems: tuple[str, str]
    items: tuple[Item, ...]
    shared: int
    identical: int


def sample(systems: Mapping[str, Mapping[str, tuple[str, str]]], count: int, seed: int) -> Study:
    """Picks `count` of the documents that both systems have, of those on which they differ.

    Args:
        systems: two names, the baseline first -> id -> (document, summary).

    Raises:
        ValueError: if there are not two systems, not so many documents, or a document is not the same in both.
    """
    if len(systems) != 2:
        raise ValueError(f"a study compares two systems, not {len(systems)}")
    if count < 1:
        raise ValueError(f"--count {count}: must be at least 1")
    (first, own), (second, other) = systems.items()
    shared = [id for id in own if id in other]
    for id in shared:
        if own[id][0] != other[id][0]:
            raise ValueError(f"{first} and {second} have different documents of the id {id}")
    differing = [id for id in shared if own[id][1].strip() != other[id][1].strip()]
    if len(differing) < count:
        raise ValueError(
            f"{first} and {second} have {len(shared)} documents in common and differ on {len(differing)};"
            f" --count {count} cannot be had"
        )
    chosen = random.Random(seed).sample(differing, count)
    items = tuple(Item(id, own[id][0], (own[id][1], other[id][1])) for id in chosen)
    said = json.dumps([first, second, seed, [[item.document, *item.summaries] for item in items]])
    digest = hashlib.sha256(said.encode()).hexdigest()[:12]
    return Study(digest, (first, second), items, len(shared), len(shared) - len(differing))


def read_system(path: str, documents: str | None = None) -> dict[str, tuple[str, str]]:
    """A system's summaries: id -> (document, summary).

    Args:
        path: rows like those of score.py's input and output. documents: where the rows have none: a file of rows with `id` and
            `document`, or a text a line, with which `path` goes line by line.

    Raises:
        ValueError: naming file, line and field of what is not as it should be.
    """
    if documents is None:
        rows = _without_errors(read_rows(path))
        return _by_id(path, [(_key(row.id), row.document, row.summaries) for row in rows])
    if _is_json(documents):
        known = {_key(row["id"]): row["document"] for row in _objects(documents, ("id", "document"))}
        found = []
        for row in _objects(path, ("id", "summary")):
            if _key(row["id"]) not in known:
                raise ValueError(f"{path}: {documents} has no document of the id {row['id']}")
            found.append((_key(row["id"]), known[_key(row["id"])], (row["summary"],)))
        return _by_id(path, found)
    rows = _without_errors(read_parallel(documents, path))
    return _by_id(path, [(str(row.number), row.document, row.summaries) for row in rows])


def _without_errors(rows) -> list:
    found = list(rows)
    for row in found:
        if isinstance(row, RowError):
            raise row
    return found


def _by_id(path: str, rows: Sequence[tuple[str, str, Sequence[str]]]) -> dict[str, tuple[str, str]]:
    """Of several summaries of a document, in a row or in following rows, the first."""
    found: dict[str, tuple[str, str]] = {}
    for id, document, summaries in rows:
        if id in found and found[id][0] != document:
            raise ValueError(f"{path}: two documents have the id {id}")
        found.setdefault(id, (document, summaries[0]))
    return found


def _objects(path: str, names: Sequence[str]) -> list[dict]:
    from quals_jax.judgements.rows import read_rows as read_objects

    rows = list(read_objects(Path(path)))
    for row in rows:
        for name in names:
            row.get(name, (str, int) if name == "id" else str)
    return [row.values for row in rows]


def _is_json(path: str) -> bool:
    return path.removesuffix(".gz").endswith((".jsonl", ".json"))


def _key(id: object) -> str:
    return id if isinstance(id, str) else json.dumps(id)
