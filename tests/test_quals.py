"""QUALS end to end: against the released numbers, and against forward passes of its own model."""

import json

import jax
import numpy as np
import pytest

import quals_jax
from quals_jax import parallel
from quals_jax.checkpoints import fill, load_checkpoint
from quals_jax.checkpoints.huggingface import load_huggingface
from quals_jax.decoding.diverse_beam import SearchConfig
from quals_jax.pairs import QAPair, split_pair
from quals_jax.qagen import QAGen
from quals_jax.quals import Quals
from quals_jax.row_programs import score_rows, search_rows
from quals_jax.tokenizer import EOS, Tokenizer


@pytest.fixture(scope="module")
def golden_qagen(golden, bpe):
    def make(beams, **settings):
        config, tensors, _ = load_huggingface(golden / "tiny_bart_hf")
        search = SearchConfig(num_beams=beams)
        return QAGen(
            fill(config, tensors), Tokenizer.from_pretrained(bpe), search=search, devices=jax.devices()[:1], **settings
        )

    return make


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _pipeline(golden, name):
    folder = golden / "pipeline" / name
    documents = (folder / "test.source").read_text().splitlines()
    (hypotheses,) = [path for path in folder.glob("*.hypo")]
    texts = [line["summaries"] for line in _lines(hypotheses)]
    recorded = [
        score for line in _lines(folder / "test.source.source_eval_noprepend.quals") for score in line["eval_ns-ns"]
    ]
    if len(texts) == 1:  # one JSON line holds one summary of every document
        return documents, texts[0], recorded
    return (
        [d for d, own in zip(documents, texts, strict=True) for _ in own],
        [t for own in texts for t in own],
        recorded,
    )


@pytest.mark.golden
@pytest.mark.parametrize(("name", "beams"), [("main", 60), ("multi", 12)])
def test_equal_to_the_released_numbers(golden, golden_qagen, name, beams):
    documents, summaries, recorded = _pipeline(golden, name)
    results = Quals(golden_qagen(beams), summary_score="beam").score(documents, summaries)
    assert [result.quals is None for result in results] == [score == -1e5 for score in recorded]
    for result, score in zip(results, recorded, strict=True):
        if result.quals is not None:
            assert result.quals == pytest.approx(score, abs=1e-4)


@pytest.mark.golden
def test_given_pairs_are_scored_as_the_reference_scores_them(golden, golden_qagen):
    """Pairs made by hand, some without tokens, against documents of which the last is longer than the model reads."""
    folder = golden / "pipeline" / "handmade"
    qagen = golden_qagen(60)
    documents = (folder / "test.source").read_text().splitlines()
    evaluated = [record for line in _lines(folder / "test.source.source_eval_noprepend") for record in line]
    lists = [
        [
            QAPair(qa["q"], qa["a"], qa.get("toks") or qagen.tokenizer.encode_pair(qa["q"], qa["a"]))
            for qa in record["qas"]
        ]
        for record in evaluated
    ]
    assert any(truncated for _, truncated in qagen.tokenizer.encode_batch(documents))
    for record, logprobs in zip(evaluated, qagen.score(documents, lists), strict=True):
        for qa, found in zip(record["qas"], logprobs, strict=True):
            np.testing.assert_allclose(found, qa["eval_pos_scores"], atol=1e-4)


# The rest runs on every machine: a tiny model of random weights over all bytes, that likes its connector and its end.
@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    from tiny_qagen import make_tiny_qagen

    return make_tiny_qagen(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def tiny(tiny_folder):
    search = SearchConfig(num_beams=16, min_length=2, max_length=12)
    return lambda **settings: QAGen.from_pretrained(
        tiny_folder, search=search, **{"devices": jax.devices()[:1], **settings}
    )


DOCUMENTS = ["the cat sat on the mat", "a dog ran " * 8, "the cat sat on the mat", "birds"]
SUMMARIES = ["a cat sat", "dogs eat", "cats eat at home", ""]


@pytest.fixture(scope="module")
def scored(tiny):
    return Quals(tiny(batch_size=2), max_pairs=None).score(DOCUMENTS, SUMMARIES)


def test_likelihoods_equal_separate_forward_passes(tiny, scored):
    qagen = tiny(batch_size=2)
    assert any(result.num_pairs for result in scored)
    for document, summary, result in zip(DOCUMENTS, SUMMARIES, scored, strict=True):
        (given_summary,) = qagen.score([summary], [result.pairs])
        (given_document,) = qagen.score([document], [result.pairs])
        for pair, by_summary, by_document in zip(result.pairs, given_summary, given_document, strict=True):
            np.testing.assert_allclose(pair.summary_logprobs, by_summary, atol=1e-4)
            np.testing.assert_allclose(pair.document_logprobs, by_document, atol=1e-5)
            assert pair.score == pytest.approx(np.mean(by_document) - np.mean(by_summary), abs=1e-4)
            assert pair.tokens[-1] == EOS and len(pair.tokens) == len(pair.document_logprobs)


def test_quals_is_the_mean_over_pairs_or_none(scored):
    for result in scored:
        assert (result.quals is None) == (result.num_pairs == 0)
        if result.pairs:
            assert result.quals == pytest.approx(np.mean([pair.score for pair in result.pairs]))
        json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    "settings",
    [{"batch_size": 1}, {"batch_size": 3}, {"batch_size": 1, "devices": None}],
    ids=["one", "three", "8 devices"],
)
def test_batches_and_devices_change_nothing(tiny, scored, settings):
    for one, other in zip(scored, Quals(tiny(**settings), max_pairs=None).score(DOCUMENTS, SUMMARIES), strict=True):
        assert [pair.tokens for pair in one.pairs] == [pair.tokens for pair in other.pairs]
        if one.quals is not None:
            assert one.quals == pytest.approx(other.quals, abs=1e-4)


def test_eight_devices_give_the_same_bytes_at_an_equal_batch(tiny):
    documents, summaries = DOCUMENTS * 3, [summary + "." * place for place in range(3) for summary in SUMMARIES]
    one, eight = (Quals(tiny(batch_size=1, devices=jax.devices()[:n])).score(documents, summaries) for n in (1, 8))
    assert [json.dumps(result.to_json()) for result in one] == [json.dumps(result.to_json()) for result in eight]


def test_no_device_talks_to_another(tiny):
    qagen = tiny(devices=None)
    runner = qagen.runner
    ids = np.full((runner.batch_size * runner.mesh.size, 64), 5, np.int32)
    for program, arrays in (
        (runner._program(search_rows, qagen.search, None), (ids, np.ones(len(ids), bool))),
        (runner._program(score_rows), (ids, np.full((len(ids), 20, 16), 5, np.int32))),
    ):
        compiled = program.lower(runner._params, *parallel.shard_rows(arrays, runner.mesh)).compile().as_text()
        assert not [
            word for word in ("all-reduce", "all-gather", "collective-permute", "all-to-all") if word in compiled
        ]


def test_the_same_functions_run_under_pmap(tiny_folder):
    from functools import partial

    from flax import nnx

    graph, params = nnx.split(load_checkpoint(tiny_folder).model)
    ids = np.arange(4, 4 + 2 * 64).reshape(2, 1, 64).astype(np.int32) % 200 + 4
    targets = np.full((2, 1, 20, 16), 7, np.int32)
    mapped = jax.pmap(partial(score_rows, graph), in_axes=(None, 0, 0), devices=jax.devices()[:2])(params, ids, targets)
    for row in range(2):
        np.testing.assert_allclose(
            mapped[row], jax.jit(partial(score_rows, graph))(params, ids[row], targets[row]), atol=1e-5
        )
    search = partial(search_rows, graph, SearchConfig(num_beams=4, min_length=2, max_length=6), None)
    active = np.ones((2, 1), bool)
    mapped = jax.pmap(search, in_axes=(None, 0, 0), devices=jax.devices()[:2])(params, ids, active)
    for row in range(2):
        alone = jax.jit(search)(params, ids[row], active[row])
        np.testing.assert_array_equal(mapped.tokens[row], alone.tokens)
        np.testing.assert_allclose(mapped.beam_logprobs[row], alone.beam_logprobs, atol=1e-5)


def test_a_stream_gives_what_lists_give(tiny, scored):
    quals = Quals(tiny(batch_size=2), max_pairs=None)
    streamed = list(quals.score_stream(iter(zip(DOCUMENTS, SUMMARIES, strict=True)), block_rows=3))
    assert [result.to_json() for result in streamed] == [result.to_json() for result in scored]


def test_the_signature_names_what_changes_the_number(tiny):
    qagen = tiny()
    signature = Quals(qagen, max_pairs=7, summary_score="beam").signature
    for part in (
        "groups:16",
        "strength:0.5",
        "min_length:2",
        "max_length:12",
        "pairs:7",
        "summary_score:beam",
        "dtype:float32",
        "version:",
    ):
        assert part in signature
    assert signature != Quals(qagen).signature


def test_intervals_hold_the_mean_and_shrink_with_more_results(scored):
    results = [result for result in scored if result.quals is not None] * 3
    low, high = quals_jax.confidence_interval(results)
    mean = np.mean([result.quals for result in results])
    assert low <= mean <= high


def test_unequal_lists_and_unknown_settings_are_refused(tiny):
    with pytest.raises(ValueError, match="1 documents and 2 summaries"):
        Quals(tiny()).score(["a"], ["b", "c"])
    with pytest.raises(ValueError, match="summary_score is 'best'"):
        Quals(tiny(), summary_score="best")
    assert split_pair("no connector", " strutConnector")[1] is None
