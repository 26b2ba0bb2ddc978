"""What is said of a run, on a clock of our own."""

import io

import pytest

from quals_jax.scoring.progress import LOG_SECONDS, Progress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


def test_rows_and_time_left_are_told_before_the_first_block_is_done(clock):
    progress = Progress(verbose=False, clock=clock, stream=Terminal())
    progress.enter(256, 0.5)
    clock.now = 10.0
    progress.texts(128)  # half of its summaries: a quarter of the work on half of the input
    assert progress.stream.getvalue() == "64 rows, 6.40 rows/s, 1:10 left\r".replace("1:10", "0:01:10")


def test_a_block_that_is_done_counts_as_its_rows(clock):
    progress = Progress(verbose=False, clock=clock, stream=Terminal())
    for share in (0.25, 0.5):
        progress.enter(100, share)
    progress.texts(260)
    clock.now = 30.0
    progress.add(100, 450, 0.25)
    # 130 rows: the first block, and 30 of the second; 0.25 + 0.3 * 0.25 of the input in 30 seconds
    left = 30 * (1 - 0.325) / 0.325
    assert (
        progress.stream.getvalue() == f"130 rows, 4.33 rows/s, 4.5 pairs kept per row, 0:01:{int(left) - 60:02d} left\r"
    )


def test_several_summaries_of_a_document_read_fewer_texts_and_nothing_is_said_twice(clock):
    progress = Progress(verbose=False, clock=clock, stream=Terminal())
    progress.enter(100, None)
    progress.texts(120)
    progress.add(100, 300)
    progress.enter(100, None)
    clock.now = 10.0
    progress.texts(10)
    assert progress.stream.getvalue().startswith("100 rows, 10.00 rows/s, 3.0 pairs")


def test_more_texts_than_that_are_no_more_rows_than_there_are(clock):
    progress = Progress(verbose=False, clock=clock, stream=Terminal())
    progress.enter(10, None)
    clock.now = 1.0
    progress.texts(900)
    assert progress.stream.getvalue().startswith("10 rows")


def test_what_an_earlier_run_has_done_is_no_speed_of_this_one(clock):
    progress = Progress(verbose=False, clock=clock, stream=Terminal())
    progress.begin(0.5)
    progress.enter(10, 0.75)
    clock.now = 60.0
    progress.add(10, 10, 0.75)
    assert progress.stream.getvalue().endswith("0:01:00 left\r")


def test_a_log_gets_a_line_a_minute(clock):
    progress = Progress(verbose=True, clock=clock, stream=io.StringIO())
    progress.enter(100, None)
    for _ in range(180):
        clock.now += 1.0
        progress.texts(1)
    assert progress.stream.getvalue().count("\n") == 180 // LOG_SECONDS
    silent = Progress(verbose=False, clock=clock, stream=io.StringIO())
    silent.add(5, 5)
    silent.close()
    assert silent.stream.getvalue() == ""
