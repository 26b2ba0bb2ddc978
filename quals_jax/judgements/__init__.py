"""Summaries that people have judged, from the files of public studies: `read("qags:mturk_xsum.jsonl")`.

A format is one file in this package and one line in `FORMATS`. Files are read where they lie.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

FORMATS = {
    "qags": "quals_jax.judgements.qags",
    "frank": "quals_jax.judgements.frank",
    "summeval": "quals_jax.judgements.summeval",
    "xsum-hallucination": "quals_jax.judgements.xsum_hallucination",
    "fib": "quals_jax.judgements.fib",
    "gofigure": "quals_jax.judgements.gofigure",
    "summedits": "quals_jax.judgements.summedits",
    "rank19": "quals_jax.judgements.rank19",
}
LEVELS = ("summary", "sentence")


@dataclass(frozen=True)
class Judged:
    """One summary, or one sentence of one, and what people said of it.

    document_id: the same for all summaries of a document. system: who wrote it. human: name of the judgement -> value, more is
    better. label: consistent or not, where people were asked just that. document, summary: None where the file has no text.
    recorded: what other metrics gave it, as published with the data. worse_than: the id of the consistent summary of the same
    document beside which it must score lower.
    """

    id: str
    document_id: str
    system: str
    human: Mapping[str, float]
    label: bool | None = None
    document: str | None = None
    summary: str | None = None
    references: tuple[str, ...] = ()
    recorded: Mapping[str, float] = field(default_factory=dict)
    worse_than: str | None = None


@dataclass(frozen=True)
class Judgements:
    """What a file holds. judgement: which of the rows' `human` values counts. ranked_systems: the systems are summarizers, or
    degrees of error, whose means can be ranked. notes: what was done with the rows, one line each, to be shown."""

    rows: Sequence[Judged]
    judgement: str
    ranked_systems: bool = False
    notes: tuple[str, ...] = ()

    @property
    def human(self) -> list[float]:
        return [row.human[self.judgement] for row in self.rows]

    @property
    def labels(self) -> list[bool] | None:
        """Of all rows, or None where the judgement is not a matter of yes or no."""
        labels = [row.label for row in self.rows]
        if None not in labels:
            return labels
        values = self.human
        return [value == 1 for value in values] if set(values) <= {0, 1} else None


def read(data: str, *, level: str = "summary", judgement: str | None = None) -> Judgements:
    """The judged summaries of `FORMAT:PATH`, a file or a folder with one.

    Args:
        level: "summary", or "sentence" where the study judged sentences.
        judgement: which, of several that the study asked for; the one about factual consistency without it.

    Raises:
        ValueError: naming file, line and field of what is not as it should be.
    """
    name, _, path = data.partition(":")
    if name not in FORMATS or not path:
        close = difflib.get_close_matches(name, FORMATS, 1)
        hint = f"; did you mean {close[0]}?" if close and name not in FORMATS else ""
        raise ValueError(f"--data {data}: must be FORMAT:PATH, with one of the formats {', '.join(FORMATS)}{hint}")
    if level not in LEVELS:
        raise ValueError(f"level is {level!r}; it must be one of {', '.join(LEVELS)}")
    file = the_file(Path(path))
    found = importlib.import_module(FORMATS[name]).read(file, level)
    if not found.rows:
        raise ValueError(f"{file}: holds no judged summaries")
    wanted = judgement or found.judgement
    rows = [row for row in found.rows if wanted in row.human]
    if not rows:
        known = {name for row in found.rows for name in row.human}
        raise ValueError(f"{file}: has no judgement {wanted!r}; there are {', '.join(sorted(known)) or 'none'}")
    if judgement is not None:
        rows = [replace(row, label=None) for row in rows]
    without = len(found.rows) - len(rows)
    notes = (f"{without} rows without the judgement {wanted} are left out",) if without else ()
    return replace(found, rows=rows, judgement=wanted, notes=found.notes + notes)


def the_file(path: Path) -> Path:
    """The path, or the one `.jsonl` file of a folder.

    Raises:
        ValueError: if it is not there, or the folder has none or several.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(f"{path}: is not there")
    files = sorted(path.glob("*.jsonl"))
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "no .jsonl file"
        raise ValueError(f"{path}: has {names}; name one file")
    return files[0]


def only_summaries(path: Path, level: str) -> None:
    """Raises ValueError where sentences are asked of a study that judged whole summaries."""
    if level != "summary":
        raise ValueError(f"{path}: its judgements are of whole summaries; --level {level} is not there")
