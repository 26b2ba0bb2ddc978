"""Sentences of documents, and which of them makes a pair likeliest."""

import numpy as np
import pytest

from quals_jax.evidence import LEAST, likeliest_sentences, sentence_places
from quals_jax.pairs import QAPair


@pytest.mark.parametrize(
    "sentences",
    [
        ["Dr. Smith met J. Doe.", "It rained!", "Did it?", "Yes."],
        ['He said "no."', '"Why?"', "Nobody knows."],
        ["The price was 4.5 crowns.", "In 2019 it was 3."],
        ["今日は雨。", "明日は晴れ。"],
        ["no end"],
        ["A headline", "A text."],
    ],
)
def test_sentences_and_their_places(sentences):
    between = "" if "。" in sentences[0] else "\n\n" if sentences[0] == "A headline" else " "
    text = f"  {between.join(sentences)}\n"
    assert [text[start:end] for start, end in sentence_places(text)] == sentences


def test_blank_texts_have_no_sentences():
    assert sentence_places(" \n ") == []


class Table:
    """Stands for a QAGen: gives the log-probabilities that stand in its table."""

    def __init__(self, table):
        self.table = table

    def score(self, documents, kept_lists):
        return [
            [np.array(self.table[text][pair.question]) for pair in kept]
            for text, kept in zip(documents, kept_lists, strict=True)
        ]


def test_a_pair_points_to_the_sentence_in_which_it_is_likeliest():
    table = {
        "A is here.": {"where": [-0.1, -1.0], "who": [-3.0, -9.0]},
        "B is there.": {"where": [-0.1, -2.0], "who": [-0.5, -20.0]},
    }
    pairs = [QAPair(name, "x", [1, 2]) for name in ("where", "who")]
    found = likeliest_sentences(Table(table), "A is here. B is there.", pairs)
    # The false answer of "who" is unlikely in both sentences: below the floor it decides nothing.
    assert found == [(0, 10), (11, 22)] and LEAST == -4.0
    assert likeliest_sentences(Table(table), " ", pairs) == [None, None]


def test_a_real_model_finds_the_sentence_that_was_written_for_the_question():
    """Gazette's questions are asked about facts; the sentence found must hold the answer more often than chance would have it."""
    from quals_jax import QAGen, gazette

    qagen = QAGen.from_pretrained()
    hits, total, chance = 0, 0, 0.0
    for story in gazette.stories(seed=3, split="test", count=4):
        pairs = []
        for question in story.questions[:3]:
            if question.answer in story.document:
                pairs.append(
                    QAPair(
                        question.question,
                        question.answer,
                        qagen.tokenizer.encode_pair(question.question, question.answer),
                    )
                )
        places = sentence_places(story.document)
        for pair, (start, end) in zip(pairs, likeliest_sentences(qagen, story.document, pairs), strict=True):
            hits += pair.answer in story.document[start:end]
            chance += np.mean([pair.answer in story.document[a:b] for a, b in places])
            total += 1
    assert total >= 10 and hits / total > 0.7 > 2 * chance / total
