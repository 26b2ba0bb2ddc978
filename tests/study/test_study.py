"""The study: what is sampled, that pages are blind, and the tally against cases worked out by hand."""

import json
import math
import re

import pytest

from quals_jax.commands import study as command
from quals_jax.commands.errors import UserError
from quals_jax.study import QUESTIONS
from quals_jax.study.page import read_key, render, write_study
from quals_jax.study.sample import read_system, sample
from quals_jax.study.tally import alpha, read_answers, result, tally, verdicts


def rows(path, summaries, **others):
    lines = [
        {"id": f"d{number}", "document": f"Document {number}.", "summary": text} | others
        for number, text in enumerate(summaries)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.fixture
def systems(tmp_path):
    """Ten documents, of which the last two have the same summary from both."""
    first = rows(tmp_path / "mle.jsonl", [f"old {number}" for number in range(8)] + ["same", "same"])
    second = rows(tmp_path / "conseq.jsonl", [f"new {number}" for number in range(8)] + ["same", "same "])
    return {"mle": read_system(first), "conseq": read_system(second)}


def test_documents_are_sampled_from_those_on_which_the_systems_differ(systems):
    study = sample(systems, 8, 0)
    assert {item.id for item in study.items} == {f"d{number}" for number in range(8)}
    assert study.shared == 10 and study.identical == 2
    assert all(item.summaries == (f"old {item.id[1:]}", f"new {item.id[1:]}") for item in study.items)
    assert sample(systems, 3, 0) == sample(systems, 3, 0) != sample(systems, 3, 1)
    with pytest.raises(ValueError, match="10 documents in common and differ on 8; --count 9"):
        sample(systems, 9, 0)
    systems["conseq"]["d1"] = ("Another document.", "new 1")
    with pytest.raises(ValueError, match="different documents of the id d1"):
        sample(systems, 3, 0)


def test_texts_come_from_rows_or_from_files_that_go_together(tmp_path):
    (tmp_path / "test.source").write_text("Document 0.\nDocument 1.\n")
    (tmp_path / "test.hypo").write_text("a\nb\n")
    expected = {"0": ("Document 0.", "a"), "1": ("Document 1.", "b")}
    assert read_system(str(tmp_path / "test.hypo"), str(tmp_path / "test.source")) == expected
    documents = rows(tmp_path / "documents.jsonl", ["", ""])
    (tmp_path / "own.jsonl").write_text('{"id": "d1", "summary": "b", "quals": -1}\n')
    assert read_system(str(tmp_path / "own.jsonl"), documents) == {"d1": ("Document 1.", "b")}
    (tmp_path / "own.jsonl").write_text('{"id": "d7", "summary": "b"}\n')
    with pytest.raises(ValueError, match="no document of the id d7"):
        read_system(str(tmp_path / "own.jsonl"), documents)
    (tmp_path / "own.jsonl").write_text('{"id": "d7", "document": "x"}\n')
    with pytest.raises(ValueError, match="line 1"):
        read_system(str(tmp_path / "own.jsonl"))


def test_a_page_has_all_texts_and_does_not_say_whose(systems, tmp_path):
    study = sample(systems, 8, 0)
    pages = write_study(study, 3, tmp_path / "study", 0)
    key = read_key(tmp_path / "study" / "key.json")
    orders = []
    for number, path in enumerate(pages, 1):
        page = path.read_text()
        assert "mle" not in page and "conseq" not in page and "http" not in page.replace("http-equiv", "")
        data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
        assert data["study"] == key["study"] and data["annotator"] == str(number)
        orders.append([own["item"] for own in data["items"]])
        for own in data["items"]:
            document = key["items"][own["item"]]
            sides = [f"old {document[1:]}", f"new {document[1:]}"]
            left = key["baseline_left"][str(number)][own["item"]]
            assert own["document"] == f"Document {document[1:]}."
            assert [own["left"], own["right"]] == (sides if left else sides[::-1])
        assert sum(key["baseline_left"][str(number)].values()) == 4  # half of them
    assert orders[0] != orders[1] != orders[2] and sorted(orders[0]) == sorted(orders[1])
    with pytest.raises(ValueError, match="holds another study"):
        write_study(sample(systems, 4, 0), 3, tmp_path / "study", 0)
    with pytest.raises(ValueError, match="--annotators 0"):
        write_study(study, 0, tmp_path / "study", 0)


def test_texts_cannot_run(systems):
    hostile = '</script><script>alert("x")</script>'
    systems["mle"] = {id: (document, hostile) for id, (document, _) in systems["mle"].items()}
    study = sample(systems, 3, 0)
    assert "</script><script>alert" not in render(study, "1", [(0, True)])


def test_alpha_is_that_of_krippendorffs_textbook_formula():
    """Three annotators, four items; ordinal distances from how often each value is given, worked out here from the definition."""
    said = {
        "1": {"a": 1, "b": 0, "c": -1, "d": 1},
        "2": {"a": 1, "b": 1, "c": -1},
        "3": {"a": 1, "b": 0, "c": 0, "d": 1},
    }
    units = [[own[item] for own in said.values() if item in own] for item in "abcd"]
    counts = {value: sum(unit.count(value) for unit in units) for value in (-1, 0, 1)}

    def distance(one, other):
        low, high = sorted((one, other))
        return (
            sum(counts[value] for value in (-1, 0, 1) if low <= value <= high) - (counts[low] + counts[high]) / 2
        ) ** 2

    total = sum(counts.values())
    observed = sum(sum(distance(a, b) for a in unit for b in unit) / (len(unit) - 1) for unit in units) / total
    expected = sum(counts[a] * counts[b] * distance(a, b) for a in counts for b in counts) / (total * (total - 1))
    assert alpha(said) == pytest.approx(1 - observed / expected, abs=1e-12)
    assert alpha({"1": {"a": 1, "b": -1}, "2": {"a": 1, "b": -1}}) == 1
    assert alpha({"1": {"a": 1, "b": 0}}) is None and alpha({"1": {"a": 1}, "2": {"a": 1}}) is None


def test_the_sign_test_counts_documents():
    """Of eight documents seven are better and one worse by majority: p = 2 (1 + 8) / 2^8."""
    said = {
        "1": {str(item): 1 if item < 7 else -1 for item in range(9)} | {"8": 0},
        "2": {str(item): 0 for item in range(9)},
        "3": {str(item): 1 if item < 6 else -1 if item == 7 else 0 for item in range(9)},
    }
    found = result(said)
    assert (found.ahead, found.behind, found.documents) == (7, 1, 9)
    assert found.p == pytest.approx(2 * (1 + 8) / 2**8)
    assert found.judgements == 27 and found.better == pytest.approx(13 / 27) and found.worse == pytest.approx(2 / 27)


def answered(path, key, annotator, side):
    """Answers of one annotator: `side` of an item."""
    names = [question.name for question in QUESTIONS]
    given = {item: dict.fromkeys(names, side(item)) for item in key["items"]}
    path.write_text(json.dumps({"study": key["study"], "annotator": annotator, "answers": given}))
    return path


def test_the_tally_takes_the_sides_off(systems, tmp_path):
    """The first annotator always prefers conseq, wherever it stands; the second always the left."""
    write_study(sample(systems, 8, 0), 2, tmp_path, 0)
    key = read_key(tmp_path / "key.json")
    first = answered(tmp_path / "1.json", key, "1", lambda item: "right" if key["baseline_left"]["1"][item] else "left")
    second = answered(tmp_path / "2.json", key, "2", lambda item: "left")
    text, numbers = tally([first, second], key)
    own = numbers["questions"]["consistency"]
    assert own["judgements"] == 16 and own["better"] == (8 + 4) / 16 and own["worse"] == 4 / 16 and own["equal"] == 0
    assert (own["ahead"], own["behind"]) == (4, 0) and own["p"] == pytest.approx(2 / 2**4)
    assert "conseq against mle: 8 documents; answered by annotator 1 8, 2 8" in text
    assert re.search(r"factual consistency +75\.0% +0\.0% +25\.0% +16 +-?0\.\d{3} +4 : 0 +0\.125", text)
    assert set(verdicts(read_answers([first], key), key, "grammar")["1"].values()) == {1}


def test_answers_that_do_not_fit_are_refused(systems, tmp_path):
    write_study(sample(systems, 4, 0), 2, tmp_path, 0)
    key = read_key(tmp_path / "key.json")
    good = answered(tmp_path / "1.json", key, "1", lambda item: "left")

    def changed(**fields):
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(json.loads(good.read_text()) | fields))
        return path

    cases = {
        changed(study="x"): "is of the study x",
        good: "annotator 1 is there twice",
    }
    for path, message in cases.items():
        with pytest.raises(ValueError, match=message):
            read_answers([good, path], key)
    for fields, message in (
        ({"annotator": "9"}, "no annotator 9"),
        ({"answers": {"99": {}}}, "no item 99"),
        ({"answers": {"1": {"grammar": "up"}}}, "grammar is up"),
        ({"answers": 3}, "holds no answers"),
    ):
        with pytest.raises(ValueError, match=message):
            read_answers([changed(**fields)], key)
    with pytest.raises(ValueError, match="hold no answers yet"):
        tally([changed(answers={})], key)
    with pytest.raises(ValueError, match="is no key"):
        read_key(good)


def test_the_commands(tmp_path, capsys):
    first = rows(tmp_path / "a.jsonl", ["old 0", "old 1", "old 2"])
    second = rows(tmp_path / "b.jsonl", ["new 0", "new 1", "new 2"])
    folder = tmp_path / "out"
    flags = [
        "--system",
        f"mle={first}",
        "--system",
        f"conseq={second}",
        "--count",
        "2",
        "--annotators",
        "1",
        "--output",
        str(folder),
    ]
    assert command.main(flags) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["annotator-1.html", "key.json"]
    key = read_key(folder / "key.json")
    answers = answered(tmp_path / "answers-1.json", key, "1", lambda item: "equal")
    numbers = tmp_path / "numbers.json"
    assert command.main(["tally", "--key", str(folder / "key.json"), str(answers), "--output", str(numbers)]) == 0
    assert "grammatical correctness" in capsys.readouterr().out
    own = json.loads(numbers.read_text())["questions"]["grammar"]
    assert own["equal"] == 1 and own["alpha"] is None and own["p"] == 1 and not any(map(math.isnan, [own["better"]]))
    with pytest.raises(UserError, match="must be given twice"):
        command.main(["--system", f"mle={first}", "--output", str(folder)])
    with pytest.raises(UserError, match="cannot be read"):
        command.main(["tally", "--key", str(folder / "none.json"), str(answers)])
