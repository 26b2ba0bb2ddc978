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
