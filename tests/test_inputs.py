"""What is passed as texts: positions and not labels, and whatever is no text is named by list, row and type."""

import math
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

from quals_jax.inputs import check_lists_of_texts, check_pairs, check_texts
from quals_jax.metrics import check_lists
from quals_jax.metrics.evaluate_style import QualsMetric
from quals_jax.pairs import QAPair, keep_pairs
from quals_jax.quals import Quals, confidence_interval
from quals_jax.reranking import rerank


class Labelled:
    """Like a pandas Series whose labels are not its positions."""

    ndim = 1

    def __init__(self, values, labels):
        self.values, self.labels = values, labels

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter(self.values)

    def __getitem__(self, label):
        return self.values[self.labels.index(label)]


class Table:
    """Like a pandas DataFrame: gone through, it gives the names of its columns."""

    ndim = 2
    columns = ("document", "summary")

    def __iter__(self):
        return iter(self.columns)

    def __len__(self):
        return 2


WRONG = [
    (None, "None"),
    (math.nan, "a float, nan"),
    (7, "an int, 7"),
    ({"text": "x"}, "a dict"),
    (("x", "y"), r"a tuple, \('x', 'y'\)"),
    (["x"], "a list"),
    (b"x", "a bytes"),
    (Table(), "a Table"),
    (np.float32(1), "a float32"),
]
LISTS = [None, 7, {"a": "b"}, {"a"}, Table(), b"ab", np.array([["a", "b"]]), np.array("ab")]


@pytest.mark.parametrize(("value", "kind"), WRONG, ids=lambda value: type(value).__name__)
def test_what_is_no_text_is_named_by_list_row_and_type(value, kind):
    with pytest.raises(TypeError, match=rf"^summaries\[2\] is {kind}"):
        check_texts("summaries", ["a", "b", value])
    if not isinstance(value, tuple | list):
        with pytest.raises(TypeError, match=rf"candidates\[1\] must be a list of texts, not {kind}"):
            check_lists_of_texts("candidates", [["a"], value])
    with pytest.raises(TypeError, match=rf"candidates\[1\]\[0\] is {kind}"):
        check_lists_of_texts("candidates", [["a"], [value]])
    for pair, name in ((("d", value), "summary"), ((value, "s"), "document")):
        with pytest.raises(TypeError, match=rf"^row 1: {name} is {kind}"):
            list(check_pairs([("d", "s"), pair]))


@pytest.mark.parametrize("value", LISTS, ids=lambda value: type(value).__name__)
def test_what_is_no_list_is_named(value):
    for check, name in ((check_texts, "texts"), (check_lists_of_texts, "lists of texts")):
        with pytest.raises(TypeError, match=f"documents must be a list of {name}, not "):
            check("documents", value)


def test_lists_arrays_and_series_are_taken_by_position():
    texts = ["b", "a"]
    for values in (texts, tuple(texts), np.array(texts), np.array(texts, object), iter(texts), Labelled(texts, [1, 0])):
        assert check_texts("documents", values) == texts
    pandas = pytest.importorskip("pandas")
    assert check_texts("documents", pandas.Series(texts, index=[1, 0])) == texts
    with pytest.raises(TypeError, match=r"documents\[1\] is a float, nan"):
        check_texts("documents", pandas.Series(["a", math.nan], index=[7, 8], dtype=object))
    with pytest.raises(TypeError, match="documents must be a list of texts, not a DataFrame"):
        check_texts("documents", pandas.DataFrame({"document": texts}))


def test_empty_texts_and_lone_surrogates():
    assert check_texts("summaries", ["", " "]) == ["", " "]
    for text in ("", " \n"):
        with pytest.raises(ValueError, match=r"documents\[1\] is empty"):
            check_texts("documents", ["a", text], empty=False)
    with pytest.raises(ValueError, match=r"summaries\[1\] holds a lone surrogate"):
        check_texts("summaries", ["a", "\ud800"])


def test_rows_of_a_stream():
    Named = namedtuple("Named", "text about")
    rows = [("d", "s"), {"id": 1, "summary": "t", "document": "e"}, ["f", "u"], Named("g", "v")]
    assert list(check_pairs(iter(rows))) == [("d", "s"), ("e", "t"), ("f", "u"), ("g", "v")]
    assert list(check_pairs(np.array([["d", "s"], ["e", "t"]]))) == [("d", "s"), ("e", "t")]
    for row, message in (
        ("ds", "row 1 is a str"),
        (("d",), "row 1 is a tuple"),
        (("d", "s", "t"), "row 1 is a tuple"),
        (None, "row 1 is None"),
        ({"d", "s"}, "row 1 is a set"),
    ):
        with pytest.raises(TypeError, match=message):
            list(check_pairs([("d", "s"), row]))
    with pytest.raises(ValueError, match="row 0 has no 'summary'; it has 'document', 'text'"):
        list(check_pairs([{"document": "d", "text": "s"}]))
    with pytest.raises(ValueError, match="row 1: document is empty"):
        list(check_pairs([("d", "s"), (" ", "s")]))
    for pairs in ("ds", {"document": "d"}, Table()):
        with pytest.raises(TypeError, match="^pairs is "):
            list(check_pairs(pairs))


class Score:
    """Scores a summary by the number written in it."""

    def score(self, documents, summaries):
        return [SimpleNamespace(quals=float(text)) for text in summaries]


def test_rerank_returns_the_candidate_that_has_the_score():
    """Looked up by label, the text of another candidate came with the right score."""
    found = rerank(Score(), Labelled(["d"], [5]), Labelled([Labelled(["-3", "-1", "-2"], [2, 0, 1])], [9]))
    assert [(choice.index, choice.summary, choice.quals) for choice in found] == [(1, "-1", -1.0)]
    assert type(found[0].summary) is str
    for candidates, message in (
        ("-1", "candidates must be"),
        (["-1"], r"candidates\[0\] must be a list of texts, not one"),
    ):
        with pytest.raises(TypeError, match=message):
            rerank(Score(), ["d"], candidates)
    with pytest.raises(ValueError, match=r"documents\[0\] is empty"):
        rerank(Score(), [" "], [["-1"]])
    with pytest.raises(ValueError, match=r"candidates\[1\] is empty"):
        rerank(Score(), ["d", "e"], [["-1"], []])


def test_metrics_check_their_lists():
    check_lists(["d", "e"], ["s", "t"], ["r", ["q", "r"]])
    for arguments, message in (
        ((["d"], [None]), r"summaries\[0\] is None"),
        (([3], ["s"]), r"documents\[0\] is an int"),
        ((["d"], ["s"], [None]), r"references\[0\] must be a list of texts, not None"),
        ((["d"], ["s"], [["r", 3]]), r"references\[0\]\[1\] is an int"),
    ):
        with pytest.raises(TypeError, match=message):
            check_lists(*arguments)


@pytest.fixture(scope="module")
def quals(tmp_path_factory):
    import jax
    from tiny_qagen import make_tiny_qagen

    from quals_jax import QAGen, SearchConfig

    search = SearchConfig(num_beams=4, min_length=2, max_length=8)
    folder = make_tiny_qagen(tmp_path_factory.mktemp("tiny"))
    return Quals(QAGen.from_pretrained(folder, search=search, batch_size=2, devices=jax.devices()[:1]))


def test_the_metric_checks_what_it_is_given(quals):
    for documents, summaries, message in (
        ("d", ["s"], "documents is one text"),
        (["d"], "s", "summaries is one text"),
        (["d", None], ["s", "t"], r"documents\[1\] is None"),
        (["d", "e"], ["s", math.nan], r"summaries\[1\] is a float, nan"),
        (["d"], [("s", "t")], r"summaries\[0\] is a tuple"),
        (Table(), ["s", "t"], "documents must be a list of texts, not a Table"),
    ):
        with pytest.raises(TypeError, match=message):
            quals.score(documents, summaries)
    with pytest.raises(ValueError, match=r"documents\[0\] is empty"):
        quals.score([" "], ["s"])
    with pytest.raises(TypeError, match="row 300: summary is None"):
        list(quals.score_stream([("d", "s")] * 300 + [("d", None)]))


def test_a_summary_longer_than_the_model_reads_is_flagged(quals):
    """The tiny model reads 127 tokens, of bytes, the end of sentence included."""
    short, long = "cat " * 30, "cat " * 32
    results = quals.score(["the cat", "the cat " * 20, "the cat"], [short, short, long])
    assert [result.summary_truncated for result in results] == [False, False, True]
    assert [result.truncated for result in results] == [False, True, False]
    assert list(results[2].to_json()) == [
        *("quals", "num_pairs", "truncated", "pairs"),
        *("summary_truncated", "coverage", "unasked"),
    ]
    streamed = list(quals.score_stream({"summary": text, "document": "the cat"} for text in (short, long)))
    assert [result.summary_truncated for result in streamed] == [False, True]
    assert streamed[1].to_json() == results[2].to_json()


def test_models_check_what_they_are_given(quals):
    with pytest.raises(TypeError, match=r"summaries\[1\] is None"):
        quals.qagen.generate(["s", None])
    with pytest.raises(TypeError, match=r"documents\[0\] is an int, 3"):
        quals.qagen.score([3], [[]])
    for kept, message in (
        ("p", r"kept_lists\[0\] must be a list of QAPairs, not a str"),
        ([3], r"kept_lists\[0\]\[0\] is a int"),
    ):
        with pytest.raises(TypeError, match=message):
            quals.qagen.score(["d"], [kept])
    with pytest.raises(TypeError, match="qagen is 'model'; it must be a QAGen"):
        Quals("model")
    for max_pairs in (0, 1.5, "3", True):
        with pytest.raises(ValueError, match="max_pairs is"):
            Quals(quals.qagen, max_pairs)
    with pytest.raises(ValueError, match="name is empty"):  # and not the embedded model
        type(quals.qagen).from_pretrained("")


def test_pairs_and_results_are_checked():
    with pytest.raises(TypeError, match=r"pairs\[0\] is a str"):
        keep_pairs(["p"], "s")
    with pytest.raises(TypeError, match="summary is a NoneType"):
        keep_pairs([], None)
    pair = QAPair("q", "tea", [1, 2])
    assert keep_pairs((one for one in [pair]), "Tea") == [pair]  # read once
    with pytest.raises(TypeError, match=r"results\[1\] is a float"):
        confidence_interval([SimpleNamespace(quals=None), 0.5])


def test_compute_takes_what_score_takes(quals):
    """Series and arrays too, which Python would add to a list in a way of their own."""
    documents, summaries = ["the cat ate", "the tea"], ["a cat", "tea"]
    expected = QualsMetric(quals).compute(predictions=summaries, sources=documents)
    series = Labelled(summaries, [1, 0]), Labelled(documents, [5, 3])
    assert QualsMetric(quals).compute(predictions=series[0], sources=series[1]) == expected
    assert QualsMetric(quals).compute(predictions=np.array(summaries), sources=(text for text in documents)) == expected
    with pytest.raises(TypeError, match=r"predictions\[0\] is None"):
        QualsMetric(quals).compute(predictions=[None], sources=["d"])
    with pytest.raises(TypeError, match="sources must be a list of texts, not one text"):
        QualsMetric(quals).add_batch(predictions=["s"], sources="d")
