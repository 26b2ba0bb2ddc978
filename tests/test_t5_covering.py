"""A search that covers its summary with T5 QAGens: separators of several pieces, answers as SentencePiece spells them."""

import jax
import numpy as np
import pytest
from tiny_t5 import make_tiny_t5

import quals_jax

SUMMARIES = ["the mayor mayor, bb a bbb a the a bridge", "12 bridges　to ｱ会社 spoke", "the"]
SEARCH = quals_jax.SearchConfig(num_beams=8, min_length=4, max_length=20, covering=True)


@pytest.fixture(scope="module", params=["qag", "sep"])
def qagen(request, tmp_path_factory):
    folder = make_tiny_t5(tmp_path_factory.mktemp(request.param) / "model", kind=request.param)
    return quals_jax.QAGen.from_pretrained(folder, search=SEARCH, batch_size=2, devices=jax.devices()[:1])


@pytest.fixture(scope="module")
def generated(qagen):
    return qagen.generate(SUMMARIES)


def test_every_answer_is_in_its_summary_as_it_is_read(qagen, generated):
    answers = 0
    for summary, pairs in zip(SUMMARIES, generated, strict=True):
        text = qagen.codec.as_read(summary)
        told = [pair for pair in pairs if pair.answer is not None]
        assert all(pair.answer and pair.answer in text for pair in told)
        answers += len(told)
        for pair in told:  # spelled as the answer would be by itself
            prompt = qagen.codec.prompt(pair.tokens)
            assert pair.tokens == [*prompt, *qagen.tokenizer.encode_pieces([pair.answer])[0], 1]
    assert answers >= 2 * len(SUMMARIES)  # or nothing was constrained


def test_their_probability_is_that_of_scoring(qagen, generated):
    """Those of the search and of the samples, whose end is one event with the pieces that hold a bar."""
    for pairs, scored in zip(generated, qagen.score(SUMMARIES, generated), strict=True):
        for pair, logprobs in zip(pairs, scored, strict=True):
            np.testing.assert_allclose(logprobs, pair.summary_logprobs, atol=1e-4)


def test_samples_keep_the_format(qagen, generated):
    opening = qagen.codec.rules.prefix
    samples = [pair for pairs in generated for pair in pairs[SEARCH.num_beams :]]
    assert samples and all(tuple(pair.tokens[: len(opening)]) == opening for pair in samples)
    assert not any("|" in qagen.tokenizer.decode(pair.tokens) for pair in samples) or not opening


def test_documents_answer_and_are_read_in_windows(qagen):
    """All of QUALS with what else can be asked for; answers of the document are its own spans too."""
    document = "the mayor spoke to the bridge, a bb. " * 40
    quals = quals_jax.Quals(qagen, max_pairs=None, long_documents="windows", document_answers=True)
    results = quals.score([document] * len(SUMMARIES), SUMMARIES)
    text = qagen.codec.as_read(document)
    assert sum(result.num_pairs for result in results) >= len(SUMMARIES) and not any(r.truncated for r in results)
    for result in results:
        assert all(pair.document_answer in text for pair in result.pairs)
        assert result.num_pairs == 0 or 0 <= result.f1 <= 1
    assert f" | format:{qagen.codec.format.name} | " in quals.signature and " | covering:on | " in quals.signature
