"""Folders in the layouts of `datasets`, written by it and by pyarrow, read without a network."""

import sys

import pyarrow as pa
import pyarrow.parquet
import pytest

from quals_jax.data.sources import open_sources
from quals_jax.data.texts import Target, Text

datasets = pytest.importorskip("datasets")

XSUM = {"document": ["Share this with\nEmail\nA dog barked", "B."], "summary": ["A dog", "B"], "id": ["1", "2"]}
CNNDM = {"article": ["One\nTwo."], "highlights": ["First\nREAD: more"], "id": ["1"]}
SQUAD = {
    "context": ["c1", "c2", "c1"],
    "question": ["q1", "q2", " q3"],
    "answers": [
        {"text": ["a", "a", "b"], "answer_start": [0, 0, 1]},
        {"text": ["d"], "answer_start": [0]},
        {"text": [], "answer_start": []},
    ],
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def read(word, **options):
    texts = open_sources(word, **options)
    return [texts[number] for number in range(len(texts))]


def parquet(folder, **splits):
    folder.mkdir()
    for split, columns in splits.items():
        pa.parquet.write_table(pa.table(columns), folder / f"{split}-00000-of-00001.parquet")
    return folder


def test_a_folder_of_save_to_disk_with_splits(tmp_path):
    splits = {"train": datasets.Dataset.from_dict(XSUM), "test": datasets.Dataset.from_dict(CNNDM)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "my set")
    assert read(f"hf:{tmp_path}/my set#train") == [
        Text("A dog barked.", (Target("A dog."),)),
        Text("B.", (Target("B."),)),
    ]
    assert read(f"hf:{tmp_path}/my set#test") == [Text("One. Two.", (Target("First."),))]
    with pytest.raises(ValueError, match=r"my set#dev: cannot be read \(Unknown split 'dev'; there are train, test\)"):
        read(f"hf:{tmp_path}/my set#dev")


def test_a_folder_of_save_to_disk_of_one_split(tmp_path):
    datasets.Dataset.from_dict(XSUM).save_to_disk(tmp_path / "one")
    assert len(read(f"hf:{tmp_path}/one#train")) == 2


def test_a_folder_of_parquet(tmp_path):
    folder = parquet(tmp_path / "cnn dm", train=CNNDM, validation={**CNNDM, "article": ["Three"]})
    assert read(f"hf:{folder}#train") == [Text("One. Two.", (Target("First."),))]
    assert read(f"hf:{folder}#validation", clean="none") == [Text("Three", (Target(CNNDM["highlights"][0]),))]
    with pytest.raises(ValueError, match="cannot be read .*test"):
        read(f"hf:{folder}#test")


def test_questions_of_one_text_come_together_and_those_without_answer_are_counted(tmp_path):
    folder = parquet(tmp_path / "squad", train=SQUAD)
    first, second = read(f"hf:{folder}#train")
    assert first == Text("c1", (Target("q1", "a"), Target("q1", "b")), 1)
    assert second == Text("c2", (Target("q2", "d"),))
    assert read(f"hf:{folder}#train", unanswerable="unknown")[0].targets[-1] == Target("q3", "unknown")


def test_columns_of_unknown_meaning_are_named(tmp_path):
    folder = parquet(tmp_path / "other", train={"text": ["x"], "label": [1]})
    with pytest.raises(ValueError, match=r"has the columns text, label; read are document and summary"):
        read(f"hf:{folder}")


@pytest.mark.parametrize("name", ["xsum", "./nowhere", "a/b/c/d"])
def test_what_is_neither_folder_nor_set(name):
    with pytest.raises(ValueError, match="there is no such folder, and a set of the hub is owner/name"):
        read(f"hf:{name}#train")


def test_a_set_of_the_hub_without_a_network_is_one_line():
    with pytest.raises(ValueError, match=r"hf:no-owner/no-set#train: cannot be read .*give a folder") as caught:
        read("hf:no-owner/no-set#train")
    assert "\n" not in str(caught.value)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"needs the package datasets: pip install 'quals_jax\[data\]'"):
        read("hf:EdinburghNLP/xsum#train")
