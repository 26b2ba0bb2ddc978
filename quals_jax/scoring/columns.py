"""Which fields of people's files are document and summary: as they say, or by names that go together everywhere."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

# Document and summary in well-known sets and programs, the usual first. Case does not matter.
PAIRS = (
    ("document", "summary"), ("document", "summaries"), ("article", "highlights"), ("article", "summary"),
    ("article", "summary_sentences"), ("text", "summary"), ("doc", "summary"), ("source", "summary"), ("dialogue", "summary"),
    ("story", "summary"), ("content", "summary"), ("body", "summary"), ("context", "summary"), ("report", "summary"),
    ("input", "summary"), ("source", "hypothesis"), ("source", "hypo"), ("src", "hyp"), ("source", "prediction"),
    ("document", "hypothesis"), ("document", "prediction"), ("article", "prediction"), ("text", "prediction"),
    ("document", "claim"), ("doc", "claim"), ("text", "claim"), ("context", "claim"), ("premise", "hypothesis"),
    ("article", "abstract"), ("text", "highlights"), ("document", "highlights"), ("document", "generated_summary"),
    ("article", "generated_summary"), ("document", "reference"), ("document", "references"), ("article", "reference"),
    ("source", "target"), ("src", "tgt"), ("document", "target"), ("article", "headline"), ("text", "headline"),
    ("text", "title"), ("input", "output"), ("input", "target"),
)  # fmt: skip
SUMMARY_FIELDS = ("summary", "summaries")
NESTED = ("sys_summ", "summary", "text")  # where the text of a system's entry stands
FLAGS = "name the two with --document_column and --summary_column"


@dataclass(frozen=True)
class Columns:
    """The names of the fields; None where the usual ones are meant (`document`, `summary` or `summaries`, `id`)."""

    document: str | None = None
    summary: str | None = None
    id: str | None = None

    def found(self, names: Collection[str]) -> Columns:
        """These columns, those not named looked for among the names there are; the same where none go together."""
        usual = "document" in names and any(name in names for name in SUMMARY_FIELDS)
        if (self.document and self.summary) or (usual and not (self.document or self.summary)):
            return self
        there = {name.lower().strip(): name for name in reversed(list(names))}
        for document, summary in PAIRS:
            pair = self.document or there.get(document), self.summary or there.get(summary)
            if all(pair) and pair[0] != pair[1]:
                return Columns(*pair, self.id)
        return self

    def missing(self, names: Collection[str]) -> str | None:
        """The first column that is not among the names."""
        wanted = [(self.document or "document",), (self.summary,) if self.summary else SUMMARY_FIELDS]
        wanted += [(self.id,)] if self.id else []
        return next((own[0] for own in wanted if not any(name in names for name in own)), None)

    def renamed(self, values: dict) -> dict:
        """The fields of a row with the usual names; whatever else bore one of these is dropped."""
        values = dict(values)
        taken = {name: values.pop(name) for name in {self.document, self.summary, self.id} if name in values}
        if self.document:
            values.pop("document", None)
            values |= {"document": taken[self.document]} if self.document in taken else {}
        if self.summary:
            for name in SUMMARY_FIELDS:
                values.pop(name, None)
            if self.summary in taken:
                texts = texts_of(taken[self.summary])
                values["summaries" if isinstance(texts, list) else "summary"] = texts
        if self.id:
            values["id"] = taken.get(self.id)
        return values


def texts_of(value: object) -> object:
    """A summary, or a list of them, from the forms in which public sets have them; what is none of these as it is.

    Sentences with judgements (QAGS: [{"sentence": ...}, ...]) are one text; texts by system (SummEval: {"M1": {"sys_summ": ...}}) are many.
    """
    if isinstance(value, list) and value and all(isinstance(own, dict) and "sentence" in own for own in value):
        return " ".join(str(own["sentence"]) for own in value)
    if isinstance(value, dict) and value:
        entries = [
            next((own[name] for name in NESTED if name in own), None) if isinstance(own, dict) else own
            for own in value.values()
        ]
        return entries if all(isinstance(text, str) for text in entries) else value
    return value


class Finder:
    """The columns of one file, found at its first row that has them and told once."""

    def __init__(self, asked: Columns, place: str, tell: Callable[[str], None] | None = None):
        self.columns, self._asked, self._place, self._tell, self._sure = asked, asked, place, tell, False

    def of(self, names: Collection[str]) -> Columns:
        """The columns of a row, or a table, with these names."""
        if not self._sure:
            found = self._asked.found(names)
            self._sure = found.missing(names) is None
            if self._sure:
                self.columns = found
                if found != self._asked and self._tell:
                    self._tell(
                        f"{self._place}: takes {found.document!r} as the document and {found.summary!r} as the summary;"
                        " --document_column and --summary_column name others"
                    )
        return self.columns
