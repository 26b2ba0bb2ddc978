"""What documents answer: against a slow loop that reads whole targets and looks at texts, and with the embedded model."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_qagen import make_tiny_qagen
from tiny_t5 import make_tiny_t5

import quals_jax
from quals_jax import gazette
from quals_jax.document_answers import ask_documents
from quals_jax.models import teacher_forcing
from quals_jax.pairs import QAPair
from quals_jax.places import LONGEST_ANSWER

ONE = jax.devices()[:1]
DOCUMENTS = ["tea at ate eat a tat", "a cat ate the tea at eleven, not eat"]


def asked(qagen, *questions):
    """Pairs that ask these, whatever the answer."""
    ids = [qagen.codec.encode(question, "x") for question in questions]
    return [QAPair(question, "x", own) for question, own in zip(questions, ids, strict=True)]


def boundary(text, place):
    return place in (0, len(text)) or not text[place - 1 : place + 1].isalpha()


@cache
def last_logprobs(model):
    """Of a source and tokens behind which something comes: log-probabilities of that."""

    @jax.jit
    def whole(source, targets, place):
        states = teacher_forcing.target_states(model, source, targets)
        return jax.nn.log_softmax(model.logits(states[:, :, place]))[0, 0]

    def logprobs(source, tokens):
        pad, room = model.config.pad_token_id, 64
        padded = [jnp.array([[*ids, *[pad] * (room - len(ids))]]) for ids in (source, tokens)]
        return whole(padded[0], padded[1][None], len(tokens))

    return logprobs


def slow(qagen, model, source, prompt, text=None):
    """The ids behind a prompt and their log-probabilities, a whole pass for every token; with a text those that spell a span of it."""
    tokens, written, found = list(prompt), [], []
    rules = qagen.runner.rules
    ends = [qagen.config.eos_token_id, *(rules.ends if rules else ())]
    while not written or written[-1] != ends[0]:
        row = np.array(last_logprobs(model)(source, tokens), np.float64)
        together = np.logaddexp.reduce(row[ends])
        row[ends], row[ends[0]] = -np.inf, together
        may = row.copy()
        may[[qagen.config.pad_token_id, qagen.codec.separator_id or 0]] = -np.inf
        if text is not None:  # ids are bytes here
            said = qagen.tokenizer.decode(written)
            starts = [place for place in range(len(text)) if boundary(text, place) and text[place] != " "]
            starts = [place for place in starts if text[place:].startswith(said)]
            goes_on = {text[place + len(said)] for place in starts if place + len(said) < len(text)}
            stops = any(boundary(text, place + len(said)) and said[-1:] != " " for place in starts)
            for id in range(len(may)):
                if not (stops and written if id == ends[0] else qagen.tokenizer.decode([id]) in goes_on):
                    may[id] = -np.inf
        if not written:
            may[ends[0]] = -np.inf
        token = ends[0] if len(written) == LONGEST_ANSWER else int(np.argmax(may))
        tokens.append(token)
        written.append(token)
        found.append(row[token])
    return written, sum(found)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = make_tiny_qagen(tmp_path_factory.mktemp("tiny"))
    return quals_jax.QAGen.from_pretrained(folder, devices=ONE, batch_size=2), quals_jax.load_checkpoint(folder).model


@pytest.mark.parametrize("quoting", [True, False])
def test_equal_to_the_slow_loop(tiny, quoting):
    qagen, model = tiny
    lists = [asked(qagen, "who?", "what ate it at tea?", "who?"), asked(qagen, *(f"q{place}?" for place in range(12)))]
    found = ask_documents(qagen, DOCUMENTS, lists, quoting=quoting)
    assert found[0][0] == found[0][2]
    said = set()
    for document, pairs, answers in zip(DOCUMENTS, lists, found, strict=True):
        for pair, answer in list(zip(pairs, answers, strict=True))[:5]:
            prompt = pair.tokens[: pair.tokens.index(qagen.tokenizer.connector_id) + 1]
            ids, total = slow(qagen, model, qagen.tokenizer.encode(document), prompt, document if quoting else None)
            assert answer.text == qagen.tokenizer.decode(ids)
            assert answer.logprob == pytest.approx(total, abs=1e-4)
            if quoting:
                start, end = answer.span
                assert document[start:end].lower() == answer.text.lower()
            said.add(answer.text)
    assert len(said) > 1


def test_t5_and_an_end_of_several_pieces(tmp_path):
    folder = make_tiny_t5(tmp_path / "qag")
    qagen = quals_jax.QAGen.from_pretrained(folder, devices=ONE)
    document = "the mayor mayor, bb a bbb a the a bridge spoke spoke to the"
    pairs = asked(qagen, "who spoke?", "the bridge?")
    (found,) = ask_documents(qagen, [document], [pairs], quoting=False)
    model = quals_jax.load_checkpoint(folder).model
    for pair, answer in zip(pairs, found, strict=True):
        prompt = qagen.codec.prompt(pair.tokens)
        assert qagen.tokenizer.decode(prompt) == f"question: {pair.question}, answer:"
        ids, total = slow(qagen, model, qagen.tokenizer.encode(document), prompt)
        assert answer.text == qagen.tokenizer.decode(ids).strip() and answer.logprob == pytest.approx(total, abs=1e-4)
    (quoted,) = ask_documents(qagen, [document], [pairs])
    for answer in quoted:
        assert answer.text in document and document[slice(*answer.span)] == answer.text


def test_prompts_in_every_format(tiny, tmp_path):
    qagen, _ = tiny
    ids = qagen.codec.encode("who?", " a cat")
    assert qagen.codec.prompt(ids) == [*qagen.tokenizer.encode_pieces(["who?"])[0], qagen.tokenizer.connector_id]
    spelled = [*qagen.tokenizer.encode_pieces(["who? strutConnector"])[0]]  # the connector's letters, not its id
    assert qagen.codec.prompt([*spelled, *ids[-3:]]) == spelled
    with pytest.raises(ValueError, match="has no answer in the pair format connector"):
        qagen.codec.prompt(ids[:3])
    sep = quals_jax.QAGen.from_pretrained(make_tiny_t5(tmp_path / "sep", kind="sep"), devices=ONE)
    ids = sep.codec.encode("who?", "a cat")
    assert sep.codec.prompt(ids) == ids[: ids.index(900) + 1] and sep.codec.answer(ids[ids.index(900) + 1 :]) == "a cat"


def test_lists_that_do_not_fit_are_refused(tiny):
    with pytest.raises(ValueError, match="2 documents, and pairs for 1"):
        ask_documents(tiny[0], DOCUMENTS, [[]])


@pytest.fixture(scope="module")
def embedded():
    return quals_jax.QAGen.from_pretrained(search=quals_jax.SearchConfig(num_beams=20), devices=ONE)


def test_of_a_false_summary_the_document_says_what_is_true(embedded):
    story = next(gazette.stories(5, "test", kinds=("strike",)))
    (false,) = [corruption for corruption in story.corruptions if corruption.kind == "organisation"]
    ((slot, wrong),) = false.changed.items()
    documents, summaries = [story.document] * 2, [story.summary, false.text]
    plain = quals_jax.Quals(embedded).score(documents, summaries)
    told = quals_jax.Quals(embedded, document_answers=True).score(documents, summaries)
    for one, other in zip(plain, told, strict=True):
        assert one.quals == other.quals
        for first, second in zip(one.to_json()["pairs"], other.to_json()["pairs"], strict=True):
            assert "document_answer" not in first
            new = {name: second.pop(name) for name in list(second) if name.startswith("document_answer")}
            assert first == second
            assert list(new) == ["document_answer", "document_answer_logprob", "document_answer_span"]
    true = [pair for pair in told[0].pairs if pair.answer in story.values.values()]
    assert len(true) >= 3 and all(pair.document_answer == pair.answer for pair in true)
    worst = min(told[1].pairs, key=lambda pair: pair.score)
    assert worst.answer == wrong and worst.document_answer == story.values[slot]
    assert np.exp(worst.document_answer_logprob) > 0.9
    assert story.document[slice(*worst.document_answer_span)] == story.values[slot]
    again = quals_jax.Quals(embedded).score(documents, summaries, document_answers=True)
    assert [own.to_json() for own in again] == [own.to_json() for own in told]


def test_a_long_document_is_asked_in_windows(embedded):
    kinds = ("election", "storm", "boxing", "takeover")
    others = [story.document for story in gazette.stories(31, "test", 8, kinds=kinds)]
    story = next(gazette.stories(5, "test", kinds=("strike",)))
    page = "\n\n".join([*others, story.document])
    pairs = asked(embedded, "Which company is on strike?")
    (cut,) = ask_documents(embedded, [page], [pairs])
    (found,) = ask_documents(embedded, [page], [pairs], "windows")
    assert cut[0].text is None and found[0].text == story.values["firm"]
    start, end = found[0].span
    assert page[start:end] == story.values["firm"] and start > len("\n\n".join(others))


def test_where_the_document_has_no_answer_there_is_none(embedded):
    story = next(gazette.stories(5, "test", kinds=("strike",)))
    (found,) = ask_documents(
        embedded, [story.document], [asked(embedded, "Who won the boxing title?", "Where are people on strike?")]
    )
    assert found[0].text is None and found[0].span is None and found[0].logprob < 0
    assert found[1].text in story.values.values()


def test_progress_counts_documents_once(tiny):
    """What is read a second time, for its answers, is no further text: a row would be counted one and a half times."""
    qagen, _ = tiny
    told, before = [], qagen.runner.on_texts
    qagen.runner.on_texts = told.append
    try:
        quals = quals_jax.Quals(qagen)
        quals.score(DOCUMENTS, ["a cat ate", "tea"])
        plain, told[:] = sum(told), []
        quals.score(DOCUMENTS, ["a cat ate", "tea"], document_answers=True)
    finally:
        qagen.runner.on_texts = before
    assert sum(told) == plain > 2
