"""Documents with their references, from any source of data, as rows that say where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from quals_jax import gazette
from quals_jax.data import sources


@dataclass(frozen=True)
class Document:
    """A document and its reference summary; `story` is where both come from in Gazette, where every fact is known."""

    id: str
    document: str
    reference: str
    story: gazette.Story | None = None


class Documents(Sequence):
    """The first `rows` documents of a source (0: all), made or read when they are asked for.

    Args:
        words: as in `data.train` of a configuration: `gazette:test`, `jsonl:rows.jsonl`, `tfds:xsum#test`, ...
        story_seed: of Gazette's stories. false_share, false_kinds: of Gazette's references, how many are false, and
            how (`gazette.noisy_reference`).
        folder: where tensorflow_datasets keeps its sets.
        clean: "reference" for the reference's cleaning of XSum and CNN/DailyMail, or "none".

    Raises:
        ValueError: for what is wrong with the source.
    """

    def __init__(
        self, words: str, *, rows: int = 0, story_seed: int = 0, false_share: float = 0.0, false_kinds: Sequence[str] = (),
        folder: str = "", clean: str = "reference",
    ):  # fmt: skip
        form, _, split = words.partition(":")
        self.story_seed, self.false_share, self.false_kinds = story_seed, false_share, false_kinds
        self.split = split if form == sources.GAZETTE else None
        if self.split is None:
            self.texts = sources.open_sources(words, folder=folder, clean=clean)
            self.count = min(rows or len(self.texts), len(self.texts))
            return
        if not rows:
            raise ValueError(f"{words} is endless; say how many rows of it")
        if split not in gazette.SPLITS:
            raise ValueError(f"{words}: the split must be one of {', '.join(gazette.SPLITS)}")
        self.count = rows

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < self.count:
            raise IndexError(index)
        if self.split is not None:
            story = gazette.story(self.story_seed, self.split, index)
            reference = gazette.noisy_reference(story, self.false_share, self.false_kinds)
            return Document(story.id, story.document, reference.text, story)
        text = self.texts[index]
        return Document(str(index), text.source, text.targets[0].text)

    def fingerprint(self) -> str:
        """A hash of all documents and references."""
        digest = hashlib.sha256()
        for row in self:
            for text in (row.document, row.reference):
                digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()


def scores_of(metric, documents: Sequence[str], summaries: Sequence[str], references=None) -> list[float | None]:
    """The metric's score of every summary; None also where the document is blank, as a few are in public sets: that ends no run of
    hours."""
    there = [place for place, document in enumerate(documents) if document.strip()]
    lists = [documents, summaries] + ([] if references is None else [references])
    found: list[float | None] = [None] * len(documents)
    if there:
        scored = metric.score(*([values[place] for place in there] for values in lists))
        for place, score in zip(there, scored, strict=True):
            found[place] = getattr(score, "quals", score)
    return found
