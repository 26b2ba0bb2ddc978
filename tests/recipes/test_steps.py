"""Steps: skipped where they fit, made anew where not, gone on with block by block after a kill."""

import json

import pytest

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
