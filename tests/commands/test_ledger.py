"""What is on disk after a kill at any moment, and who may go on from it."""

import json

import pytest

from quals_jax.commands.errors import UserError
from quals_jax.commands.ledger import Ledger

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
    (tmp_path / "out.run.json").write_text("{")
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
