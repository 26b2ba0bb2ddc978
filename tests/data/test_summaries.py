import json
import subprocess
import sys

import pytest

from quals_jax.data.rows import read_cnndm, read_squad, read_xsum
from quals_jax.data.sources import open_sources
from quals_jax.data.summaries import JsonLines, PreparedSet, parallel_text
from quals_jax.data.texts import Target, Text

PREPARE = """
import sys
import tensorflow_datasets as tfds

class Xsum(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.1.0")

    def _info(self):
        features = {"document": tfds.features.Text(), "summary": tfds.features.Text()}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(5):
            yield number, {"document": f"Story {number}\\nShare this with\\nIt ended.", "summary": f"Summary {number}"}

Xsum(data_dir=sys.argv[1], file_format="array_record").download_and_prepare()
"""


def lines(tmp_path, *rows):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n", encoding="utf-8"
    )
    return path


def test_json_lines_are_read_in_any_order(tmp_path):
    rows = JsonLines(
        lines(
            tmp_path,
            {"document": "Erste — ünïcode", "summary": "s0"},
            "",
            {"document": "d1", "reference": "r1", "id": 5},
            {"document": "d2", "summaries": ["a", "b"]},
        )
    )
    assert len(rows) == 3
    assert rows[2] == Text("d2", (Target("a"), Target("b")))
    assert rows[0] == Text("Erste — ünïcode", (Target("s0"),))
    assert rows[1].targets == (Target("r1"),)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 2: cannot be read as JSON"),
        ([1], "line 2: is no JSON object"),
        ({"summary": "x"}, "line 2: document is missing"),
        ({"document": "x"}, "line 2: summary is missing"),
        ({"document": "x", "summary": 3}, "line 2: summary is missing, or no text"),
        ({"document": "x", "summaries": []}, "line 2: summary is missing"),
    ],
)
def test_a_bad_line_is_named_when_the_file_is_opened(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        JsonLines(lines(tmp_path, {"document": "d", "summary": "s"}, row))


def test_real_rows_of_cnndm(shared):
    rows = JsonLines(shared / "data" / "cnndm-val1000" / "cnndm_validation.jsonl")
    assert len(rows) == 750
    assert rows[749].source and "\n" in rows[0].targets[0].text


def test_parallel_text_splits_at_newlines_alone(tmp_path):
    (tmp_path / "a").write_bytes("one\u2028still one\ntwo\r\n\n".encode())
    (tmp_path / "b").write_bytes(b"1\n2\n3\n")
    texts = parallel_text(tmp_path / "a", tmp_path / "b")
    assert texts == [Text("one\u2028still one", (Target("1"),)), Text("two", (Target("2"),)), Text("", (Target("3"),))]


def test_parallel_text_of_unequal_length_is_refused(tmp_path):
    (tmp_path / "a").write_text("one\ntwo\n")
    (tmp_path / "b").write_text("1\n")
    with pytest.raises(ValueError, match=r"a has 2 lines and .*b 1"):
        parallel_text(tmp_path / "a", tmp_path / "b")


def test_xsum_loses_page_furniture_and_gains_full_stops():
    row = {"document": b"Share this with\nEmail\n The dog barked\n\nIt stopped!\n", "summary": b"A dog barked"}
    assert read_xsum(row) == Text("The dog barked. It stopped!", (Target("A dog barked."),))


def test_cnndm_loses_highlights_that_are_links():
    row = {"article": "One\nTwo.", "highlights": "First\nREAD: all about it\nCLICK HERE for more\nLast ."}
    assert read_cnndm(row) == Text("One. Two.", (Target("First. Last ."),))


def test_squad_of_tensorflow_datasets_keeps_distinct_answers():
    row = {"context": b"c", "question": b"q ", "answers": {"text": [b"a", b"a", b"b"], "answer_start": [0, 0, 1]}}
    assert read_squad(row) == Text("c", (Target("q", "a"), Target("q", "b")))


def test_a_set_that_tensorflow_datasets_prepared(tmp_path):
    """Prepared by one process, read by this one, without TensorFlow."""
    subprocess.run([sys.executable, "-c", PREPARE, str(tmp_path)], check=True, capture_output=True)
    rows = open_sources("tfds:xsum#train", folder=str(tmp_path))
    assert len(rows) == 5
    found = {rows[number] for number in range(5)}
    assert found == {Text(f"Story {n}. It ended.", (Target(f"Summary {n}."),)) for n in range(5)}
    assert "tensorflow" not in sys.modules
    with pytest.raises(ValueError, match="Unknown split 'dev'"):
        PreparedSet("xsum", "dev", str(tmp_path))


def test_a_set_that_must_be_prepared_first_says_how(tmp_path):
    with pytest.raises(ValueError, match=r"is not prepared .* tensorflow and importlib_resources .*hf:abisee/cnn"):
        PreparedSet("cnn_dailymail", "train", str(tmp_path))
    with pytest.raises(ValueError, match="known are xsum, cnn_dailymail, squad"):
        PreparedSet("mnist", "train")


def test_a_set_that_is_not_prepared_in_the_default_folder_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("xsum", "cnn_dailymail", "squad"):
        with pytest.raises(ValueError, match=r"is not prepared .*default data_dir.*") as caught:
            PreparedSet(name, "train")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["rows.jsonl", "csv:rows", "jsonl:", "text:a", "tfds:"])
def test_an_unknown_source_names_the_forms(word):
    with pytest.raises(ValueError, match="it must be squad:FILE"):
        open_sources(word)


def test_sources_are_joined(tmp_path):
    first = lines(tmp_path, {"document": "d", "summary": "s"})
    (tmp_path / "a").write_text("one\n")
    texts = open_sources(f"jsonl:{first} text:{tmp_path / 'a'},{tmp_path / 'a'} jsonl:{first}")
    assert [texts[number].source for number in range(len(texts))] == ["d", "one", "d"]
    with pytest.raises(IndexError):
        texts[3]


def test_a_path_may_have_blanks(tmp_path):
    (tmp_path / "my own").mkdir()
    row = json.dumps({"document": "d", "summary": "s"})
    for name in ("my own/two rows.jsonl", "x.jsonl"):
        (tmp_path / name).write_text(row + "\n")
    texts = open_sources(f" jsonl:{tmp_path}/my own/two rows.jsonl  jsonl:{tmp_path}/x.jsonl ")
    assert len(texts) == 2
    with pytest.raises(ValueError, match=r"no such.jsonl: No such file"):
        open_sources(f"jsonl:{tmp_path}/no such.jsonl")


def test_sources_may_begin_with_a_byte_order_mark(tmp_path):
    mark = b"\xef\xbb\xbf"
    path = lines(tmp_path, {"document": "d0", "summary": "s0"}, {"document": "d1", "summary": "s1"})
    path.write_bytes(mark + path.read_bytes())
    assert list(JsonLines(path)) == [Text("d0", (Target("s0"),)), Text("d1", (Target("s1"),))]
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(mark + f"{name}0\n{name}1\n".encode())
    assert parallel_text(tmp_path / "a", tmp_path / "b")[0] == Text("a0", (Target("b0"),))


@pytest.mark.parametrize(
    ("row", "field"), [({"document": "\ud800"}, "document"), ({"summaries": ["s", "\udfff"]}, "summary")]
)
def test_a_lone_surrogate_is_named_by_line_and_field(tmp_path, row, field):
    path = tmp_path / "rows.jsonl"
    good = {"document": "a \U0001f375", "summary": "s"}
    path.write_text(json.dumps(good) + "\n" + json.dumps(good | row) + "\n")
    with pytest.raises(ValueError, match=f"rows.jsonl: line 2: {field} holds a lone surrogate"):
        JsonLines(path)
