"""score.py in this process, with a metric that costs nothing: old results, outputs that cannot be written, and mistakes."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from fake_quals import FakeQuals

from quals_jax.commands import score


def lines(*summaries, **fields):
    return "".join(json.dumps({"document": "d", "summary": text} | fields) + "\n" for text in summaries).encode()


def refused(result, *parts):
    status, _, error = result
    assert status == 2 and error.count("\n") == 1, error
    assert all(part in error for part in parts), error


FLAGS = ("--input", "i.jsonl", "--output", "o.jsonl", "--block_rows", 2)


class Killed(BaseException):
    pass


def kill_after(blocks):
    """A metric in whose hands the process dies."""
    quals = FakeQuals()
    whole = quals.score

    def score_or_die(documents, summaries):
        if quals.blocks == blocks:
            raise Killed
        return whole(documents, summaries)

    quals.score = score_or_die
    return quals


def test_a_finished_run_of_other_rows_is_refused_and_of_the_same_reprinted(run):
    Path("i.jsonl").write_bytes(lines("a", "b", "c", "dd"))
    first = run(*FLAGS)
    assert first[0] == 0 and run(*FLAGS) == first
    os.utime("i.jsonl", ns=(1, 1))
    assert run(*FLAGS) == first  # touched, and still the same rows
    for rows in (
        lines("a", "b", "c", "ee"),
        lines("a", "b", "c", "dd").replace(b'"document": "d"', b'"document": "e"'),
    ):
        Path("i.jsonl").write_bytes(rows)
        refused(run(*FLAGS), "o.jsonl: was made from other rows", "--overwrite")
    assert run(*FLAGS, "--overwrite")[0] == 0


def test_files_moved_together_still_fit(run, tmp_path, monkeypatch):
    Path("i.jsonl").write_bytes(lines("a", "b", "c"))
    first = run(*FLAGS)
    shutil.copytree(tmp_path, tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert run(*FLAGS) == first


@pytest.mark.parametrize("blocks", [0, 1, 2, 3])
def test_a_killed_run_goes_on_with_the_same_rows_alone(run, blocks):
    texts = ["a", "b", "c", "d", "e", "f", "g"]
    Path("i.jsonl").write_bytes(lines(*texts))
    assert run("--input", "i.jsonl", "--output", "whole.jsonl", "--block_rows", 2)[0] == 0
    with pytest.raises(Killed):
        run(*FLAGS, quals=kill_after(blocks))
    for changed in range(2 * blocks):
        Path("i.jsonl").write_bytes(lines(*texts[:changed], "x", *texts[changed + 1 :]))
        refused(run(*FLAGS), "o.jsonl: was made from other rows")
    Path("i.jsonl").write_bytes(lines(*texts))
    assert run(*FLAGS)[0] == 0
    assert Path("o.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def test_standard_input_never_gets_an_old_result(run):
    piped = ("--input", "-", "--output", "o.jsonl")
    first = run(*piped, stdin=lines("a"))
    assert first[0] == 0
    for rows in (lines("a"), lines("a", "b")):
        refused(run(*piped, stdin=rows), "o.jsonl: is there already", "standard input", "--overwrite")
    assert "n = 2" in run(*piped, "--overwrite", stdin=lines("a", "b"))[1]


def test_all_rows_skipped_and_killed_before_the_last_step(run):
    Path("i.jsonl").write_text("{}\n")
    flags = (*FLAGS, "--on_error", "skip")
    first = run(*flags)
    assert first[0] == 0 and "QUALS = none (n = 0)" in first[1]
    os.replace("o.jsonl", "o.jsonl.partial")
    assert run(*flags) == first and Path("o.jsonl").exists()


def test_bad_rows_of_a_csv_are_skipped(run):
    Path("i.csv").write_bytes(b'document,summary\nd,a\n"x"y,z\nd,\xe9\nd,b\n')
    status, table, _ = run("--input", "i.csv", "--output", "o.jsonl", "--on_error", "skip")
    assert status == 0 and "skipped rows   2" in table and "n = 2" in table


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--report", "o.jsonl.run.json"], ["--report is o.jsonl.run.json, which --output writes"]),
        (["--report", "i.jsonl"], ["--report and --input are the same file"]),
        (["--output", "/dev/null", "--overwrite"], ["/dev/null: is a device"]),
        (["--output", "i.jsonl", "--overwrite"], ["--input is i.jsonl, which --output writes"]),
        (["--model", "~nosuchuser/x"], ["--model is ~nosuchuser/x", "no such home folder"]),
        (["--block_rows", "9" * 20], ["--block_rows is 9999", "from 1 to"]),
        (["--batch_size", "9" * 11], ["--batch_size is 9999", "from 1 to"]),
        (["--diversity_strength", "1e300"], ["--diversity_strength is 1e+300"]),
        (["--output", "o" * 300], ["File name too long"]),
    ],
)
def test_mistakes_are_one_line(run, flags, parts):
    Path("i.jsonl").write_bytes(lines("a"))
    before = Path("i.jsonl").read_bytes()
    refused(run(*FLAGS, *flags), *parts)
    assert Path("i.jsonl").read_bytes() == before and Path("/dev/null").is_char_device()


def test_the_files_of_a_run_are_no_input(run):
    rows = lines("a")
    for ending in (".partial", ".run.json"):
        Path(f"o.jsonl{ending}").write_bytes(rows)
        refused(run("--input", f"o.jsonl{ending}", "--output", "o.jsonl", "--overwrite"), f"--input is o.jsonl{ending}")
        assert Path(f"o.jsonl{ending}").read_bytes() == rows


def test_closed_standard_streams(run, monkeypatch):
    monkeypatch.setattr("quals_jax.scoring.run.load_quals", lambda job: FakeQuals())
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(SystemExit) as end:
        score.main(["--input", "-", "--output", "o.jsonl"])
    assert end.value.code == 2
    Path("i.jsonl").write_bytes(lines("a"))
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert score.main(["--input", "i.jsonl", "--output", "o.jsonl"]) == 0


@pytest.mark.parametrize("flags", [(), ("--output", "o.jsonl")])
def test_a_full_disk_behind_standard_output_is_one_line(run, monkeypatch, flags):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    Path("i.jsonl").write_bytes(lines("a"))
    with open("/dev/full", "w") as full:
        monkeypatch.setattr("sys.stdout", full)
        status, _, error = run("--input", "i.jsonl", *flags)
        lost = [line for line in error.splitlines() if "standard output" in line]
        assert status == 2 and len(lost) == 1 and "No space left" in lost[0] and "Traceback" not in error
        assert not flags or error.count("\n") == 1


def test_a_full_disk_under_the_output_loses_nothing(run, monkeypatch):
    Path("i.jsonl").write_bytes(lines("a", "b", "c"))
    done, synced = [], os.fsync

    def fsync(descriptor):
        done.append(descriptor)
        if len(done) > 3:  # the record, a block, the record
            raise OSError(28, "No space left on device")
        synced(descriptor)

    monkeypatch.setattr("os.fsync", fsync)
    refused(run(*FLAGS), "o.jsonl: cannot be written (No space left on device)")
    monkeypatch.setattr("os.fsync", synced)
    assert (
        Path("o.jsonl.partial").read_text().count("\n") == 3
        and json.loads(Path("o.jsonl.run.json").read_text())["blocks"] == 1
    )
    assert run(*FLAGS)[0] == 0 and Path("o.jsonl").read_text().count("\n") == 3


def more_than_there_is(*_):
    """What JAX says when a device is full."""
    import jax
    import jax.numpy as jnp

    return jax.device_get(jax.jit(lambda: jnp.zeros(2**46))())


def test_a_full_device_is_one_line(run):
    Path("i.jsonl").write_bytes(lines("a"))
    quals = FakeQuals()
    quals.score = more_than_there_is
    refused(run(*FLAGS, quals=quals), "--batch_size 8", "memory")


def test_a_full_device_ends_training_in_one_line(monkeypatch, capsys):
    from quals_jax.commands import train

    monkeypatch.setattr(train, "parse", lambda arguments: (None, None))
    monkeypatch.setattr(train, "_run", more_than_there_is)
    assert train.main(["--config"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "--config.optimizer.accumulate" in error


def test_what_the_table_warns_of(run):
    Path("i.jsonl").write_bytes(lines("a long summary", "another"))
    _, table, _ = run(*FLAGS)
    assert (
        "note: most summaries are longer than their documents: were the two exchanged?" in table
        and "no pair" not in table
    )
    Path("e.jsonl").write_bytes(lines("", " ", document="a document"))
    status, table, _ = run("--input", "e.jsonl", "--output", "e.out")
    assert status == 0 and "note: no pair could be used: is the model a QAGen" in table and "exchanged" not in table
    assert "without pairs  2 (100.0%)" in table


def test_a_cut_document_is_counted_once(run):
    row = {"document": "d" * 60, "summaries": ["a", "b", "c"]}
    Path("i.jsonl").write_text((json.dumps(row) + "\n") * 2)
    _, table, _ = run(*FLAGS)
    assert "summaries      6" in table and "cut documents  2:" in table


def test_sigterm_is_ours_only_while_we_run(run):
    import signal

    before = signal.getsignal(signal.SIGTERM)
    Path("i.jsonl").write_bytes(lines("a"))
    run(*FLAGS)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_summary_that_begins_with_a_dash(run):
    status, output, _ = run("--document", "d", "--summary=-x")
    assert status == 0 and json.loads(output)["summary"] == "-x"
    assert "--summary=-x" in run("--help")[1]


@pytest.fixture
def own_environment(monkeypatch):
    for name in ("XLA_FLAGS", "TF_CPP_MIN_LOG_LEVEL", "TRANSFORMERS_VERBOSITY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


def test_messages_about_devices_are_for_those_who_ask(monkeypatch, own_environment):
    import logging

    from quals_jax.commands import runtime

    monkeypatch.setattr(runtime, "keep_compiled_programs", lambda folder: None)
    logger = logging.getLogger("jax._src.xla_bridge")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    runtime.prepare()
    assert logger.getEffectiveLevel() == logging.ERROR


def test_a_user_without_a_home_has_no_cache(monkeypatch, own_environment):
    from quals_jax.commands import runtime

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(runtime, "keep_compiled_programs", lambda folder: pytest.fail("nothing can be kept"))
    runtime.prepare()


def test_a_damaged_entry_that_cannot_be_removed_is_left(monkeypatch, tmp_path):
    import jax

    from quals_jax.commands import runtime

    kept = {
        name: getattr(jax.config, name)
        for name in ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    }
    monkeypatch.setattr("warnings.showwarning", lambda *all, **named: pytest.fail("was shown"))
    (tmp_path / "jit_x-1-cache").mkdir()  # cannot be unlinked
    try:
        runtime.keep_compiled_programs(tmp_path)
        sys.modules["warnings"].showwarning(
            "Error reading persistent compilation cache entry for 'jit_x': bad", UserWarning, "f", 1
        )
    finally:
        for name, value in kept.items():
            jax.config.update(name, value)


def test_a_batch_size_that_was_found_stands_in_the_record_and_is_used_again(run):
    Path("i.jsonl").write_bytes(lines("a", "b"))

    def recorded():
        return json.loads(Path("o.jsonl.run.json").read_text())["arguments"]["batch_size"]

    assert run(*FLAGS, "--batch_size", "auto")[0] == 0 and recorded() == 16
    other = FakeQuals()
    other.qagen.batch_size = 64  # a larger device: the run goes on as it began
    assert run(*FLAGS, "--batch_size", "auto", quals=other)[0] == 0 and recorded() == 16
    refused(run(*FLAGS, "--batch_size", 8), "batch_size 16, not 8")
    assert run(*FLAGS, "--batch_size", "auto", "--overwrite", quals=other)[0] == 0 and recorded() == 64
    assert run("--input", "i.jsonl", "--batch_size", "many")[0] == 2
    assert run("--input", "i.jsonl", "--batch_size", 0)[0] == 2


def test_blocks_suit_the_devices_and_stay_what_they_were(run):
    Path("i.jsonl").write_bytes(lines("a", "b"))

    def recorded(name="o.jsonl"):
        return json.loads(Path(f"{name}.run.json").read_text())["arguments"]["block_rows"]

    many = FakeQuals()
    many.qagen.runner.rows_at_once = 8 * 16
    assert run("--input", "i.jsonl", "--output", "o.jsonl")[0] == 0 and recorded() == 32 * 16
    assert run("--input", "i.jsonl", "--output", "o.jsonl", quals=many)[0] == 0 and recorded() == 32 * 16
    assert run("--input", "i.jsonl", "--output", "p.jsonl", quals=many)[0] == 0 and recorded("p.jsonl") == 32 * 128
    many.qagen.batch_size = 4  # of a shard, whatever machine it is on: by the batch size alone, and at least 256
    assert run("--input", "i.jsonl", "--output", "s.jsonl", "--shard", "0/2", quals=many)[0] == 0
    assert recorded("s.jsonl") == 256
