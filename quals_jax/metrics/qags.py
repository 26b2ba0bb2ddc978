"""QAGS (Wang et al., ACL 2020): questions about the summary, answered from the summary and from the document; a summary's score is how
alike the two answers are.

1. Answers: up to 10 names, numbers, dates and noun phrases of the summary.
2. Questions: for each answer, 10 by beam search from "summary [ANS] answer".
3. Kept: those that the reader answers from the summary with the answer that they were asked for, none twice, the 20 likeliest.
4. Score: the mean over these of the token F1 between the reader's answers from the summary and from the document.

`qags=GENERATOR,READER` takes other models than the embedded ones (a BART, a BERT), `qags=GENERATOR,READER,PIPELINE` and `qags=,,PIPELINE`
a pipeline of spaCy for the first step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from quals_jax import __version__
from quals_jax.asking import encode_prompts
from quals_jax.decoding.search_config import SearchConfig
from quals_jax.metrics import ONLY_GAZETTE, MetricSettings, Reference, check_lists
from quals_jax.metrics.answers import Extractor, by_rules, by_spacy, normalized, token_f1
from quals_jax.metrics.reader import NO_ANSWER, Reader
from quals_jax.seq2seq import Seq2Seq
from quals_jax.tokenizer import Tokenizer

ASSETS = Path(__file__).parents[1] / "assets"
GENERATOR, READER = ASSETS / "gazette_questions", ASSETS / "gazette_reader"


@dataclass(frozen=True)
class QagsConfig:
    """answers: candidates of a summary. beams: of the search, each of which gives a question (the article and the release's data: 10; a
    script of the release: 5). min_length, max_length: of a question, in tokens. kept: questions of a summary (the release compares with
    10 or 20). consistent: whether the reader must give the answer asked for, or only some answer. shortest: words of a question."""

    answers: int = 10
    beams: int = 10
    min_length: int = 5
    max_length: int = 40
    kept: int = 20
    consistent: bool = True
    shortest: int = 3

    def __post_init__(self):
        for name in ("answers", "beams", "kept"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be at least 1")


@dataclass(frozen=True)
class Question:
    """score: the mean log-probability of its tokens, as the search has it. answer: what it was asked for."""

    text: str
    answer: str
    score: float


@dataclass(frozen=True)
class Answered:
    """A kept question with the reader's two answers ("" for none) and their F1."""

    question: str
    summary_answer: str
    document_answer: str
    f1: float


class QuestionGenerator:
    """A BART that asks for a given answer in a text. model: its name in signatures."""

    def __init__(self, runner: Seq2Seq, tokenizer: Tokenizer, *, model: str = "model"):
        self.runner, self.tokenizer, self.model = runner, tokenizer, model

    def ask(self, texts: Sequence[str], answers: Sequence[str], config: QagsConfig) -> list[list[Question]]:
        """`beams` questions for every text and its answer, likeliest first."""
        limit = min(self.tokenizer.max_source_tokens, self.runner.config.max_positions)
        sources = encode_prompts(self.tokenizer, texts, answers, limit=limit)
        search = SearchConfig(
            num_beams=config.beams, num_groups=1, min_length=config.min_length, max_length=config.max_length
        )
        asked: list[list[Question]] = [[] for _ in sources]
        for row, found in self.runner.search(sources, search):
            for tokens, length, score in zip(found.tokens, found.lengths, found.scores, strict=True):
                if length:
                    text = self.tokenizer.decode(tokens[:length].tolist()).strip()
                    asked[row].append(Question(text, answers[row], float(score)))
        return asked


class Qags:
    """Between 0 and 1; None for a summary of which no question was kept."""

    higher_is_better = True
    uses_references = False

    def __init__(
        self, generator: QuestionGenerator, reader: Reader, *, extract: Extractor = by_rules, config: QagsConfig | None = None,
        extractor: str = "rules", note: str = "",
    ):  # fmt: skip
        self.generator, self.reader, self.extract = generator, reader, extract
        self.config, self.extractor, self.note = config or QagsConfig(), extractor, note

    @property
    def signature(self) -> str:
        own, runner = self.config, self.generator.runner
        return (
            f"generator:{self.generator.model} | reader:{self.reader.model} | answers:{self.extractor}:{own.answers}"
            f" | beams:{own.beams} | kept:{own.kept} | consistent:{own.consistent} | dtype:{runner.precision.name}"
            f" | backend:{runner.platform} | version:{__version__}"
        )

    def score(
        self, documents: Sequence[str], summaries: Sequence[str], references: Sequence[Reference] | None = None
    ) -> list[float | None]:
        answered = self.answered(documents, summaries)
        return [float(np.mean([one.f1 for one in own])) if own else None for own in answered]

    def answered(self, documents: Sequence[str], summaries: Sequence[str]) -> list[list[Answered]]:
        """The kept questions of every summary, with both answers.

        Raises:
            TypeError, ValueError: for what are no lists of texts of one length.
        """
        check_lists(documents, summaries)
        wanted = [own[: self.config.answers] for own in self.extract(summaries)]
        asked = self._ask(summaries, wanted)
        rows = [row for row, own in enumerate(asked) for _ in own]
        questions = [question for own in asked for question in own]
        given = self.reader.answer([question.text for question in questions], [summaries[row] for row in rows])
        kept: list[list[tuple[Question, str]]] = []
        start = 0
        for own in asked:
            kept.append(keep(own, given[start : start + len(own)], self.config))
            start += len(own)
        texts = [question.text for own in kept for question, _ in own]
        read = iter(self.reader.answer(texts, [documents[row] for row, own in enumerate(kept) for _ in own]))
        results = []
        for own in kept:
            found = [(question.text, answer, next(read)) for question, answer in own]
            results.append([Answered(text, first, second, token_f1(first, second)) for text, first, second in found])
        return results

    def _ask(self, summaries: Sequence[str], wanted: list[list[str]]) -> list[list[Question]]:
        """The distinct questions of every summary, whatever answer they were asked for, likeliest first."""
        rows = [row for row, own in enumerate(wanted) for _ in own]
        answers = [answer for own in wanted for answer in own]
        asked: list[list[Question]] = [[] for _ in summaries]
        for row, own in zip(
            rows, self.generator.ask([summaries[row] for row in rows], answers, self.config), strict=True
        ):
            asked[row] += [question for question in map(cleaned, own) if question]
        return [distinct(own) for own in asked]


def cleaned(question: Question) -> Question | None:
    """The question up to its first question mark; None without one."""
    text, mark, _ = question.text.partition("?")
    return Question(text.strip() + mark, question.answer, question.score) if mark else None


def distinct(questions: Sequence[Question]) -> list[Question]:
    """Sorted, likeliest first; of one question for one answer only the likeliest."""
    ordered = sorted(questions, key=lambda question: -question.score)
    found: dict[tuple[str, str], Question] = {}
    for question in ordered:
        found.setdefault((question.text, question.answer), question)
    return list(found.values())


def keep(questions: Sequence[Question], given: Sequence[str], config: QagsConfig) -> list[tuple[Question, str]]:
    """The questions that count, likeliest first, each with the reader's answer from the summary.

    As in the release, except that it fills up with questions at random where too few are left, and we do not. Dropped are questions that
    the summary does not answer, those that it answers otherwise than they were asked for (`consistent`), repeated and very short ones.
    """
    kept: dict[str, tuple[Question, str]] = {}
    pairs = sorted(zip(questions, given, strict=True), key=lambda pair: -pair[0].score)
    for question, answer in pairs:
        if len(kept) == config.kept:
            break
        if answer == NO_ANSWER or len(question.text.split()) < config.shortest or question.text in kept:
            continue
        if config.consistent and normalized(answer) != normalized(question.answer):
            continue
        kept[question.text] = (question, answer)
    return list(kept.values())


def load(argument: str | None, settings: MetricSettings) -> Qags:
    """`qags=GENERATOR,READER,PIPELINE`, each of which may be empty or left out: the embedded models (which know only Gazette), and rules.

    Raises:
        ValueError: for more than three parts, and whatever is wrong with a model.
    """
    from quals_jax.checkpoints import load_checkpoint
    from quals_jax.checkpoints.bert import load_bert
    from quals_jax.encoder import Encoder
    from quals_jax.precision import Precision

    parts = [part.strip() for part in (argument or "").split(",")]
    if len(parts) > 3:
        raise ValueError(f"qags={argument}: has {len(parts)} parts; it must be qags=GENERATOR,READER,PIPELINE")
    generator, reader, pipeline = (*parts, "", "")[:3]
    precision = Precision.of(settings.dtype)
    extract = by_spacy(pipeline) if pipeline else by_rules
    bart = load_checkpoint(
        generator or GENERATOR, tokenizer=settings.tokenizer if generator else None, dtype=settings.dtype
    )
    bert = load_bert(reader or READER, head="span", dtype=settings.dtype)
    return Qags(
        QuestionGenerator(
            Seq2Seq(bart.model, precision=precision, batch_size=settings.batch_size), bart.tokenizer,
            model=f"{bart.name}@{bart.fingerprint[:8]}",
        ),
        Reader(
            Encoder(bert.model, precision=precision, batch_size=settings.batch_size), bert.tokenizer,
            model=f"{bert.name}@{bert.fingerprint[:8]}",
        ),
        extract=extract, extractor=pipeline or "rules",
        note="" if generator and reader else ONLY_GAZETTE.format("qags").replace("MODEL", "GENERATOR,READER"),
    )  # fmt: skip
