"""Rows of known sets as texts, with the cleaning of the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quals_jax.data.pairs import with_unknown
from quals_jax.data.texts import Target, Text

CLEANING = ("reference", "none")
# Page furniture of the BBC's site, left out of XSum's documents (filter level 1 of the released code).
XSUM_FURNITURE = frozenset(
    line.lower()
    for line in (
        "Share this with", "Email", "Facebook", "Messenger", "Twitter", "Pinterest", "WhatsApp", "LinkedIn",
        "Copy this link", "These are external links and will open in a new window",
    )
)  # fmt: skip
CNNDM_LINKS = ("READ", "CLICK HERE")  # how highlights begin that are links
SENTENCE_ENDS = (".", "!", "?", "'", "`", '"', "\u2019", "\u201d", ")")


def read_xsum(row: dict, clean: str = "reference") -> Text:
    """fairseq: page furniture is left out, lines are joined by spaces, a missing full stop is added to each."""
    if clean == "none":
        return Text(_decoded(row["document"]), (Target(_decoded(row["summary"])),))
    lines = [line for line in _lines(row["document"]) if line.lower() not in XSUM_FURNITURE]
    return Text(_joined(lines), (Target(_joined(_lines(row["summary"]))),))


def read_cnndm(row: dict, clean: str = "reference") -> Text:
    """fairseq: highlights that are links are left out, lines joined by spaces, a missing full stop added to each."""
    if clean == "none":
        return Text(_decoded(row["article"]), (Target(_decoded(row["highlights"])),))
    highlights = [line for line in _lines(row["highlights"]) if not line.startswith(CNNDM_LINKS)]
    return Text(_joined(_lines(row["article"])), (Target(_joined(highlights)),))


def read_squad(row: dict, unanswerable: str = "skip") -> Text:
    """One question a row, as tensorflow_datasets and datasets have it; without answers it has none in the text."""
    answers = [_decoded(answer) for answer in row["answers"]["text"]]
    targets = with_unknown(_decoded(row["question"]).strip(), answers, unanswerable)
    return Text(_decoded(row["context"]), targets, unanswered=not answers)


def row_reader(
    columns: Sequence[str], place: str, *, clean: str = "reference", unanswerable: str = "skip"
) -> Callable[[dict], Text]:
    """How rows of these columns are read.

    Raises:
        ValueError: naming the columns, if it is not known what they mean.
    """
    found = set(columns)
    if {"context", "question", "answers"} <= found:
        return lambda row: read_squad(row, unanswerable)
    if {"article", "highlights"} <= found:
        return lambda row: read_cnndm(row, clean)
    if {"document", "summary"} <= found:
        return lambda row: read_xsum(row, clean)
    raise ValueError(
        f"{place}: has the columns {', '.join(columns)}; read are document and summary, article and highlights, or"
        " context, question and answers"
    )


def _decoded(value: bytes | str) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _lines(value: bytes | str) -> list[str]:
    return [line.strip() for line in _decoded(value).splitlines() if line.strip()]


def _joined(lines: list[str]) -> str:
    return " ".join(line if line.endswith(SENTENCE_ENDS) else line + "." for line in lines)
