"""Formats of pairs: how they are written and split, what is known of public models, and what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_t5 import make_tiny_t5

import quals_jax
from quals_jax.decoding.rules import as_one_event
from quals_jax.pair_formats import FORMATS, PairCodec, known_format
from quals_jax.sentencepiece import SentencePieceTokenizer

SEARCH = quals_jax.SearchConfig(num_beams=20, max_length=20)
SUMMARY = "the mayor mayor, bb a bbb a the a bridge spoke spoke to the"


@pytest.fixture(scope="module")
def qag(tmp_path_factory):
    return make_tiny_t5(tmp_path_factory.mktemp("qag") / "model")


@pytest.fixture(scope="module")
def sep(tmp_path_factory):
    return make_tiny_t5(tmp_path_factory.mktemp("sep") / "model", kind="sep")


def codec(folder, name):
    return PairCodec(FORMATS[name], SentencePieceTokenizer.from_pretrained(folder), eos_id=1)


@pytest.mark.parametrize("name", ["qag", "sep"])
def test_pairs_are_written_and_split(sep, name):
    own = codec(sep, name)
    ids = own.encode(" Who won the copa? ", "señora Núñez, Lima ")
    assert ids[-1] == 1
    assert own.split(ids) == ("Who won the copa?", "señora Núñez, Lima")
    assert own.split(ids[:-1]) == own.split(ids)  # with the end or without


def test_what_does_not_keep_the_format_is_no_pair(sep):
    own = codec(sep, "qag")
    pieces = own.tokenizer.encode_pieces
    for text in (
        "Who won?, answer: Ann",
        "question: a, answer: b, answer: c",
        "question: question: a, answer: b",
        "question: a",
    ):
        assert own.split(pieces([text])[0]) == (text, None)
    assert own.split(pieces(["question:, answer:"])[0]) == ("", "")
    own = codec(sep, "sep")
    assert own.split([*pieces(["a"])[0], 900, *pieces(["b"])[0], 900]) == ("a<sep> b<sep>", None)


def test_what_qag_demands_of_decoding(sep):
    rules, pieces = codec(sep, "qag").rules, SentencePieceTokenizer.from_pretrained(sep)
    names = [pieces._pieces.id_to_token(id) for id in rules.free]
    assert pieces.decode(rules.prefix) == "question:"
    assert {":", ","} <= {*names} and "▁a" not in names and "</s>" not in names
    assert rules.ends and all("|" in pieces._pieces.id_to_token(id) for id in rules.ends)
    assert codec(sep, "sep").rules == quals_jax.decoding.rules.Rules(separator=((900,),))


def test_the_separator_of_qag_is_found_piece_by_piece(sep):
    """However the question ends: its last piece may hold the comma."""
    rules, pieces = codec(sep, "qag").rules, SentencePieceTokenizer.from_pretrained(sep)
    last = [pieces._pieces.id_to_token(id) for id in rules.separator[0]]
    assert "," in last and all(piece.endswith(",") for piece in last)
    assert [len(ids) for ids in rules.separator[1:]] == [1] * (len(rules.separator) - 1)
    for question in ("Who won?", "a", "12", "señora)", "誰が"):
        ids = pieces.encode_pieces([f"question: {question}, answer: Lima"])[0]
        places = [
            place + len(rules.separator)
            for place in range(len(ids))
            if len(own := ids[place : place + len(rules.separator)]) == len(rules.separator)
            and all(id in wanted for id, wanted in zip(own, rules.separator, strict=True))
        ]
        assert len(places) == 1 and pieces.decode(ids[places[0] :]) == "Lima"


def test_one_event_is_the_sum_and_changes_nothing_else():
    logits = np.random.default_rng(0).normal(size=(3, 9))
    found = np.asarray(jax.nn.softmax(as_one_event(jnp.asarray(logits), (4, 7), 1)))
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(found[:, 1], expected[:, [1, 4, 7]].sum(-1), atol=1e-6)
    others = [0, 2, 3, 5, 6, 8]
    np.testing.assert_allclose(found[:, others], expected[:, others], atol=1e-6)
    assert np.all(found[:, [4, 7]] == 0)


def test_pairs_end_before_a_bar_and_their_probability_is_the_same_in_search_and_scoring(qag):
    qagen = quals_jax.QAGen.from_pretrained(qag, search=SEARCH)
    assert qagen.tokenizer.prefix == "generate question and answer: "
    (pairs,) = qagen.generate([SUMMARY])
    assert all("|" not in pair.question + (pair.answer or "") for pair in pairs)
    assert any(pair.answer is not None for pair in pairs)
    assert all(qagen.tokenizer.decode(pair.tokens).startswith("question:") for pair in pairs)
    (scored,) = qagen.score([SUMMARY], [pairs])
    for pair, logprobs in zip(pairs, scored, strict=True):
        np.testing.assert_allclose(logprobs, pair.summary_logprobs, atol=1e-4)


def test_answers_are_looked_for_in_the_summary_as_it_is_read(sep):
    own = codec(sep, "qag")
    answer = own.split(own.encode("誰が橋を建てたのか", "１２ 会社"))[1]
    summary = "会社　は１２　会社 ｶﾞ"
    assert answer not in summary and answer in own.as_read(summary)


@pytest.mark.parametrize(
    "name,wanted",
    [
        ("lmqg/t5-small-squad-qag", "qag"), ("lmqg/flan-t5-large-squad-qag", "qag"), ("lmqg/mt5-small-jaquad-qag", "qag"),
        ("vocabtrimmer/mt5-small-trimmed-ja-60000-jaquad-qag", "qag"), ("/some/where/lmqg/mt5-small-zhquad-qag/", "qag"),
        ("/home/me/t5-base-squad-qag", "qag"), ("models--lmqg--t5-small-squad-qag", "qag"),
        ("potsawee/t5-large-generation-squad-QuestionAnswer", "sep"), ("potsawee/t5-large-generation-race-QuestionAnswer", "sep"),
        ("lmqg/t5-small-squad-qg", None), ("google-t5/t5-small", None), ("model", None),
    ],
)  # fmt: skip
def test_public_models_that_are_known(name, wanted):
    assert known_format(name) == wanted


def test_a_folder_that_does_not_say_is_refused_and_can_be_told(tmp_path):
    folder = make_tiny_t5(tmp_path / "model", kind="none")
    with pytest.raises(
        ValueError, match=r"model: it is not known how this t5 .*summarizer.*--pair_format \(connector, sep, qag\)"
    ):
        quals_jax.QAGen.from_pretrained(folder)
    with pytest.raises(ValueError, match="pair_format is 'qg'; it must be one of connector, sep, qag"):
        quals_jax.QAGen.from_pretrained(folder, pair_format="qg")
    with pytest.raises(ValueError, match="format connector is of BART"):
        quals_jax.QAGen.from_pretrained(folder, pair_format="connector")
    with pytest.raises(ValueError, match="format sep needs a sep_token, and the tokenizer has none"):
        quals_jax.QAGen.from_pretrained(folder, pair_format="sep")
    told = quals_jax.QAGen.from_pretrained(folder, pair_format="qag")
    assert " | format:qag | " in quals_jax.Quals(told).signature
    path = folder / "config.json"
    block = {"quals_jax": {"pair_format": "qag", "prefix": "ask: ", "max_source_tokens": 700}}
    path.write_text(json.dumps(json.loads(path.read_text()) | block))
    told = quals_jax.QAGen.from_pretrained(folder)
    assert (told.codec.format.name, told.tokenizer.prefix, told.tokenizer.max_source_tokens) == ("qag", "ask: ", 700)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quals_jax": {"pair_format": "x"}}))
    with pytest.raises(
        ValueError, match="pair_format of the quals_jax block is 'x'; it must be one of connector, sep, qag"
    ):
        quals_jax.QAGen.from_pretrained(folder)


def test_a_revision_is_of_hub_ids(qag):
    with pytest.raises(ValueError, match="is no hub id, of which --revision v1"):
        quals_jax.QAGen.from_pretrained(qag, revision="v1")
