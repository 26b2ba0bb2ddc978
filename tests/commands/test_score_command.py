"""score.py as people run it: its outputs, its one-line errors, and being killed."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quals_jax.commands.errors import UserError
from quals_jax.commands.score import job_of
from quals_jax.commands.score_flags import check, parser
from quals_jax.scoring.blocks import read_blocks
from quals_jax.scoring.shards import shard_of
from quals_jax.scoring.table import Summary

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.command


def test_rows_table_signature_and_silence(whole):
    output, done = whole
    assert done.returncode == 0 and done.stderr == ""
    written = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["id"] for row in written] == [f"r{number}" for number in range(30)]
    scored = [row["quals"] for row in written if row["quals"] is not None]
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"QUALS = {sum(scored) / len(scored):.3f} (n = {len(scored)}) | model:")
    assert (
        "groups:16 | strength:0.5 | pairs:10 | summary_score:likelihood | dtype:float32 | backend:cpu | version:0.2.0"
        in last
    )
    for row in written:
        assert row["kind"] == "x" and row["summary_index"] == 0 and row["num_pairs"] == len(row["pairs"])
        for pair in row["pairs"]:
            assert (
                len(pair["tokens"])
                == len(pair["document_logprobs"])
                == len(pair["summary_logprobs"])
                == len(pair["beam_logprobs"])
            )
        for span in row["spans"]:
            assert 0 <= span["start"] < span["end"] <= len(row["summary"])
    assert not Path(f"{output}.partial").exists()
    page = output.with_suffix(".html").read_text()
    assert "<script src" not in page and "http" not in page.replace("http-equiv", "") and "cats eat at home" in page


def test_a_killed_run_goes_on_to_the_same_bytes(whole, command, rows, one_device, tmp_path):
    output = tmp_path / "killed.jsonl"
    flags = command("--input", rows, "--output", output)
    process = subprocess.Popen(flags, env=one_device, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    record = Path(f"{output}.run.json")
    while process.poll() is None and not (record.exists() and json.loads(record.read_text())["blocks"] >= 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = subprocess.run(flags, env=one_device, capture_output=True, text=True, timeout=900)
    assert again.returncode == 0, again.stderr
    assert output.read_bytes() == whole[0].read_bytes()
    reprinted = subprocess.run(flags, env=one_device, capture_output=True, text=True, timeout=900)
    assert reprinted.stdout == again.stdout


def test_standard_input_to_standard_output(command, rows, one_device):
    lines = "".join(rows.read_text().splitlines(keepends=True)[:3])
    done = subprocess.run(
        command("--input", "-"), env=one_device, input=lines, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0 and len([json.loads(line) for line in done.stdout.splitlines()]) == 3
    assert "QUALS = " in done.stderr.splitlines()[-1]


def test_a_full_disk_behind_standard_output_is_the_last_word(command, one_device):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w") as full:
        flags = command("--document", "a cat sat", "--summary", "a cat")
        done = subprocess.run(flags, env=one_device, stdout=full, stderr=subprocess.PIPE, text=True, timeout=900)
    assert done.returncode == 2
    assert done.stderr == "standard output: cannot be written (No space left on device)\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input", "none.jsonl"], "none.jsonl: No such file"),
        (["--imput", "a"], "unrecognized arguments: --imput"),
        ([], "name one input"),
        (["--document", "d"], "name one input"),
        (["--document", " ", "--summary", "s"], "'document' is empty"),
        (["--input", "a", "--num_beams", "6", "--num_groups", "4"], "--num_groups is 4"),
        (["--input", "a", "--shard", "2/2"], "--shard is '2/2'"),
        (["--input", "a", "--report", "r.html"], "--report needs --output"),
    ],
)
def test_mistakes_are_one_line_with_status_2(flags, message, tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "score.py"), *flags], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


def test_help_fits_a_screen():
    done = subprocess.run(
        [sys.executable, str(ROOT / "score.py"), "--help"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0 and done.stdout.count("\n") < 60


def _options(*flags):
    options = parser().parse_args(list(flags))
    check(options)
    return options


def test_shards_share_out_the_blocks(rows):
    found = []
    for index in range(3):
        options = _options("--input", str(rows), "--output", "o", "--block_rows", "4", "--shard", f"{index}/3")
        found += [(number, [row.id for row in block]) for number, block, _ in read_blocks(job_of(options), (index, 3))]
    assert sorted(number for number, _ in found) == list(range(8))
    assert sorted(id for _, ids in found for id in ids) == sorted(f"r{number}" for number in range(30))
    assert shard_of("3/8") == (3, 8)


def test_shards_of_a_changed_input_have_another_hash(rows, tmp_path):
    def seen(path, index):
        options, whole = _options("--input", str(path), "--output", "o", "--block_rows", "4"), hashlib.sha256()
        list(read_blocks(job_of(options), (index, 3), whole))
        return whole.hexdigest()

    before = seen(rows, 0)
    assert seen(rows, 1) == before  # though none of its rows are the first's
    lines = rows.read_text().splitlines(keepends=True)
    changed = tmp_path / "rows.jsonl"
    changed.write_text("".join([*lines[:5], lines[6], lines[5], *lines[7:]]))  # in block 1, of the second shard
    assert seen(changed, 0) == seen(changed, 2) != before


def test_skipping_bad_rows_and_stopping_at_them(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"document": "d", "summary": "s"}\n{"document": ""}\n{"document": "e", "summary": "t"}\n')
    ((_, block, messages),) = read_blocks(job_of(_options("--input", str(path), "--on_error", "skip")))
    assert [row.number for row in block] == [0, 2] and len(messages) == 1 and "line 2" in messages[0]
    with pytest.raises(UserError, match="line 2"):
        list(read_blocks(job_of(_options("--input", str(path)))))


def test_the_table_counts_what_it_should():
    summary = Summary()
    pair = {"question": "q?", "answer": "a", "score": -2.0}
    common = {"summary_index": 0, "truncated": False, "summary": "s", "document": "long document"}
    summary.add(common | {"id": 1, "quals": -2.0, "num_pairs": 1, "pairs": [pair]})
    summary.add(common | {"id": 2, "quals": None, "num_pairs": 0, "pairs": [], "truncated": True})
    summary.add(common | {"id": 3, "quals": -1.0, "num_pairs": 1, "pairs": [pair | {"score": -1.0}]})
    lines = summary.lines("signature")
    assert lines[0].endswith("3") and "1 (33.3%)" in lines[1] and lines[2].split()[2] == "1:"
    assert lines[-1] == "QUALS = -1.500 (n = 2) | signature"
    worst = [line for line in lines if line.startswith("   -")]
    assert float(worst[0].split()[0]) == -2.0
