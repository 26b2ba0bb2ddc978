"""One row to score: a document with its summaries, and what makes a row bad."""

from __future__ import annotations

from dataclasses import dataclass, field

from quals_jax.scoring.columns import FLAGS, Columns


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


def make_row(
    values: dict, number: int, places: dict[str, str], share: float | None = None, columns: Columns | None = None
) -> Row:
    """The row of these fields; `places` says where document and summary stand.

    Raises:
        RowError: naming place and field.
    """
    columns = columns or Columns()
    if (missing := columns.missing(values)) is not None:
        place = places["document" if missing == (columns.document or "document") else "summary"]
        also = " (or 'summaries')" if missing == "summary" and not columns.summary else ""
        there = ", ".join(repr(name) for name in list(values)[:20])
        raise RowError(
            f"{place}: has no field {missing!r}{also}; " + (f"it has {there}: {FLAGS}" if there else "it has none")
        )
    values = columns.renamed(values)
    document, place = _text(values["document"], places["document"], "document"), places["summary"]
    if not document.strip():
        raise RowError(f"{places['document']}: field 'document' is empty")
    if "summaries" in values:
        summaries = values["summaries"]
        if not isinstance(summaries, list) or not summaries:
            raise RowError(f"{place}: field 'summaries' must be a list of texts, at least one, not {kind(summaries)}")
        summaries = tuple(_text(text, place, f"summaries[{index}]") for index, text in enumerate(summaries))
    else:
        summaries = (_text(values["summary"], place, "summary"),)
    fields = {name: value for name, value in values.items() if name not in ("document", "summary", "summaries", "id")}
    return Row(number, values.get("id", number), document, summaries, fields, share)


def _text(value: object, place: str, name: str) -> str:
    if not isinstance(value, str):
        raise RowError(f"{place}: field {name!r} must be a text, not {kind(value)}")
    if "\0" in value:
        raise RowError(f"{place}: field {name!r} holds a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise RowError(f"{place}: field {name!r} holds a lone surrogate, which is no character")
    return value


def kind(value: object) -> str:
    """What JSON calls this, with its article."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number") if value != [] else "an empty list"
