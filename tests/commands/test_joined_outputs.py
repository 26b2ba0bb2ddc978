"""What merge leaves is the output of one run, for score.py, compare and distribution; and compare looks at what it compares."""

import json
import os
from pathlib import Path

import pytest
from commands.test_score_in_process import lines, refused
from fake_quals import FakeQuals, run  # noqa: F401 - run is a fixture

from quals_jax.commands import distribution
from quals_jax.commands.compare import different_settings
from quals_jax.commands.compare import main as compare
from quals_jax.commands.errors import UserError
from quals_jax.commands.merge import joint_signature
from quals_jax.commands.merge import main as merge

FLAGS = ("--input", "i.jsonl", "--block_rows", 2, "--model", "m")
TEXTS = ("a", "bb", "", "dddd", "ee", "f", "g")


class Signed(FakeQuals):
    """A metric with a signature of this back end."""

    def __init__(self, backend="cpu"):
        super().__init__()
        self.signature = f"model:m@ffffffff | groups:60 | dtype:float32 | backend:{backend} | version:0.2.0"


@pytest.fixture
def shards(run):  # noqa: F811
    """The shards of two of one input, and what one run makes of it."""
    Path("i.jsonl").write_bytes(lines(*TEXTS, document="a document"))
    for index in range(2):
        assert run(*FLAGS, "--output", f"s{index}", "--shard", f"{index}/2", quals=Signed())[0] == 0
    return run(*FLAGS, "--output", "whole", quals=Signed())[1]


def test_a_merged_output_is_that_of_one_run(shards, run, capsys):  # noqa: F811
    assert merge(["joined", "s1", "s0"]) == 0
    printed = capsys.readouterr().out
    assert printed == f"{len(TEXTS)} rows in joined\n" + shards
    assert "QUALS = -1.833 (n = 6) | model:m@ffffffff" in printed  # (1 + 2 + 4 + 2 + 1 + 1) / 6
    assert Path("joined").read_bytes() == Path("whole").read_bytes()
    one, other = (json.loads(Path(f"{name}.run.json").read_text()) for name in ("whole", "joined"))
    assert {name for name in one if one[name] != other[name]} == {"input", "whole"}


@pytest.mark.parametrize("touched", [False, True])
def test_score_takes_up_a_merged_output(shards, run, monkeypatch, capsys, touched):  # noqa: F811
    """By its stamps where the input was left alone, by its rows where not; other rows are refused."""
    merge(["joined", "s0", "s1"])
    monkeypatch.setattr("quals_jax.evidence.sentences_for_report", lambda qagen: None)
    if touched:
        os.utime("i.jsonl", ns=(1, 1))
    quals = Signed()
    quals.reference_scores = None
    quals.qagen.only_gazette, quals.qagen.config, quals.qagen.eos_token_id = False, quals.qagen, 2
    capsys.readouterr()
    status, table, _ = run(*FLAGS, "--output", "joined", "--report", "r.html", quals=quals)
    assert status == 0 and quals.blocks == 0 and table.replace("report         r.html\n", "") == shards
    assert "dddd" in Path("r.html").read_text()
    for texts in (TEXTS[:-1], (*TEXTS, "h"), ("x", *TEXTS[1:])):
        Path("i.jsonl").write_bytes(lines(*texts, document="a document"))
        refused(run(*FLAGS, "--output", "joined", quals=Signed()), "joined: was made")


def test_a_merged_output_is_compared_and_kept_as_a_distribution(shards, tiny_model, tmp_path, capsys):
    from quals_jax.checkpoints import load_checkpoint

    merge(["joined", "s0", "s1"])
    assert compare(["whole", "joined"]) == 0
    taken = capsys.readouterr()
    assert "difference (second - first): +0.000" in taken.out and not taken.err
    with pytest.raises(UserError, match="joined: was scored by other weights .* than those in"):
        distribution.main(["joined", str(tiny_model), "--of", "x"])
    record = json.loads(Path("joined.run.json").read_text())
    record["arguments"]["weights"] = load_checkpoint(tiny_model).fingerprint
    Path("joined.run.json").write_text(json.dumps(record))
    try:
        assert distribution.main(["joined", str(tiny_model), "--of", "x"]) == 0
        assert json.loads((tiny_model / "quals_distribution.json").read_text())["quals"] == [-4, -2, -2, -1, -1, -1]
    finally:
        (tiny_model / "quals_distribution.json").unlink()


def test_shards_of_two_signatures_are_joined_by_force_alone(run, capsys):  # noqa: F811
    Path("i.jsonl").write_bytes(lines(*TEXTS))
    for index, backend in enumerate(("cpu", "cuda")):
        run(*FLAGS, "--output", f"s{index}", "--shard", f"{index}/2", quals=Signed(backend))
    with pytest.raises(UserError, match=r"s1: has another signature than s0 \(.*backend:cuda.*backend:cpu"):
        merge(["joined", "s0", "s1"])
    assert not Path("joined").exists() and merge(["joined", "s0", "s1", "--force"]) == 0
    taken = capsys.readouterr()
    assert "warning: s1: has another signature" in taken.err and "| backend:cpu+cuda |" in taken.out.splitlines()[-1]


def test_joint_signatures():
    assert joint_signature(["a:1 | b:2"] * 2) == "a:1 | b:2"
    assert joint_signature(["a:1 | b:2", "a:1 | b:3 | c:4", "a:1 | b:2"]) == "a:1 | b:2+3 | c:4"


def scores(name, *rows, signature=None, **fields):
    common = {"summary_index": 0, "quals": -1.0, "summary": "s", "document": "d"} | fields
    Path(name).write_text("".join(json.dumps(common | row) + "\n" for row in rows))
    if signature:
        Path(f"{name}.run.json").write_text(json.dumps({"arguments": {"signature": signature}}))
    return name


def test_documents_of_one_key_must_be_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    first = scores("a", {"id": 1}, {"id": "x", "document": "the first"})
    second = scores("b", {"id": 1}, {"id": "x", "document": "another"})
    with pytest.raises(UserError, match='a and b hold other documents: that of id "x", summary 0 differs'):
        compare([first, second])
    assert compare([first, second, "--force"]) == 0
    assert "warning: a and b hold other documents" in capsys.readouterr().err
    assert compare([first, scores("c", {"id": 1}, {"id": "x", "document": "the first", "summary": "other"})]) == 0
    Path("d").write_bytes(b"\xef\xbb\xbf" + Path("a").read_bytes())
    assert compare([first, "d"]) == 0 and not capsys.readouterr().err


def test_other_settings_are_warned_of(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    usual = "model:m@00000000 | groups:60 | dtype:float32 | backend:cpu | version:0.1.0"
    first = scores("a", {"id": 1}, signature=usual)
    for number, (signature, told) in enumerate(
        (
            (usual.replace("cpu", "cuda").replace("0.1.0", "0.2.0"), None),
            (usual.replace("groups:60", "groups:12"), "(groups 60 and 12)"),
            (usual.replace("m@00000000", "n@11111111"), "(model m@00000000 and n@11111111)"),
            (usual.replace("float32", "bfloat16 | beams:7"), "(dtype float32 and bfloat16, beams as usual and 7)"),
        )
    ):
        assert compare([first, scores(f"b{number}", {"id": 1}, signature=signature)]) == 0
        error = capsys.readouterr().err
        assert error == "" if told is None else told in error and error.count("\n") == 1
        compare([first, f"b{number}", "--force"])
        assert capsys.readouterr().err == ""
    for broken in ("{", "[]", '{"arguments": 5}', '{"arguments": {"signature": 5}}'):
        Path("b0.run.json").write_text(broken)
        assert compare([first, "b0"]) == 0
    assert different_settings(None, usual) == []
