"""What QAGen does with texts and pairs, beside the numbers (those are in test_quals.py): shapes, limits, refusals."""

import json
import shutil

import jax
import numpy as np
import pytest

from quals_jax.decoding.diverse_beam import SearchConfig
from quals_jax.pairs import QAPair
from quals_jax.qagen import QAGen
from quals_jax.quals import Quals

SEARCH = SearchConfig(num_beams=4, min_length=2, max_length=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tiny_qagen import make_tiny_qagen

    return make_tiny_qagen(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def qagen(folder):
    return QAGen.from_pretrained(folder, search=SEARCH, devices=jax.devices()[:1], batch_size=2)


def _pairs(qagen, number):
    return [QAPair(f"q{place}", "a", qagen.tokenizer.encode_pair(f"q{place}", "a")) for place in range(number)]


def test_generated_pairs_are_all_beams_best_first(qagen):
    (pairs, empty) = qagen.generate(["a cat sat", ""])
    assert len(pairs) == len(empty) == 4
    assert [pair.beam_score for pair in pairs] == sorted((pair.beam_score for pair in pairs), reverse=True)
    for pair in pairs:
        assert 3 <= len(pair.tokens) <= 11 and pair.tokens[-1] == 2
        assert pair.beam_total == pytest.approx(np.sum(pair.beam_logprobs), abs=1e-4)
        assert (pair.answer is None) == (pair.tokens.count(qagen.tokenizer.connector_id) != 1)


def test_pairs_beyond_the_largest_bucket_get_the_numbers_of_pairs_alone(qagen):
    pairs = _pairs(qagen, 245)
    (together,) = qagen.score(["the cat sat"], [pairs])
    for place in (0, 19, 20, 239, 240, 244):
        ((alone,),) = qagen.score(["the cat sat"], [[pairs[place]]])
        np.testing.assert_allclose(together[place], alone, atol=1e-5)


def test_a_document_is_encoded_once_for_the_pairs_of_seven_summaries(qagen, monkeypatch):
    rows = []

    def count(params, ids, targets):
        rows.extend(text for text in np.asarray(ids) if (text != 1).any())
        return np.zeros(targets.shape, np.float32)

    monkeypatch.setattr(qagen.runner, "_program", lambda function: count)
    qagen.score(["the cat sat", "a dog"], [_pairs(qagen, 70), _pairs(qagen, 3)])
    assert len(rows) == 2


def test_a_small_model_cuts_and_says_so(folder, tmp_path):
    """Without a limit of its own, what it has positions for is the limit: 128, of them one for the end."""
    shutil.copytree(folder, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["quals_jax"]["max_source_tokens"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    qagen = QAGen.from_pretrained(tmp_path / "model", search=SEARCH, devices=jax.devices()[:1], batch_size=2)
    results = Quals(qagen).score(["x" * 127, "x" * 128], ["a cat sat"] * 2)
    assert [result.truncated for result in results] == [False, True]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "has 0 tokens"),
        ([5] * 129, "has 129 tokens; it must have 1 to 128"),
        ([261, 2], "ids 2 to 261"),
        ([-1, 2], "ids -1"),
    ],
)
def test_pairs_beside_the_tables_are_refused(qagen, tokens, message):
    with pytest.raises(ValueError, match=message):
        qagen.score(["a"], [[QAPair("q", "a", tokens)]])


def test_wrong_arguments_are_named(qagen, folder):
    with pytest.raises(TypeError, match="list of texts"):
        qagen.generate("a cat sat")
    with pytest.raises(TypeError, match="lists of texts"):
        Quals(qagen).score("a", "b")
    with pytest.raises(ValueError, match="pairs for 2"):
        qagen.score(["a"], [[], []])
    with pytest.raises(ValueError, match="dtype is 'float16'"):
        QAGen.from_pretrained(folder, dtype="float16")
    with pytest.raises(ValueError, match="batch_size is 0"):
        QAGen.from_pretrained(folder, batch_size=0)
    with pytest.raises(ValueError, match="max_length is 200"):
        QAGen.from_pretrained(folder, search=SearchConfig(max_length=200))
    assert qagen.generate([]) == [] and qagen.score([], []) == [] and Quals(qagen).score([], []) == []
