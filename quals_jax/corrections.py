"""Suggested corrections: words of a summary that its document does not support, replaced by what the document answers instead.

A pair that the document does not support, and whose answer is not the document's, gives an edit: where its answer stands in the summary,
and the document's answer; but for words that another pair bears out, as a question may be wrong as well. If that answer stands elsewhere
in the summary already, the two change places: a summary that says one name twice is asked less about, and scores better without being
truer. Edits are tried in every combination, and the best of the resulting summaries is suggested if it scores better; then it is asked
about in turn. It is a suggestion: what the model misreads, it corrects wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise

import numpy as np

from quals_jax.metrics.answers import normalized
from quals_jax.quals import Quals, QualsResult

MIN_PROBABILITY = 0.5
MAX_SCORE = -0.7  # of a pair that is not supported: its tokens are half as likely
MIN_GAIN = 0.05
ROUNDS = 2
MOST_TOGETHER = 4  # edits that are tried in every combination, the worst supported first


@dataclass(frozen=True)
class Edit:
    """`summary[start:end]`, which is `old`, becomes `new`. document_answer: the document's answer to the question, which is `new`, or
    what makes room for it where two change places. probability: how likely the model finds that answer. score: of the pair that asked."""

    start: int
    end: int
    old: str
    new: str
    question: str
    document_answer: str
    probability: float
    score: float

    def to_json(self) -> dict:
        return dict(vars(self))


@dataclass(frozen=True)
class Correction:
    """What is suggested for a summary. result: QUALS of the summary, with the document's answers. text: the corrected summary, None where
    nothing is suggested; corrected: QUALS of it. edits: of the summary, in its order."""

    result: QualsResult
    text: str | None = None
    corrected: QualsResult | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def quals(self) -> float | None:
        """Of the summary as it is."""
        return self.result.quals

    @property
    def corrected_quals(self) -> float | None:
        """Of the corrected summary; None where nothing is suggested."""
        return None if self.corrected is None else self.corrected.quals

    def to_json(self) -> dict:
        """The fields of the output of `python -m quals_jax correct` that stand behind those of `score.py`."""
        edits = [edit.to_json() for edit in self.edits]
        return {"correction": self.text, "corrected_score": self.corrected_quals, "edits": edits}


def correct(
    quals: Quals,
    documents: Sequence[str],
    summaries: Sequence[str],
    *,
    min_probability: float = MIN_PROBABILITY,
    max_score: float = MAX_SCORE,
    min_gain: float = MIN_GAIN,
) -> list[Correction]:
    """A suggestion for every summary, but for texts of which the embedded model knows nothing; nothing is changed anywhere.

    min_probability: of the document's answer. max_score: of a pair whose answer may be replaced. min_gain: how much the score must rise for
    every edit. Scores are QUALS, in nats per token.

    Raises:
        What `Quals.score` raises; ValueError for a probability that is none, a `max_score` above 0, or a gain below 0.
    """
    if not 0 <= min_probability <= 1:
        raise ValueError(f"min_probability is {min_probability}; it must be from 0 to 1")
    if not max_score <= 0:
        raise ValueError(f"max_score is {max_score}; it must be at most 0")
    if not min_gain >= 0:
        raise ValueError(f"min_gain is {min_gain}; it must be at least 0")
    found = [Correction(result) for result in quals.score(documents, summaries, document_answers=True)]
    going_on = [row for row, one in enumerate(found) if not one.result.outside]  # else the scores say nothing
    for _ in range(ROUNDS):
        tried = [(row, own) for row in going_on for own in further(found[row], min_probability, max_score)]
        texts = [edited(summaries[row], own) for row, own in tried]
        scored = quals.score([documents[row] for row, _ in tried], texts, document_answers=True)
        going_on = []
        options: dict[int, list[Correction]] = {}
        for (row, own), text, result in zip(tried, texts, scored, strict=True):
            options.setdefault(row, [found[row]]).append(Correction(found[row].result, text, result, own))
        for row, own in options.items():
            best = max(own, key=lambda one: _worth(one, min_gain))
            if best is not found[row]:
                going_on.append(row)
                found[row] = best
    return found


def _worth(correction: Correction, min_gain: float) -> float:
    """The score, less what every edit must gain."""
    score = (correction.corrected or correction.result).quals
    return float("-inf") if score is None else score - min_gain * len(correction.edits)


def further(correction: Correction, min_probability: float, max_score: float) -> Iterator[tuple[Edit, ...]]:
    """The edits of a correction with every combination of those that its text still calls for."""
    summary, result = correction.result.summary, correction.corrected or correction.result
    wanted = [edit for one in edits(result, min_probability, max_score) if (edit := unedited(one, correction.edits))]
    seen, kept = {result.summary}, borne_out(correction.result, max_score)
    for own in combined(wanted[:MOST_TOGETHER]):
        together = exchanged(summary, (*correction.edits, *own), kept)
        if together and (text := edited(summary, together)) not in seen:
            seen.add(text)
            yield together


def edits(result: QualsResult, min_probability: float = MIN_PROBABILITY, max_score: float = MAX_SCORE) -> list[Edit]:
    """Of every place that the document answers otherwise, the likeliest edit; those of the worst supported pairs first."""
    found: dict[tuple[int, int], Edit] = {}
    kept = borne_out(result, max_score)
    for pair in result.pairs:
        if pair.document_answer is None or alike(pair.answer, pair.document_answer):
            continue
        probability = float(np.exp(pair.document_answer_logprob))
        if probability < min_probability or pair.score > max_score:
            continue
        for place in whole_words(pair.answer, result.summary):
            new = answer = pair.document_answer.strip()
            place = grown(place, new, result.summary)
            if overlaps(place, kept):
                continue
            old = result.summary[slice(*place)]
            if old[:1].isupper() and begins_sentence(result.summary, place[0]):
                new = new[:1].upper() + new[1:]
            edit = Edit(*place, old, new, pair.question.strip(), answer, probability, pair.score)
            known = found.get(place)
            if known is None or edit.probability > known.probability:
                found[place] = edit
    return sorted(found.values(), key=lambda edit: (edit.score, edit.start))


def borne_out(result: QualsResult, max_score: float) -> list[tuple[int, int]]:
    """The places of the summary about which a pair is supported that the document answers alike."""
    good = [pair for pair in result.pairs if pair.score > max_score and pair.document_answer is not None]
    good = [pair for pair in good if alike(pair.answer, pair.document_answer)]
    return [place for pair in good for place in whole_words(pair.answer, result.summary)]


def overlaps(place: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    """Whether a place shares characters with one of the others."""
    return any(place[0] < end and start < place[1] for start, end in others)


def alike(answer: str, other: str) -> bool:
    """Whether one answer says no more than a part of the other, as a surname does of a name."""
    words, others = set(normalized(answer)), set(normalized(other))
    return words <= others or others <= words


def whole_words(answer: str, text: str) -> list[tuple[int, int]]:
    """Start and end of every place where the answer stands in the text as words or numbers of its own, whatever the case."""
    answer = re.escape(answer.strip())
    if not answer:
        return []
    found = re.finditer(rf"(?<!\w)(?<!\d[.,]){answer}(?!\w)(?![.,]\d)", text, re.IGNORECASE)
    return [match.span() for match in found]


def grown(place: tuple[int, int], new: str, text: str) -> tuple[int, int]:
    """The place with the words around it that the new ones would double: of "Zeta" in "Zeta Holdings" for "Vega Holdings" both words."""
    (start, end), words = place, new.split()
    for count in range(len(words) - 1, 0, -1):
        behind, before = " " + " ".join(words[-count:]), " ".join(words[:count]) + " "
        if text.startswith(behind, end) and not text[end + len(behind) :][:1].isalnum():
            end += len(behind)
            break
        if text.endswith(before, 0, start) and not text[: start - len(before)][-1:].isalnum():
            start -= len(before)
            break
    return start, end


def begins_sentence(text: str, place: int) -> bool:
    """Whether what stands here begins the text or a sentence of it."""
    before = text[:place].rstrip(" \t\n\"'“‘«([")
    return not before or before[-1] in ".!?。！？"


def unedited(edit: Edit, done: Sequence[Edit]) -> Edit | None:
    """An edit of a text that has edits already, as one of the text before them; None where it touches one of them."""
    moved = 0
    for one in done:
        start = one.start + moved
        if edit.end <= start:
            break
        if edit.start < start + len(one.new):
            return None
        moved += len(one.new) - len(one.old)
    return replace(edit, start=edit.start - moved, end=edit.end - moved)


def exchanged(summary: str, own: Sequence[Edit], kept: Sequence[tuple[int, int]] = ()) -> tuple[Edit, ...]:
    """The edits, in order, and where their new words stood in the summary already, the old ones, but for the places `kept`. None at all
    where some words would still stand there more often than before."""
    found = list(own)
    for edit in own:
        for start, end in whole_words(edit.new, summary):
            if not overlaps((start, end), [*kept, *((one.start, one.end) for one in found)]):
                found.append(replace(edit, start=start, end=end, old=summary[start:end], new=edit.old))
                break
    found.sort(key=lambda edit: edit.start)
    text = edited(summary, found)
    for edit in found:
        if len(whole_words(edit.new, text)) > max(1, len(whole_words(edit.new, summary))):
            return ()
    return tuple(found)


def combined(found: Sequence[Edit]) -> Iterator[tuple[Edit, ...]]:
    """Every combination of edits that do not overlap, in the order of the summary."""
    for count in range(1, len(found) + 1):
        for own in combinations(sorted(found, key=lambda edit: edit.start), count):
            if all(one.end <= other.start for one, other in pairwise(own)):
                yield own


def edited(summary: str, own: Sequence[Edit]) -> str:
    """The summary with these edits, which must be in its order."""
    parts, position = [], 0
    for edit in own:
        parts += [summary[position : edit.start], edit.new]
        position = edit.end
    return "".join([*parts, summary[position:]])


def shown(summary: str, own: Sequence[Edit]) -> str:
    """The summary with these edits as a difference of words: `[-old-]{+new+}`."""
    return edited(summary, [replace(edit, new=f"[-{edit.old}-]{{+{edit.new}+}}") for edit in own])
