"""What is on disk after a kill at any moment, and who may go on from it."""

import builtins
import errno
import json
import os
from types import SimpleNamespace

import pytest

from quals_jax.commands.errors import UserError
from quals_jax.scoring.ledger import Ledger

ARGUMENTS = {"input": "a.jsonl", "signature": "s"}


def _blocks(ledger, start, stop):
    for block in range(start, stop):
        ledger.append([f'{{"block": {block}}}'])


def test_a_run_stopped_anywhere_gives_the_same_bytes(tmp_path):
    whole = Ledger(tmp_path / "whole", ARGUMENTS)
    _blocks(whole, 0, 4)
    whole.finish()
    expected = (tmp_path / "whole").read_bytes()
    for done in range(4):
        output = tmp_path / f"out{done}"
        ledger = Ledger(output, ARGUMENTS)
        _blocks(ledger, 0, done)
        ledger._file.write(b'{"half a row')  # killed while writing
        ledger._file.flush()
        ledger.close()
        again = Ledger(output, ARGUMENTS)
        assert again.blocks == done
        _blocks(again, done, 4)
        again.finish()
        assert output.read_bytes() == expected
        assert Ledger(output, ARGUMENTS).finished


def test_a_kill_between_the_last_two_steps_is_mended(tmp_path):
    ledger = Ledger(tmp_path / "out", ARGUMENTS)
    _blocks(ledger, 0, 2)
    ledger._write_record(finished=True)
    ledger.close()
    assert Ledger(tmp_path / "out", ARGUMENTS).finished
    assert (tmp_path / "out").read_text().count("\n") == 2


def test_other_arguments_are_refused_and_named(tmp_path):
    Ledger(tmp_path / "out", ARGUMENTS).close()
    with pytest.raises(UserError, match="signature 's', not 't'.*--overwrite"):
        Ledger(tmp_path / "out", ARGUMENTS | {"signature": "t"})
    ledger = Ledger(tmp_path / "out", ARGUMENTS | {"signature": "t"}, overwrite=True)
    assert ledger.blocks == 0


def test_a_second_run_is_refused_while_the_first_lives(tmp_path):
    first = Ledger(tmp_path / "out", ARGUMENTS)
    with pytest.raises(UserError, match="another run is writing"):
        Ledger(tmp_path / "out", ARGUMENTS)
    first.close()
    Ledger(tmp_path / "out", ARGUMENTS).close()


@pytest.mark.parametrize("name", ["out", "out.partial"])
def test_files_that_nobody_answers_for_are_refused(tmp_path, name):
    (tmp_path / name).write_text("precious\n")
    with pytest.raises(UserError, match=f"{name}: is there without"):
        Ledger(tmp_path / "out", ARGUMENTS)
    assert (tmp_path / name).read_text() == "precious\n"


def test_a_damaged_record_and_a_folder_are_one_line(tmp_path):
    Ledger(tmp_path / "out", ARGUMENTS).close()
    good = json.loads((tmp_path / "out.run.json").read_text())
    bad = [{}, good | {"arguments": None}, good | {"blocks": "x"}, good | {"blocks": -1}, good | {"rows": [1]}]
    for text in ("{", "[]", "null", "[" * 100_000, *map(json.dumps, bad)):
        (tmp_path / "out.run.json").write_text(text)
        with pytest.raises(UserError, match="is damaged"):
            Ledger(tmp_path / "out", ARGUMENTS)
    with pytest.raises(UserError, match="is a folder"):
        Ledger(tmp_path, ARGUMENTS)


def test_skipped_rows_are_remembered(tmp_path):
    ledger = Ledger(tmp_path / "out", ARGUMENTS)
    ledger.append([], ["line 3: bad"])
    ledger.close()
    again = Ledger(tmp_path / "out", ARGUMENTS)
    assert again.skipped == 1 and again.messages == ["line 3: bad"]
    assert json.loads((tmp_path / "out.run.json").read_text())["blocks"] == 1


def test_many_blocks_and_skipped_rows_keep_the_record_small(tmp_path):
    ledger = Ledger(tmp_path / "out", ARGUMENTS | {"shard": "0/2"})
    for _ in range(200):
        ledger.append(["{}"] * 3, ["bad"] * 7)
    ledger.append(["{}"], [])
    assert ledger.rows == [[3, 200], [1, 1]] and ledger.skipped == 1400 and len(ledger.messages) == 20
    ledger.close()
    assert (tmp_path / "out.run.json").stat().st_size < 1000


def test_a_finished_output_that_was_changed_is_refused(tmp_path):
    ledger = Ledger(tmp_path / "out", ARGUMENTS)
    _blocks(ledger, 0, 2)
    ledger.finish()
    with open(tmp_path / "out", "a") as file:
        file.write("more\n")
    with pytest.raises(UserError, match="has not the length"):
        Ledger(tmp_path / "out", ARGUMENTS)


def _read(*fingerprints):
    return iter([SimpleNamespace(fingerprint=fingerprint) for fingerprint in fingerprints])


def test_the_input_is_compared_with_what_was_read(tmp_path):
    ledger = Ledger(tmp_path / "out", ARGUMENTS)
    for fingerprint in "ab":
        ledger.append(["{}"], fingerprint=fingerprint)
    ledger.close()
    coming = _read("a", "b", "c")
    assert Ledger(tmp_path / "out", ARGUMENTS).check_input(coming).fingerprint == "b"
    assert next(coming).fingerprint == "c"
    for other in ("ac", "ba", "a", ""):
        with pytest.raises(UserError, match="was made from other rows"):
            Ledger(tmp_path / "out", ARGUMENTS).check_input(_read(*other))
    ledger = Ledger(tmp_path / "out", ARGUMENTS)
    ledger.finish()
    Ledger(tmp_path / "out", ARGUMENTS).check_input(_read("a", "b"))
    with pytest.raises(UserError, match="was made from other rows"):
        Ledger(tmp_path / "out", ARGUMENTS).check_input(_read("a", "b", "c"))


def test_a_finished_run_over_untouched_files_reads_nothing(tmp_path):
    ledger = Ledger(tmp_path / "out", ARGUMENTS, stamps={"input": [1, 2]})
    ledger.append(["{}"], fingerprint="a")
    ledger.finish()
    unread = _read("b")
    assert Ledger(tmp_path / "out", ARGUMENTS, stamps={"input": [1, 2]}).check_input(unread) is None
    assert next(unread).fingerprint == "b"
    for stamps in ({"input": [1, 3]}, {}, None):
        with pytest.raises(UserError, match="was made from other rows"):
            Ledger(tmp_path / "out", ARGUMENTS, stamps=stamps).check_input(_read("b"))


def test_a_finished_run_needs_no_right_to_write(tmp_path, monkeypatch):
    ledger = Ledger(tmp_path / "out", ARGUMENTS)
    _blocks(ledger, 0, 2)
    ledger.finish()

    def read_only(path, mode="r", *rest, **named):
        if mode[0] != "r":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, mode, *rest, **named)

    opened = builtins.open
    monkeypatch.setattr(builtins, "open", read_only)
    assert Ledger(tmp_path / "out", ARGUMENTS).finished
    with pytest.raises(UserError, match=r"other.partial: cannot be written \(Permission denied"):
        Ledger(tmp_path / "other", ARGUMENTS)


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(UserError, match="cannot be locked there .*name an output on a local disk"):
        Ledger(tmp_path / "out", ARGUMENTS)


def test_a_finished_run_without_rows_is_mended(tmp_path):
    ledger = Ledger(tmp_path / "out", ARGUMENTS)
    ledger.append([], ["line 1: bad"])
    ledger._write_record(finished=True)
    ledger.close(keep=True)
    assert Ledger(tmp_path / "out", ARGUMENTS).finished and (tmp_path / "out").exists()


def test_devices_are_no_outputs(tmp_path):
    with pytest.raises(UserError, match="/dev/null: is a device"):
        Ledger("/dev/null", ARGUMENTS, overwrite=True)
