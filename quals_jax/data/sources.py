"""Which data a word of a configuration means."""

from __future__ import annotations

from collections.abc import Sequence

from quals_jax.data.pairs import newsqa, squad
from quals_jax.data.summaries import JsonLines, PreparedSet, parallel_text
from quals_jax.data.texts import Joined, Text, by_source

GAZETTE = "gazette"
FORMS = "squad:FILE, newsqa:FILE#SPLIT, tfds:NAME#SPLIT, jsonl:FILE, text:SOURCES,TARGETS or gazette:SPLIT"


def open_sources(words: str, *, folder: str = "") -> Sequence[Text]:
    """The texts of one or several sources, with spaces between them; `folder` is where tensorflow_datasets keeps its
    sets.

    Raises:
        ValueError: for an unknown form, and whatever is wrong with a file.
    """
    texts = Joined([open_source(word, folder=folder) for word in words.split()])
    if not len(texts):
        raise ValueError(f"the data {words!r} hold no texts")
    return texts


def open_source(word: str, *, folder: str = "") -> Sequence[Text]:
    """The texts of one source."""
    form, _, place = word.partition(":")
    path, _, split = place.partition("#")
    if place and form == "squad":
        return squad(place)
    if place and form == "newsqa":
        return newsqa(path, split or "train")
    if place and form == "tfds":
        prepared = PreparedSet(path, split or "train", folder)
        return by_source(prepared) if path.startswith("squad") else prepared  # there, a row is a question
    if place and form == "jsonl":
        return JsonLines(place)
    if form == "text" and place.count(",") == 1:
        return parallel_text(*place.split(","))
    raise ValueError(f"{word!r} is no source of data; it must be {FORMS}")
