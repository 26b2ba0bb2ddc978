"""A page with the summaries of several systems side by side, as the article's sample figure has them; on Gazette with the facts marked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

ROWS_SHOWN = 200


def write_side_by_side(
    path: Path, documents: Sequence[str], systems: Mapping[str, Sequence[dict]], table: str,
    overview: Sequence[Sequence[str]] = (),
) -> None:  # fmt: skip
    """Writes a self-contained page; every text is escaped. `systems` holds per system one row of results a document.

    Of many documents those are shown that a hash of their ids draws, in the order of the data: no score decides what is seen first.

    Args:
        table: all figures, as text. overview: the chief ones, a row of titles and one for every system; the table is folded away then.

    Raises:
        OSError: if the page cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    names = list(systems)
    facts = any("supported" in row for row in systems[names[0]])
    numbers = drawn([systems[names[0]][number]["id"] for number in range(len(documents))], ROWS_SHOWN)
    rows = [_row(number, documents[number], {name: systems[name][number] for name in names}) for number in numbers]
    page = Environment(
        loader=PackageLoader("quals_jax.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = page.get_template("side_by_side.html").render(
        rows=rows, count=len(documents), table=table, facts=facts, overview=overview, names=names
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def drawn(ids: Sequence, most: int) -> list[int]:
    """The numbers of at most `most` of the documents, chosen by a hash of their ids, in order."""
    key = [
        hashlib.sha256(f"{own}\0{number}".encode("utf-8", "surrogatepass")).digest() for number, own in enumerate(ids)
    ]
    return sorted(sorted(range(len(ids)), key=key.__getitem__)[:most])


def marked(summary: str, marks: Sequence[Sequence]) -> list[dict]:
    """The summary in parts: `text`, and for a fact `supported` and `slot`. Together the texts are the summary."""
    parts, position = [], 0
    for start, end, supported, slot in marks:
        if start < position:
            continue  # stands within the fact before
        parts.append({"text": summary[position:start], "slot": None})
        parts.append({"text": summary[start:end], "slot": slot, "supported": supported})
        position = end
    parts.append({"text": summary[position:], "slot": None})
    return [part for part in parts if part["text"]]


def _row(number: int, document: str, own: Mapping[str, dict]) -> dict:
    rows = list(own.values())
    scores = [row["quals"] for row in rows if row["quals"] is not None]
    silent = [not (row.get("supported") or row.get("unsupported")) for row in rows]
    return {
        "number": number,
        "id": rows[0]["id"],
        "document": document,
        "spread": max(scores) - min(scores) if scores else 0.0,
        "untrue": [place for place, row in enumerate(rows) if row.get("unsupported")],
        "silent": [place for place, none in enumerate(silent) if none],
        "broken": [place for place, row in enumerate(rows) if not row.get("well_formed", True)],
        "systems": [
            {"name": name, "silent": none, "parts": marked(row["summary"], row.get("marks", ())), **row}
            for (name, row), none in zip(own.items(), silent, strict=True)
        ],
    }
