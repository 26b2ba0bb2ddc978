import threading

import pytest

from quals_jax.scoring.blocks import AT_ONCE, Block, run_blocks


def blocks(count, error=None):
    for number in range(count):
        yield Block(number, [], [])
    if error:
        raise error


def test_results_are_written_in_order_whichever_is_done_first():
    second_done, written = threading.Event(), []

    def work(block):
        if block.number == 0:
            assert second_done.wait(600)  # the first block waits for the second: both are worked on at once
        elif block.number == 1:
            second_done.set()
        return block.number * 10

    run_blocks(blocks(5), work, lambda block, done: written.append((block.number, done)), lambda: False)
    assert written == [(number, number * 10) for number in range(5)]


def test_few_blocks_are_held_however_many_there_are():
    read, written = [], []

    def source():
        for block in blocks(30):
            read.append(block.number)
            yield block
            # being worked on, in the writer's hands, and the next one
            assert len(read) - len(written) <= AT_ONCE + 3

    run_blocks(source(), lambda block: None, lambda block, _: written.append(block.number), lambda: False)
    assert written == read == list(range(30))


def test_what_came_before_a_block_that_cannot_be_read_is_written():
    written = []
    with pytest.raises(ValueError, match="row 4"):
        run_blocks(
            blocks(3, ValueError("row 4")),
            lambda block: None,
            lambda block, _: written.append(block.number),
            lambda: False,
        )
    assert written == [0, 1, 2]


@pytest.mark.parametrize("bad", range(4))
def test_nothing_behind_a_block_that_fails_is_written(bad):
    written = []

    def work(block):
        if block.number == bad:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_blocks(blocks(6), work, lambda block, _: written.append(block.number), lambda: False)
    assert written == list(range(bad))


def test_nothing_behind_a_block_that_cannot_be_written_is_written():
    written = []

    def write(block, _):
        if block.number == 1:
            raise OSError("full")
        written.append(block.number)

    with pytest.raises(OSError, match="full"):
        run_blocks(blocks(6), lambda block: None, write, lambda: False)
    assert written == [0]


def test_stopped_it_writes_what_it_has_begun():
    written = []
    run_blocks(blocks(9), lambda block: None, lambda block, _: written.append(block.number), lambda: len(written) >= 3)
    assert written == list(range(len(written))) and 3 <= len(written) <= 3 + AT_ONCE + 1
