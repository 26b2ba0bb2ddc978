"""Which answers a summary is asked about (names, numbers, dates and noun phrases in it); and how alike two answers are."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Callable, Sequence

from quals_jax.entities import PHRASE, candidates

# Texts to the answers of each, in their order, none twice.
Extractor = Callable[[Sequence[str]], list[list[str]]]
ARTICLES = ("a", "an", "the")


def by_rules(texts: Sequence[str]) -> list[list[str]]:
    """Names, numbers and dates in the order of the text, then noun phrases: by rules, without a model."""
    found = []
    for text in texts:
        own = candidates(text)
        entities = [entity.text for entity in own if entity.kind != PHRASE]
        phrases = [entity.text for entity in own if entity.kind == PHRASE]
        found.append(list(dict.fromkeys(entities + phrases)))
    return found


def by_spacy(model: str) -> Extractor:
    """Named entities in the order of the text, then noun chunks, of a spaCy pipeline: what the release of QAGS takes.

    Raises:
        ValueError: if spaCy or the pipeline is not installed.
    """
    try:
        import spacy
    except ImportError:
        raise ValueError(
            "spaCy is not installed; install the extra [qags], or leave the extractor to the rules"
        ) from None
    try:
        pipeline = spacy.load(model)
    except (OSError, ImportError) as error:
        reason = str(error).split("\n")[0][:100]
        raise ValueError(f"spaCy has no pipeline {model!r} here; install it by that name ({reason})") from None

    def extract(texts: Sequence[str]) -> list[list[str]]:
        found = []
        for text in pipeline.pipe(texts):
            own = [entity.text for entity in text.ents] + [chunk.text for chunk in text.noun_chunks]
            found.append(list(dict.fromkeys(answer.strip() for answer in own if answer.strip())))
        return found

    return extract


def token_f1(first: str, second: str) -> float:
    """How alike two answers are, from 0 to 1: the F1 of their words, as for SQuAD. Two empty ones are alike, one is not."""
    words, others = normalized(first), normalized(second)
    if not words or not others:
        return float(words == others)
    common = sum((Counter(words) & Counter(others)).values())
    return 2 * common / (len(words) + len(others))


def normalized(answer: str) -> list[str]:
    """The words that count: lower case, without punctuation and articles."""
    plain = "".join(character for character in answer.lower() if character not in string.punctuation)
    return [word for word in plain.split() if word not in ARTICLES]
