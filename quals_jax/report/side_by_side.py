"""A page with the summaries of several systems side by side, as the article's sample figure has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

ROWS_SHOWN = 200


def write_side_by_side(path: Path, documents: Sequence[str], systems: Mapping[str, Sequence[dict]], table: str) -> None:
    """Writes a self-contained page; every text is escaped. `systems` holds per system one row of results a document.

    Raises:
        OSError: if the page cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    names = list(systems)
    facts = any("supported" in row for row in systems[names[0]])

    def spread(number: int) -> float:
        scores = [systems[name][number]["quals"] for name in names]
        scores = [score for score in scores if score is not None]
        return max(scores) - min(scores) if scores else 0.0

    order = sorted(range(len(documents)), key=lambda number: (-spread(number), number))[:ROWS_SHOWN]
    rows = [
        {
            "id": systems[names[0]][number]["id"],
            "document": documents[number],
            "systems": [{"name": name, **systems[name][number]} for name in names],
        }
        for number in order
    ]
    page = Environment(
        loader=PackageLoader("quals_jax.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = page.get_template("side_by_side.html").render(rows=rows, count=len(documents), table=table, facts=facts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
