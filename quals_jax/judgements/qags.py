"""QAGS (Wang et al. 2020): three votes (or as many as there are), yes or no, on every sentence of a summary.

A sentence is consistent by the majority of its votes; a summary's score is the mean over its sentences. Rows are {"article",
"summary_sentences": [{"sentence", "responses": [{"response"}]}]}. There are no references.
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.judgements import Judged, Judgements
from quals_jax.judgements.rows import Row, read_rows

CONSISTENCY = "consistency"
SYSTEM = "the study's summarizer"


def read(path: Path, level: str) -> Judgements:
    rows: list[Judged] = []
    for row in read_rows(path):
        article, name = row.get("article", str), str(row.values.get("row", row.number))
        sentences = [
            (row.get("sentence", str, of=own), consistent(row, own)) for own in row.objects("summary_sentences")
        ]
        if not sentences:
            raise ValueError(f"{row.place}: field 'summary_sentences' is empty")
        if level == "sentence":
            rows += [
                Judged(f"{name}-{place}", name, SYSTEM, {CONSISTENCY: float(vote)}, vote, article, sentence)
                for place, (sentence, vote) in enumerate(sentences)
            ]
        else:
            score = sum(vote for _, vote in sentences) / len(sentences)
            summary = " ".join(sentence for sentence, _ in sentences)
            rows.append(Judged(name, name, SYSTEM, {CONSISTENCY: score}, None, article, summary))
    how = "yes by the majority of a sentence's votes"
    return Judgements(rows, CONSISTENCY, notes=(how if level == "sentence" else f"mean over sentences of: {how}",))


def consistent(row: Row, sentence: dict) -> bool:
    """What most of a sentence's votes say, however many there are; a tie is no, and a vote of null is none."""
    given = row.objects("responses", of=sentence)
    votes = [
        row.get("response", str, of=vote).strip().lower() for vote in given if vote.get("response", "") is not None
    ]
    if not votes or set(votes) - {"yes", "no"}:
        raise ValueError(f"{row.place}: field 'response' must be yes or no in every vote, and there must be a vote")
    return votes.count("yes") > len(votes) / 2
