"""FactCC: which probability it takes, what it reads, and how sentences make a summary's score."""

import numpy as np
import pytest

from quals_jax.checkpoints.bert import load_bert
from quals_jax.encoder import Encoder
from quals_jax.metrics import factcc, load
from quals_jax.metrics.factcc import FactCC, consistent_label
from quals_jax.sentences import sentences


@pytest.fixture(scope="module")
def metric(golden):
    found = load_bert(golden / "bert" / "labels", head="labels", tokenizer=golden / "bert" / "span")
    return FactCC(Encoder(found.model, batch_size=1), found.tokenizer)


def test_the_probability_is_that_of_the_first_label_of_document_then_sentence(metric, golden):
    """The golden rows are (question, text) pairs: taken as (document, sentence), p is the softmax of transformers' logits."""
    outputs = np.load(golden / "bert" / "outputs.npz")
    logits = outputs["label_logits"].astype(np.float64)
    wanted = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[:, 0]
    documents = ["Who won the title?", "who of Velmora?"]
    claims = ["Marlen Tolvik of Velmora took the belt on 14 March.", "the márlen, ZZZ."]
    np.testing.assert_allclose(metric.score(documents, claims), wanted, atol=1e-5)
    both = metric.sentences(documents[:1], [f"{claims[0]} T{claims[1][1:]}"])
    alone = metric.sentences(documents[:1] * 2, claims)
    np.testing.assert_allclose(both[0], [alone[0][0], alone[1][0]], atol=1e-6)
    assert metric.score(documents[:1], [f"{claims[0]} T{claims[1][1:]}"])[0] == pytest.approx(np.mean(both[0]))


def test_no_sentence_no_score(metric):
    assert metric.score(["the belt", "the belt"], ["", " \n "]) == [None, None]


def test_long_documents_lose_their_end_and_sentences_stay(metric):
    """32 positions: 29 pieces; a document of 40 and a sentence of 4 leave 25 of the document."""
    long, short = "belt " * 20, "belt " * 13
    assert metric.tokenizer.encode([long])[0].ids.__len__() == 40
    claim = "the márlen ,"
    (found, cut, other) = metric.sentences([long, "belt " * 12 + "be", "be " * 13], [claim] * 3)
    assert found == pytest.approx(cut, abs=1e-6)  # 25 pieces of the long one are these
    assert found != pytest.approx(other, abs=1e-3)
    assert short


@pytest.mark.parametrize(
    ("described", "label"),
    [
        ({}, 0),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, 0),
        ({"id2label": {"0": "INCORRECT", "1": "CORRECT"}}, 1),
        ({"id2label": {"0": "CORRECT", "1": "INCORRECT"}}, 0),
    ],
)
def test_which_label_says_consistent(described, label):
    assert consistent_label(described) == label


def test_without_a_classifier_it_asks_for_one(monkeypatch, tmp_path):
    monkeypatch.setattr(factcc, "EMBEDDED", tmp_path / "none")
    with pytest.raises(ValueError, match="name one, factcc=FOLDER"):
        load("factcc")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        (
            "Mr. Lee paid 3.5 million to the U.S. Then J. May left.",
            ["Mr. Lee paid 3.5 million to the U.S. Then J. May left."],
        ),
        ("A line\nAnother line", ["A line", "Another line"]),
        ("no end", ["no end"]),
        ("  ", []),
    ],
)
def test_sentences(text, found):
    assert sentences(text) == found
