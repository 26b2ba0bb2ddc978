"""Where in a document a pair comes from: the sentence in which it is likeliest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quals_jax.pairs import QAPair
from quals_jax.qagen import QAGen
from quals_jax.sentences import sentence_places

# Nats that a token counts at the least. A false answer is unlikely given every sentence, and where the model finds it a
# little less unlikely says nothing; with the floor the question decides then. Likely tokens are far above it.
LEAST = -4.0


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
