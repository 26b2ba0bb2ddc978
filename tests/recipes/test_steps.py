"""Steps: skipped where they fit, made anew where not, gone on with block by block after a kill."""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from several import free_address

from quals_jax.recipes import steps


def rows_of(block):
    return [{"row": row, "text": f"ä{row}"} for row in block]


class Made(list):
    """Which rows were made, in order."""

    def __call__(self, block):
        self.append(list(block))
        return rows_of(block)


def test_blocks_in_order_and_a_second_run_makes_nothing(tmp_path):
    result, made = tmp_path / "rows.jsonl", Made()
    for _ in range(2):
        steps.in_blocks(result, {"a": 1}, 7, made, block_rows=3)
    assert made == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(steps.read_rows(result)) == rows_of(range(7))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl", "rows.jsonl.made.json"]


def test_other_inputs_or_a_changed_result_make_it_anew(tmp_path):
    result, made = tmp_path / "rows.jsonl", Made()
    steps.in_blocks(result, {"a": 1}, 2, made, block_rows=2)
    steps.in_blocks(result, {"a": 2}, 2, made, block_rows=2)
    assert len(made) == 2
    whole = result.read_bytes()
    result.write_bytes(whole[:-3])
    steps.in_blocks(result, {"a": 2}, 2, made, block_rows=2)
    assert len(made) == 3 and result.read_bytes() == whole


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_killed_step_goes_on_with_the_next_block(tmp_path, after):
    result, made = tmp_path / "rows.jsonl", Made()

    def killed(block):
        if len(made) == after:
            raise KeyboardInterrupt
        return made(block)

    with pytest.raises(KeyboardInterrupt):
        steps.in_blocks(result, {"a": 1}, 5, killed, block_rows=2)
    assert not result.exists()
    steps.in_blocks(result, {"a": 1}, 5, made, block_rows=2)
    assert made == [[0, 1], [2, 3], [4]] and list(steps.read_rows(result)) == rows_of(range(5))


def test_blocks_of_other_inputs_are_not_used(tmp_path):
    result, made = tmp_path / "rows.jsonl", Made()

    def killed(block):
        if block.start:
            raise KeyboardInterrupt
        return [{"row": "other"}]

    with pytest.raises(KeyboardInterrupt):
        steps.in_blocks(result, {"a": 1}, 4, killed, block_rows=2)
    steps.in_blocks(result, {"a": 2}, 4, made, block_rows=2)
    assert list(steps.read_rows(result)) == rows_of(range(4))


def test_a_folder_fits_while_its_files_are_those_noted(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"123")
    steps.note(folder, {"seed": 1})
    assert steps.fits(folder, {"seed": 1}) and not steps.fits(folder, {"seed": 2})
    (folder / "weights").write_bytes(b"124")
    assert not steps.fits(folder, {"seed": 1})


def test_a_damaged_record_fits_nothing(tmp_path):
    result = tmp_path / "rows.jsonl"
    steps.in_blocks(result, {"a": 1}, 1, rows_of, block_rows=1)
    (tmp_path / "rows.jsonl.made.json").write_text(json.dumps([1])[:2])
    assert not steps.fits(result, {"a": 1})


WAITING = """
import sys, time
from pathlib import Path
from quals_jax import parallel
parallel.start_processes(coordinator=sys.argv[1], num_processes=2, process_id=int(sys.argv[2]))
from quals_jax.recipes import steps
folder = Path(sys.argv[3])
said = []
with steps.alone(folder, lambda: (said.append(1), (folder / f"waits{sys.argv[2]}").touch())):
    print("freed" if (folder / "free").exists() else "too early", len(said), flush=True)
"""


def test_every_process_waits_for_the_lock(tmp_path):
    """Not the first alone, while the others go on into collectives."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    address = free_address()
    with (tmp_path / ".steps.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", WAITING, address, str(number), str(tmp_path)],
                cwd=Path(__file__).parents[2], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for number in range(2)
        ]  # fmt: skip
        end = time.monotonic() + 600
        while not all((tmp_path / f"waits{number}").exists() for number in range(2)) and time.monotonic() < end:
            time.sleep(0.1)
        assert all(process.poll() is None for process in processes)
        (tmp_path / "free").touch()
    ends = [process.communicate(timeout=600)[0] for process in processes]
    assert [end.splitlines()[-1] for end in ends] == ["freed 1"] * 2  # Gloo says a line of its own first


def test_after_every_block_it_says_how_far_how_fast_and_how_long_still(tmp_path):
    seconds, said = [100.0], []

    def make(block):
        seconds[0] += 4.0
        return rows_of(block)

    steps.in_blocks(tmp_path / "r.jsonl", {}, 7, make, block_rows=2, say=said.append, clock=lambda: seconds[0])
    assert said == [
        "2 of 7, 0.5/s, 0:00:12 left", "4 of 7, 0.5/s, 0:00:08 left", "6 of 7, 0.5/s, 0:00:04 left", "7 of 7, 0.5/s, 0:00:00 left",
    ]  # fmt: skip
