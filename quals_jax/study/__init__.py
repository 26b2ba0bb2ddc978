"""A blind study by people, as in the article: two systems' summaries side by side, better, equal or worse on three questions.

`sample` picks documents, `page` writes one self-contained page for each annotator and the key to them, `tally` reads the answers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """name: in the files of answers. title: in tables. asked: what the annotator reads."""

    name: str
    title: str
    asked: str


QUESTIONS = (
    Question("consistency", "factual consistency", "Which one says only what the document says?"),
    Question("informativeness", "informativeness", "Which one tells more of what matters in the document?"),
    Question("grammar", "grammatical correctness", "Which one has fewer mistakes of language?"),
)
