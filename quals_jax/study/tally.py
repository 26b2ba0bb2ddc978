"""What the annotators said: percentages, how far they agree, and whether the difference could be chance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from quals_jax.study import QUESTIONS

SIDES = ("left", "equal", "right")
Verdicts = Mapping[
    str, Mapping[str, int]
]  # annotator -> item -> 1: the system is better than the baseline, 0: equal, -1: worse


@dataclass(frozen=True)
class Result:
    """Of one question. better, equal, worse: shares of all judgements, of the system against the baseline. alpha: Krippendorff's,
    ordinal; None where it is undefined, as with one annotator. ahead, behind: of how many documents most annotators who saw a
    difference found it better, or worse; p: the two-sided sign test over these."""

    judgements: int
    better: float
    equal: float
    worse: float
    alpha: float | None
    documents: int
    ahead: int
    behind: int
    p: float


def read_answers(paths: Sequence[Path], key: dict) -> dict[str, dict[str, dict[str, str]]]:
    """Annotator -> item -> question -> side, as the pages saved it.

    Raises:
        ValueError: if a file cannot be read, is of another study, is the second one of an annotator, or has answers that no page
            can give.
    """
    found: dict[str, dict] = {}
    places: dict[str, Path] = {}
    names = {question.name for question in QUESTIONS}
    for path in paths:
        try:
            saved = json.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
        if not isinstance(saved, dict) or not isinstance(saved.get("answers"), dict):
            raise ValueError(f"{path}: holds no answers of a study")
        if saved.get("study") != key["study"]:
            raise ValueError(f"{path}: is of the study {saved.get('study')}, the key of {key['study']}")
        annotator = saved.get("annotator")
        if annotator not in key["baseline_left"]:
            raise ValueError(f"{path}: the key knows no annotator {annotator}")
        if annotator in found:
            raise ValueError(f"{path}: annotator {annotator} is there twice, in {places[annotator]} too; keep one")
        for item, own in saved["answers"].items():
            if item not in key["items"] or not isinstance(own, dict):
                raise ValueError(f"{path}: the key knows no item {item}")
            for question, side in own.items():
                if question not in names or side not in SIDES:
                    raise ValueError(f"{path}: item {item}: {question} is {side}; it must be one of {', '.join(SIDES)}")
        found[annotator], places[annotator] = saved["answers"], path
    return found


def verdicts(answers: Mapping[str, Mapping[str, Mapping[str, str]]], key: dict, question: str) -> Verdicts:
    """The answers to a question with the sides taken off."""
    found: dict[str, dict[str, int]] = {}
    for annotator, items in answers.items():
        found[annotator] = {}
        for item, own in items.items():
            if question in own:
                right = SIDES.index(own[question]) - 1  # 1: the one on the right is better
                found[annotator][item] = right if key["baseline_left"][annotator][item] else -right
    return found


def result(said: Verdicts) -> Result:
    """The figures of one question."""
    from scipy.stats import binomtest

    values = [value for own in said.values() for value in own.values()]
    items = sorted({item for own in said.values() for item in own})
    sums = [sum(own.get(item, 0) for own in said.values()) for item in items]
    ahead, behind = sum(total > 0 for total in sums), sum(total < 0 for total in sums)
    shares = [values.count(value) / len(values) if values else math.nan for value in (1, 0, -1)]
    p = float(binomtest(ahead, ahead + behind).pvalue) if ahead + behind else 1.0
    return Result(len(values), *shares, alpha(said), len(items), ahead, behind, p)


def alpha(said: Verdicts) -> float | None:
    """Krippendorff's alpha of ordinal answers; None where nobody shares an item with another, or all say the same.

    Raises:
        ValueError: if the package krippendorff is not installed.
    """
    try:
        import krippendorff
    except ImportError:
        raise ValueError("agreement needs the package krippendorff: pip install 'quals_jax[study]'") from None
    items = sorted({item for own in said.values() for item in own})
    table = [[own.get(item, math.nan) for item in items] for own in said.values()]
    shared = [column for column in zip(*table, strict=True) if sum(not math.isnan(value) for value in column) > 1]
    if len({value for column in shared for value in column if not math.isnan(value)}) < 2:
        return None
    return float(krippendorff.alpha(table, value_domain=[-1, 0, 1], level_of_measurement="ordinal"))


def tally(paths: Sequence[Path], key: dict) -> tuple[str, dict]:
    """The table, and its numbers: per question the fields of `Result`.

    Raises:
        ValueError: as `read_answers` does, or if there are no answers.
    """
    answers = read_answers(paths, key)
    baseline, system = key["systems"]
    found = {question.name: result(verdicts(answers, key, question.name)) for question in QUESTIONS}
    if not any(own.judgements for own in found.values()):
        raise ValueError("the files hold no answers yet")
    wide = max(len(question.title) for question in QUESTIONS) + 2
    lines = [
        f"{system} against {baseline}: {len(key['items'])} documents; answered by annotator "
        + ", ".join(f"{name} {len(own)}" for name, own in answers.items()),
        f"(of {key['shared']} documents in common, the two say the same on {key['identical']}, which were not shown)",
        "",
        f"{'':{wide}}{'better':>9}{'equal':>9}{'worse':>9}{'judgements':>12}{'alpha':>9}{'documents better : worse':>27}{'p':>9}",
    ]
    for question in QUESTIONS:
        own = found[question.name]
        cells = "".join(
            f"{share:9.1%}" if own.judgements else f"{'none':>9}" for share in (own.better, own.equal, own.worse)
        )
        agreed = "none" if own.alpha is None else f"{own.alpha:.3f}"
        p = "<0.001" if own.p < 0.001 else f"{own.p:.3f}"
        documents = f"{own.ahead} : {own.behind}"
        lines.append(f"{question.title:{wide}}{cells}{own.judgements:12}{agreed:>9}{documents:>27}{p:>9}")
    lines += [
        "",
        "alpha: Krippendorff's, ordinal; p: two-sided sign test over documents, by the majority of annotators",
    ]
    numbers = {name: {field: _known(value) for field, value in asdict(own).items()} for name, own in found.items()}
    return "\n".join(lines), {"systems": key["systems"], "annotators": list(answers), "questions": numbers}


def _known(value):
    return None if isinstance(value, float) and math.isnan(value) else value
