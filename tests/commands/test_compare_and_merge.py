"""compare and merge, on small outputs made by hand."""

import json
import os

import pytest

from quals_jax.commands.compare import main as compare
from quals_jax.commands.compare import read_scores
from quals_jax.commands.errors import UserError
from quals_jax.commands.merge import main as merge
from quals_jax.scoring.ledger import Ledger


def scores(path, rows):
    path.write_text(
        "".join(json.dumps({"id": id, "summary_index": 0, "quals": quals, "summary": "s"}) + "\n" for id, quals in rows)
    )
    return str(path)


def test_rows_of_one_id_are_paired_in_order(tmp_path, capsys):
    first = scores(tmp_path / "a", [("x", -1.0 * n) for n in range(6)])
    second = scores(tmp_path / "b", [("x", -1.0 * n - 0.5) for n in range(6)])
    assert compare([first, second]) == 0
    table = capsys.readouterr().out
    assert (
        "rows with a score in both: 6 of 6" in table
        and "difference (second - first): -0.500, 95% interval -0.500 to -0.500" in table
    )
    assert len(read_scores(first)) == 6
    fewer = scores(tmp_path / "c", [("x", -1.0 * n) for n in range(5)])
    with pytest.raises(UserError, match='hold other rows: one of them has more rows of id "x", summary 0'):
        compare([first, fewer])


@pytest.mark.parametrize("quals", ['"-1"', "[]", "true", "NaN", "1" + "0" * 400, "{}"])
def test_a_score_that_is_none_is_one_line(tmp_path, quals):
    good = scores(tmp_path / "a", [("x", -1.0)])
    (tmp_path / "b").write_text(f'{{"id": "x", "summary_index": 0, "quals": {quals}, "summary": "s"}}\n')
    with pytest.raises(UserError, match="b, line 1: is no row of score.py's output"):
        compare([good, str(tmp_path / "b")])


@pytest.mark.parametrize("field", ["summary", "document", "id"])
def test_a_lone_surrogate_is_named_by_file_line_and_field(tmp_path, field):
    row = {"id": "x", "summary_index": 0, "quals": -1.0, "summary": "s", "document": "d"}
    (tmp_path / "a").write_text(json.dumps(row) + "\n" + json.dumps(row | {field: "\ud800"}) + "\n")
    with pytest.raises(UserError, match=f"a, line 2: field '{field}' holds a lone surrogate"):
        compare([str(tmp_path / "a"), str(tmp_path / "a"), "--report", str(tmp_path / "page.html")])


def test_what_does_not_differ_is_not_listed(tmp_path, capsys):
    first = scores(tmp_path / "a", [("x", -1.0), ("y", -2.0), ("z", -3.0)])
    second = scores(tmp_path / "b", [("x", -1.0), ("y", -2.5), ("z", -3.0)])
    assert compare([first, second]) == 0 and capsys.readouterr().out.count('  id "') == 1
    assert compare([first, first]) == 0 and capsys.readouterr().out.endswith("no row differs\n")


def test_the_numbers_as_json_and_both_side_by_side(tmp_path, capsys):
    first, second = tmp_path / "a", tmp_path / "b"
    for path, shift in ((first, 0.0), (second, 0.5)):
        rows = [
            {"id": n, "summary_index": 0, "quals": -n + shift, "summary": f"<{path.name}{n}>", "document": f"d{n}"}
            for n in range(4)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = [str(first), str(second), "--json", str(tmp_path / "c.json"), "--report", str(tmp_path / "page.html")]
    assert compare(flags) == 0 and "difference" in capsys.readouterr().out
    found = json.loads((tmp_path / "c.json").read_text())
    assert (found["first"], found["second"], found["difference"], found["n"], found["rows"]) == (-1.5, -1.0, 0.5, 4, 4)
    assert found["low"] == found["high"] == 0.5 and abs(found["p"] - 2 / 16) < 0.02  # 2 of the 16 signs are as far
    page = (tmp_path / "page.html").read_text()
    assert all(f"&lt;{name}{n}&gt;" in page and f"d{n}" in page for name in "ab" for n in range(4))
    before = first.read_bytes()
    for order in (["--json", str(first), str(second)], [str(first), str(second), "--json"]):
        assert compare(order) == 0 and json.loads(capsys.readouterr().out) == found
    assert first.read_bytes() == before
    for wrong in ([str(first)], [str(first), str(second), "--json", str(first)]):
        with pytest.raises(SystemExit, match="2"):
            compare(wrong)


@pytest.fixture
def shards(tmp_path):
    """Two finished shards that belong together."""
    return make_shards(tmp_path, "one input", "one input")


def make_shards(tmp_path, *inputs):
    """Two finished shards of five blocks of two rows, of inputs with these hashes."""
    paths = []
    for index, whole in enumerate(inputs):
        ledger = Ledger(
            tmp_path / f"shard{index}", {"signature": "s", "shard": f"{index}/2"}, stamps={"input": [index]}
        )
        for block in range(index, 5, 2):
            ledger.append([f'"{block}.{row} \u2028"' for row in range(2)], fingerprint=str(block))
        ledger.finish(whole)
        paths.append(str(tmp_path / f"shard{index}"))
    return paths


def test_shards_are_joined_in_the_order_of_their_blocks(shards, tmp_path):
    assert merge([str(tmp_path / "out"), *reversed(shards)]) == 0
    expected = [f'"{block}.{row} \u2028"' for block in range(5) for row in range(2)]
    assert (tmp_path / "out").read_text().removesuffix("\n").split("\n") == expected


def test_shards_of_two_inputs_are_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"shard1: was made from other rows than .*shard0; start one of them afresh, with --overwrite"
    ):
        merge([str(tmp_path / "out"), *make_shards(tmp_path, "one input", "another")])
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_joined_is_one_line(shards, tmp_path):
    with pytest.raises(UserError, match="shard 1/2 is missing"):
        merge([str(tmp_path / "out"), shards[0]])
    with pytest.raises(UserError, match="none/out.partial: No such file"):
        merge([str(tmp_path / "none" / "out"), *shards])
    if os.path.exists("/proc/self"):
        with pytest.raises(UserError, match="/proc/out.partial: "):
            merge(["/proc/out", *shards])
    with open(shards[1], "a") as file:
        file.write("more\n")
    with pytest.raises(UserError, match=r"shard1: is not there, or has not the length that shard1.run.json says"):
        merge([str(tmp_path / "out"), *shards])
    os.remove(shards[1])
    with pytest.raises(UserError, match="shard1: is not there"):
        merge([str(tmp_path / "out"), *shards])
    os.remove(f"{shards[1]}.run.json")
    with pytest.raises(UserError, match=r"shard1.run.json: does not say which shard"):
        merge([str(tmp_path / "out"), *shards])
    with pytest.raises(UserError, match=r"shard0: is there already"):
        merge([shards[0], *shards])
    assert not (tmp_path / "out").exists()
