"""Documents longer than the model reads, in windows: against slow loops, and against scoring without windows where they are short."""

import itertools
import json

import jax
import numpy as np
import pytest
from tiny_qagen import make_tiny_qagen
from tiny_t5 import make_tiny_t5

from quals_jax import QAGen, Quals, SearchConfig, gazette
from quals_jax.checkpoints import CheckpointError, ModelSettings
from quals_jax.long_documents import document_windows, packed
from quals_jax.sentences import sentence_places

SENTENCES = ["A tea eats.", "At a seat, a teat.", "Taste!", "Eat a tea at a sea seat.", "Set a test."]
LONG = " ".join(SENTENCES * 6) + "\n" + "\n".join(SENTENCES * 3)
SUMMARIES = ["a cat sat", "dogs eat", "cats eat at home"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = make_tiny_qagen(tmp_path_factory.mktemp("tiny"))
    search = SearchConfig(num_beams=16, min_length=2, max_length=12)
    return QAGen.from_pretrained(folder, search=search, devices=jax.devices()[:1], batch_size=2)


@pytest.fixture(scope="module", params=["sep", "qag"])
def tiny_t5(request, tmp_path_factory):
    folder = make_tiny_t5(tmp_path_factory.mktemp("t5") / "model", kind=request.param)
    qagen = QAGen.from_pretrained(
        folder, search=SearchConfig(num_beams=20, max_length=20), devices=jax.devices()[:1], pair_format=request.param
    )
    qagen.tokenizer.max_source_tokens = 48  # a T5 has no end; so much does this one read
    return qagen


def slow_windows(tokenizer, document, size):
    """The rule word for word, with the tokenizer asked about every candidate: (start, end) of each window."""
    places = sentence_places(document)
    ends = [0] + [end for _, end in places]
    room = size - len(tokenizer.encode(""))

    def tokens(first, last):
        return sum(len(tokenizer.encode_pieces([document[ends[n] : ends[n + 1]]])[0]) for n in range(first, last + 1))

    def begins_line(n):
        return "\n" in document[ends[n] : places[n][0]]

    windows, first = [], 0
    while True:
        fitting = [n for n in range(first, len(places)) if n == first or tokens(first, n) <= room]
        last = max(fitting)
        if last == len(places) - 1:
            return [*windows, (places[first][0], places[last][1])]
        last = max([n for n in fitting if begins_line(n + 1) and (n == last or tokens(first, n) >= room / 2)] or [last])
        windows.append((places[first][0], places[last][1]))
        possible = [
            n for n in range(first + 1, last + 2)
            if n == last + 1 or (tokens(n, last) <= room // 2 and tokens(n, last + 1) <= room)
        ]  # fmt: skip
        first = min([n for n in possible if begins_line(n)] or possible)


def test_windows_follow_the_rule(tiny):
    for size in (40, 64, 100, 127):
        windows = document_windows(tiny.tokenizer, LONG, size)
        assert [(window.start, window.end) for window in windows] == slow_windows(tiny.tokenizer, LONG, size)
        assert all(window.ids == tiny.tokenizer.encode(LONG[window.start : window.end]) for window in windows)
        assert max(len(window.ids) for window in windows) <= size


def test_windows_of_t5_count_the_prefix(tiny_t5):
    tokenizer = tiny_t5.tokenizer
    windows = document_windows(tokenizer, LONG)
    prefix = tokenizer.encode_pieces([tokenizer.prefix])[0] if tokenizer.prefix else []
    assert len(windows) > 3
    assert {len(window.ids) > len(prefix) + 1 for window in windows} == {True}
    assert [window.ids[: len(prefix)] for window in windows] == [prefix] * len(windows)
    assert max(len(window.ids) for window in windows) <= 48
    for start, end in sentence_places(LONG):  # each whole in some window
        assert any(window.start <= start and end <= window.end for window in windows)


@pytest.mark.parametrize(
    ("long", "words"), [("eat " * 90, True), ("e" * 300, False), ("Tea. " + "sea-" * 80 + " Tea.", False)]
)
def test_what_no_window_holds_is_cut_between_words_or_within(tiny, long, words):
    windows = document_windows(tiny.tokenizer, long)
    assert windows[0].start == 0 and windows[-1].end == len(long.rstrip())
    for window, following in itertools.pairwise(windows):
        assert window.start < following.start <= window.end + 1 and window.end < following.end
    assert max(len(window.ids) for window in windows) <= 127
    if words:
        assert all(long[window.start - 1 : window.start] in ("", " ") for window in windows)
    assert len(windows) > 2


def test_packed_is_what_a_search_through_all_runs_finds():
    """Fewest tokens shared is no aim: a run begins as early as it may."""
    assert packed([3, 3, 3, 3, 3], 9, 4) == [(0, 2), (2, 4)]
    assert packed([3, 3, 3, 3, 3], 9, 6) == [(0, 2), (1, 3), (2, 4)]
    assert packed([3, 3, 3, 3, 3], 9, 6, [True, False, False, True, False]) == [(0, 2), (3, 4)]
    assert packed([3, 3, 3, 3, 3], 9, 6, [True, False, True, False, False]) == [(0, 1), (2, 4)]
    assert packed([2, 2, 3, 9, 3], 9, 6, [True, True, True, False, False]) == [(0, 2), (3, 3), (4, 4)]
    assert packed([3, 20, 3, 8], 9, 6) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert packed([5], 9, 6) == [(0, 0)]


def test_a_pair_takes_the_window_that_supports_it_best(tiny):
    """Every window by itself, then the best of them for every pair."""
    results = Quals(tiny, max_pairs=None, long_documents="windows").score([LONG] * 3, SUMMARIES)
    pairs = [pair for result in results for pair in result.pairs]
    windows = document_windows(tiny.tokenizer, LONG)
    chosen = set()
    for pair in pairs:
        alone = [tiny.score([LONG[window.start : window.end]], [[pair]])[0][0] for window in windows]
        means = [float(np.mean(logprobs)) for logprobs in alone]
        chosen.add(best := int(np.argmax(means)))
        np.testing.assert_allclose(pair.document_logprobs, alone[best], atol=1e-5)
        assert pair.score == pytest.approx(means[best] - np.mean(pair.summary_logprobs), abs=1e-4)
    assert len(chosen) > 1 and not any(result.truncated for result in results)


def test_the_same_in_other_formats(tiny_t5):
    summary = "the mayor mayor, bb a bbb a the a bridge spoke spoke to the"
    document = " ".join(["The mayor spoke to a bridge.", "A bridge spoke.", "The the mayor to the bridge a."] * 8)
    quals = Quals(tiny_t5, max_pairs=None, long_documents="windows")
    (result,) = quals.score([document], [summary])
    windows = document_windows(tiny_t5.tokenizer, document)
    assert result.num_pairs > 1 and len(windows) > 2
    for pair in result.pairs:
        alone = [tiny_t5.runner.logprobs([window.ids], [[pair.tokens]])[0][0] for window in windows]
        best = max(alone, key=lambda logprobs: float(np.mean(logprobs)))
        np.testing.assert_allclose(pair.document_logprobs, best, atol=1e-5)


def test_short_documents_are_scored_to_the_byte_as_without_windows(tiny):
    documents = ["a sea", LONG, "tea at a test " * 6, "a seat"]
    summaries = ["a cat sat", "dogs eat", "cats eat at home", "eat"]
    cut = Quals(tiny).score(documents, summaries)
    windows = Quals(tiny, long_documents="windows").score(documents, summaries)
    assert [result.truncated for result in cut] == [False, True, False, False]
    assert not any(result.truncated for result in windows)
    for place in (0, 2, 3):
        assert json.dumps(cut[place].to_json()) == json.dumps(windows[place].to_json())
    assert cut[1].to_json() != windows[1].to_json()
    alone = Quals(tiny, long_documents="windows").score([LONG], [SUMMARIES[1]])
    assert alone[0].quals == pytest.approx(windows[1].quals, abs=1e-5)


def test_the_signature_says_it_and_other_words_are_refused(tiny):
    assert "long_documents" not in Quals(tiny).signature
    assert " | long_documents:windows | " in Quals(tiny, long_documents="windows").signature
    with pytest.raises(ValueError, match="long_documents is 'all'; it must be one of truncate, windows"):
        Quals(tiny, long_documents="all")
    with pytest.raises(ValueError, match="no room for the document"):
        document_windows(tiny.tokenizer, LONG, 1)
    with pytest.raises(CheckpointError, match="window_tokens of the quals_jax block is 'x'; it must be a whole number"):
        ModelSettings(window_tokens="x")


def test_the_flag_of_every_command(tiny, tmp_path, monkeypatch, capsys):
    from quals_jax.commands import prefer, rerank, score
    from quals_jax.metrics import MetricSettings, load

    monkeypatch.setattr("quals_jax.commands.runtime.prepare", lambda verbose=False: None)
    folder = str(tiny.tokenizer.folder)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"document": LONG, "summaries": SUMMARIES}) + "\n")
    flags = ["--input", str(rows), "--model", folder, "--num_beams", "4", "--long_documents", "windows"]
    for name, command in (("score", score), ("rerank", rerank), ("prefer", prefer)):
        assert command.main([*flags, "--output", str(tmp_path / name)]) == 0
        printed = capsys.readouterr().out
        assert "long_documents:windows" in printed
        assert name != "score" or "cut documents  0: " in printed
    written = [json.loads(line) for line in (tmp_path / "score").read_text().splitlines()]
    assert [row["truncated"] for row in written] == [False] * 3
    metric = load(f"quals={folder}", MetricSettings(long_documents="windows"))
    assert "long_documents:windows" in metric.signature


def test_a_fact_beyond_the_end_of_what_the_model_reads():
    """Nine stories on a page, the last of a kind of its own: cut, nothing supports its summary; in windows all of it is supported."""
    kinds = ("election", "storm", "strike", "takeover")
    others = [story.document for story in gazette.stories(31, "test", 8, kinds=kinds)]
    (story,) = gazette.stories(32, "test", 1, kinds=("boxing",))
    page = "\n\n".join([*others, story.document])
    qagen = QAGen.from_pretrained(search=SearchConfig(num_beams=12), devices=jax.devices()[:1])
    false = next(corruption.text for corruption in story.corruptions if corruption.kind == "role_exchange")
    (alone,) = Quals(qagen).score([story.document], [story.summary])
    (cut,) = Quals(qagen).score([page], [story.summary])
    windows = Quals(qagen, long_documents="windows")
    assert "long_documents:windows | window_tokens:192" in windows.signature
    true, wrong = windows.score([page, page], [story.summary, false])
    assert cut.truncated and not true.truncated and not true.outside
    assert cut.quals < alone.quals - 1
    assert true.quals == pytest.approx(alone.quals, abs=0.1)
    assert wrong.quals < true.quals - 0.3
    usual = QAGen.from_pretrained(devices=jax.devices()[:1])  # the embedded reference scores are of its search
    assert Quals(usual, long_documents="windows").percentile(-0.2) == Quals(usual).percentile(-0.2) is not None
