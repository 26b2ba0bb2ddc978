"""Question-answer pairs of SQuAD v1.1 and NewsQA, chosen as the reference chooses them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from quals_jax.data.texts import UNKNOWN, Target, Text, by_source

NEWSQA_SPLITS = ("train", "dev", "test")


def squad(path: str | Path, *, unanswerable: str = "skip") -> list[Text]:
    """The paragraphs of a JSON file of SQuAD 1.1 or 2.0; every distinct answer text of a question makes a pair.

    A question without answers, or marked `is_impossible` (its `plausible_answers` are none), is counted in
    `Text.unanswered`, and left out ("skip") or paired with "unknown".
    fairseq: pairs are kept where the answer lies beyond the point at which the paragraph is cut.

    Raises:
        ValueError: naming the file, and the place in it that is not as it should be.
    """
    texts = []
    for number, article in enumerate(_data(path)):
        try:
            for paragraph in article["paragraphs"]:
                questions = [(_text(own["question"]).strip(), _answers(own)) for own in paragraph["qas"]]
                targets = [pair for own in questions for pair in with_unknown(*own, unanswerable)]
                unanswered = sum(not answers for _, answers in questions)
                texts.append(Text(_text(paragraph["context"]), tuple(targets), unanswered))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: article {number} is not in the layout of SQuAD: {_reason(error)}") from None
    return texts


def with_unknown(question: str, answers: Sequence[str], unanswerable: str) -> tuple[Target, ...]:
    """The pairs of one question: the answers of several annotators are often the same. Without any it is answered with "unknown",
    which the filter of QUALS drops, or left out (`unanswerable` is "unknown" or "skip")."""
    if not answers and unanswerable == "unknown":
        return (Target(question, UNKNOWN),)
    return tuple(Target(question, answer) for answer in dict.fromkeys(answers))


def question_lines(path: str | Path, *, unanswerable: str = "skip") -> list[Text]:
    """A JSONL file with a question a row: `context`, `question`, and `answer` (a text; a list; null or "" for none). Questions of one
    context come together.

    Raises:
        ValueError: naming the file, line and field of the first row that is not so.
    """
    texts = []
    for number, row in json_rows(path):
        place = f"{path}: line {number}"
        for name in ("context", "question"):
            if not isinstance(row.get(name), str):
                raise ValueError(f"{place}: {name} is missing, or no text")
        if "answer" not in row:
            raise ValueError(f"{place}: answer is missing (null: the text does not answer the question)")
        found = row["answer"] if isinstance(row["answer"], list) else [row["answer"]]
        answers = [answer for answer in found if answer not in (None, "")]
        if not all(isinstance(answer, str) for answer in answers):
            raise ValueError(f"{place}: answer is no text")
        targets = with_unknown(row["question"].strip(), answers, unanswerable)
        texts.append(Text(row["context"], targets, unanswered=not answers))
    return by_source(texts)


def json_rows(path: str | Path) -> Iterator[tuple[int, dict]]:
    """The rows of a JSONL file that are not blank, with the numbers of their lines.

    Raises:
        ValueError: naming the file and the line.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ValueError(f"{path}: line {number}: cannot be read as JSON ({error})") from None
                if not isinstance(row, dict):
                    raise ValueError(f"{path}: line {number}: is no JSON object")
                yield number, row
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 ({error.reason})") from None


def _answers(question: dict) -> list[str]:
    return [] if question.get("is_impossible") else [_text(answer["text"]) for answer in question["answers"]]


@dataclass(frozen=True)
class SquadQuestion:
    """A question of a file in SQuAD's layout. answers: each with the character at which it begins in the text; none where the file
    says that there is none."""

    text: str
    answers: tuple[tuple[str, int], ...]


def read_squad(path: str | Path) -> list[tuple[str, list[SquadQuestion]]]:
    """The paragraphs of a file in the layout of SQuAD 1.1 or 2.0 with their questions, answers in their places.

    Raises:
        ValueError: naming the file, and the article in it that is not as it should be, or an answer that does not stand where it says.
    """
    paragraphs = []
    for number, article in enumerate(_data(path)):
        try:
            for paragraph in article["paragraphs"]:
                context = _text(paragraph["context"])
                questions = []
                for own in paragraph["qas"]:
                    given = [] if own.get("is_impossible") else own["answers"]
                    answers = dict.fromkeys((_text(answer["text"]), answer["answer_start"]) for answer in given)
                    for text, start in answers:
                        if type(start) is not int or start < 0 or context[start : start + len(text)] != text:
                            raise TypeError(f"the answer {text!r} does not stand at {start!r}")
                    questions.append(SquadQuestion(_text(own["question"]).strip(), tuple(answers)))
                paragraphs.append((context, questions))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: article {number} is not in the layout of SQuAD: {_reason(error)}") from None
    return paragraphs


def newsqa(path: str | Path, split: str) -> list[Text]:
    """The stories of one split of `combined-newsqa-data-v1.json`, with the questions that have an agreed answer.

    fairseq: the story is stripped and then sliced with the offsets of the story that is not, so answers of stories
    that begin with white space are shifted; and a question is dropped whose answer ends at or after the end of what is
    left of the story.

    Raises:
        ValueError: naming the file and the story that is not as it should be, or an unknown split.
    """
    if split not in NEWSQA_SPLITS:
        raise ValueError(f"the split of {path} is {split!r}; it must be one of {', '.join(NEWSQA_SPLITS)}")
    texts = []
    for number, story in enumerate(_data(path)):
        try:
            if story["type"] != split:
                continue
            source, targets = _text(story["text"]).strip(), []
            for question in story["questions"]:
                span = question.get("consensus", {})
                if "s" in span and "q" in question:
                    answer = source[span["s"] : span["e"]].strip()
                    targets.append(Target(question["q"].strip(), answer, end=span["e"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path}: story {number} is not in the layout of NewsQA: {_reason(error)}") from None
        texts.append(Text(source, tuple(targets)))
    return texts


def _data(path: str | Path) -> list:
    try:
        with open(path, encoding="utf-8-sig") as file:
            values = json.load(file)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(values, dict) or not isinstance(values.get("data"), list):
        raise ValueError(f'{path}: holds no object with a list under "data"')
    return values["data"]


def _text(value) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _reason(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
