"""Where in a document a pair comes from: the sentence in which it is likeliest."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from quals_jax.pairs import QAPair
from quals_jax.qagen import QAGen

# The end of a sentence: its mark, closing quotes, blanks, and something that can begin one; or an empty line.
_END = re.compile(r"(?<=[.!?。！？])[\"'”’»)\]]*\s+(?=[\"'“‘«(\[]*[^\Wa-z_])|\n\s*\n|(?<=[。！？])(?=\S)")
# Nats that a token counts at the least. A false answer is unlikely given every sentence, and where the model finds it a
# little less unlikely says nothing; with the floor the question decides then. Likely tokens are far above it.
LEAST = -4.0
_SHORT = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Prof|Gen|Sen|Rep|Lt|Col|vs|No)|\b[A-Z])\.$")


def sentence_places(text: str) -> list[tuple[int, int]]:
    """Start and end of each sentence, without the blanks between; titles and initials ("Dr.", "J.") end none."""
    cuts, start = [], 0
    for end in _END.finditer(text):
        last = end.start() + len(end.group().rstrip()) if end.group().strip() else end.start()
        if _SHORT.search(text[start:last]):
            continue
        cuts.append((start, last))
        start = end.end()
    cuts.append((start, len(text)))
    trimmed = []
    for start, end in cuts:
        piece = text[start:end]
        left = start + len(piece) - len(piece.lstrip())
        if piece.strip():
            trimmed.append((left, left + len(piece.strip())))
    return trimmed


def likeliest_sentences(qagen: QAGen, document: str, pairs: Sequence[QAPair]) -> list[tuple[int, int] | None]:
    """Per pair, start and end of the sentence that alone makes it likeliest; None without sentences.

    Likeliest: by the mean over tokens of the log-probability, in which a token counts `LEAST` at the least.

    The model reads each sentence by itself and scores all pairs against it: for a document of ten sentences about as much
    work as scoring ten short documents. It says where to look, not that the document supports the pair.
    """
    places = sentence_places(document)
    if not places or not pairs:
        return [None] * len(pairs)
    scored = qagen.score([document[start:end] for start, end in places], [list(pairs)] * len(places))
    means = [[float(np.maximum(logprobs, LEAST).mean()) for logprobs in own] for own in scored]  # [sentence][pair]
    return [places[max(range(len(places)), key=lambda place: means[place][pair])] for pair in range(len(pairs))]


def sentences_for_report(qagen: QAGen):
    """What `write_report(sentences=...)` wants: document and pairs as in the output's rows."""

    def find(document: str, pairs: list[dict]) -> list[tuple[int, int] | None]:
        listed = [QAPair(question=pair["question"], answer=pair["answer"], tokens=pair["tokens"]) for pair in pairs]
        return likeliest_sentences(qagen, document, listed)

    return find
