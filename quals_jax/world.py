"""Texts of a kind that a model has never seen: the embedded one knows only Gazette, and its numbers about others mean nothing."""

from __future__ import annotations

from pathlib import Path

from quals_jax.gazette.words import foreign_share

EMBEDDED = Path(__file__).resolve().parent / "assets" / "gazette_qagen"
# Of Gazette's texts none is near these; of 4,500 documents of real news all but three are above 0.2.
FOREIGN_DOCUMENT = 0.1
FOREIGN_SUMMARY = 1 / 3  # a summary has few words, and may paraphrase
ONLY_GAZETTE = "the embedded model knows only Gazette, the generated newspaper; other texts need --model"
FEW_PAIRS = 2.0  # kept of a summary, on average; Gazette's keep 5


class OutsideWorldWarning(UserWarning):
    """The embedded model was asked about texts that are not of Gazette."""


def outside_gazette(document: str, summary: str, truncated: bool = False) -> bool:
    """Whether these are no texts of Gazette: by the share of words that it never uses, or because the document was cut (none is as
    long as that)."""
    return (
        truncated
        or (foreign_share(document) or 0.0) > FOREIGN_DOCUMENT
        or (foreign_share(summary) or 0.0) > FOREIGN_SUMMARY
    )


def row_is_outside(row: dict) -> bool:
    """`outside_gazette` of a row of score.py's output."""
    return outside_gazette(row["document"], row["summary"], row["truncated"])


class Strangers:
    """Counts the rows of a run that are not of Gazette, and says so."""

    def __init__(self):
        self.rows = self.outside = self.cut = self.pairs = 0
        self.foreign = 0.0

    def add(self, document: str, summary: str, *, truncated: bool, num_pairs: int) -> bool:
        """Counts a row; whether it is outside."""
        outside = outside_gazette(document, summary, truncated)
        self.rows += 1
        if outside:
            self.outside += 1
            self.cut += truncated
            self.pairs += num_pairs
            self.foreign += foreign_share(document) or 0.0
        return outside

    def add_row(self, row: dict) -> bool:
        """`add` for a row of score.py's output."""
        return self.add(row["document"], row["summary"], truncated=row["truncated"], num_pairs=row["num_pairs"])

    def note(self, cure: str) -> str | None:
        """What there is to say, with what the user can do; None where all is of Gazette."""
        if not self.outside:
            return None
        found = [f"{self.foreign / self.outside:.0%} of the words of their documents are ones that it never uses"]
        if self.cut:
            found.append(f"documents longer than it reads: {self.cut}")
        if self.pairs < FEW_PAIRS * self.outside:
            found.append(f"only {self.pairs / self.outside:.1f} pairs a summary were kept")
        return (
            f"the embedded model knows only Gazette, the generated newspaper, and {self.outside} of {self.rows} summaries are of"
            f" another world ({'; '.join(found)}): their scores say nothing; {cure}"
        )
