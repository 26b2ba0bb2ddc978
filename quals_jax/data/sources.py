"""Which data a word of a configuration means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from quals_jax.data.by_sentence import by_sentence
from quals_jax.data.hub_sets import hub_set
from quals_jax.data.lines import lines
from quals_jax.data.pairs import json_rows, newsqa, question_lines, squad
from quals_jax.data.summaries import JsonLines, PreparedSet, parallel_text
from quals_jax.data.texts import First, Joined, Text, by_source

GAZETTE = "gazette"
FORMS = (
    "squad:FILE, squad-sentences:FILE, newsqa:FILE#SPLIT, hf:NAME_OR_FOLDER#SPLIT, tfds:NAME#SPLIT, jsonl:FILE, lines:FILE, text:SOURCES,TARGETS or"
    " gazette:SPLIT"
)
# Blanks inside of a path are part of it: the next source begins with its form.
BETWEEN = re.compile(r"\s+(?=(?:squad|squad-sentences|newsqa|hf|tfds|jsonl|lines|text|gazette):)")


def open_sources(
    words: str, *, folder: str = "", clean: str = "reference", unanswerable: str = "skip"
) -> Sequence[Text]:
    """The texts of one or several sources, with spaces between them.

    Args:
        folder: where tensorflow_datasets keeps its sets.
        clean: "reference" for the reference's cleaning of XSum and CNN/DailyMail, or "none".
        unanswerable: "skip" questions that a text does not answer, or answer them with "unknown".

    Raises:
        ValueError: for an unknown form, and whatever is wrong with a file.
    """
    options = {"clean": clean, "unanswerable": unanswerable}
    texts = Joined([open_source(word, folder=folder, **options) for word in split_words(words)])
    if not len(texts):
        raise ValueError(f"the data {words!r} hold no texts")
    return texts


def split_words(words: str) -> list[str]:
    """The single sources of `data.train`: "jsonl:my rows.jsonl squad:x.json" are two."""
    return BETWEEN.split(words.strip())


def open_source(word: str, *, folder: str = "", clean: str = "reference", unanswerable: str = "skip") -> Sequence[Text]:
    """The texts of one source."""
    form, _, place = word.partition(":")
    path, _, split = place.rpartition("#") if "#" in place else (place, "", "")
    if place and form == "squad":
        if split.isdecimal() and not Path(place).exists():
            return First(squad(path, unanswerable=unanswerable), int(split))
        return squad(place, unanswerable=unanswerable)
    if place and form == "squad-sentences":
        return by_sentence(squad(place, unanswerable=unanswerable))
    if place and form == "lines":
        return lines(place)
    if place and form == "newsqa":
        return newsqa(path, split or "train")
    if place and form == "hf":
        return hub_set(path, split or "train", clean=clean, unanswerable=unanswerable)
    if place and form == "tfds":
        prepared = PreparedSet(path, split or "train", folder, clean=clean, unanswerable=unanswerable)
        return by_source(prepared) if path.startswith("squad") else prepared  # there, a row is a question
    if place and form == "jsonl":
        first = next(json_rows(place), (0, {}))[1]
        if "context" in first and "document" not in first:
            return question_lines(place, unanswerable=unanswerable)
        return JsonLines(place)
    if form == "text" and place.count(",") == 1:
        return parallel_text(*place.split(","))
    raise ValueError(f"{word!r} is no source of data; it must be {FORMS}")
