"""Which words of a summary were asked about, on cases small enough to read."""

import pytest

from quals_jax.coverage import content_words, coverage, unasked
from quals_jax.pairs import QAPair

SUMMARY = "The 37 miners of Ashwold won't strike, says O'Brien."


def pair(question, answer):
    return QAPair(question, answer, [2])


def words(summary, places):
    return [summary[start:end] for start, end in places]


def test_content_words_are_numbers_names_nouns_and_verbs():
    assert words(SUMMARY, content_words(SUMMARY)) == ["37", "miners", "Ashwold", "won't", "strike", "says", "O'Brien"]
    assert words("Él murió en Granada.", content_words("Él murió en Granada.")) == ["Él", "murió", "en", "Granada"]
    assert content_words("It is what it is.") == [] and content_words("") == []


@pytest.mark.parametrize(
    ("pairs", "left", "share"),
    [
        ([], ["37", "miners", "Ashwold", "won't", "strike", "says", "O'Brien"], 0.0),
        ([pair("How many miners?", "37")], ["Ashwold", "won't", "strike", "says", "O'Brien"], 2 / 7),
        ([pair("Where is the STRIKE?", "ashwold"), pair("Who?", "o'brien")], ["37", "miners", "won't", "says"], 3 / 7),
        ([pair("a wordless hypothesis", None)], ["37", "miners", "Ashwold", "won't", "strike", "says", "O'Brien"], 0.0),
        ([pair(SUMMARY, SUMMARY)], [], 1.0),
    ],
)
def test_a_word_is_asked_about_if_a_question_or_an_answer_has_it(pairs, left, share):
    assert words(SUMMARY, unasked(SUMMARY, pairs)) == left
    assert coverage(SUMMARY, pairs) == pytest.approx(share)


def test_parts_of_words_are_not_words():
    assert words("A man of 4.", unasked("A man of 4.", [pair("Who is German?", "14")])) == ["man", "4"]


def test_a_summary_without_content_words_leaves_nothing_unasked():
    assert coverage("So it is.", []) == 1.0
