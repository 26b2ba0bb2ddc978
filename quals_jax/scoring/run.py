"""A job, block after block: into a file that can be resumed, or handed on as rows."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from quals_jax.errors import UserError
from quals_jax.profiling import profiled
from quals_jax.scoring.blocks import Block, look_ahead, read_blocks, read_rows, run_blocks
from quals_jax.scoring.job import AUTO, ScoreJob
from quals_jax.scoring.ledger import Ledger, began_with
from quals_jax.scoring.metric import load_quals
from quals_jax.scoring.output import as_line, carried, output_rows, score_block
from quals_jax.scoring.progress import Progress
from quals_jax.scoring.row import Row
from quals_jax.scoring.shards import shard_of
from quals_jax.scoring.table import Summary
from quals_jax.world import OutsideWorldWarning, Strangers


@dataclass
class Outcome:
    """What a job came to. said: what the model's loading warned of. skipped: how many rows were left out, and messages: why, of the
    first. blocks: how many are done, where the job was stopped before its end; None where it was not. counted: whether any rows were
    scored by this run, and not by one before it."""

    quals: object
    summary: Summary
    said: list[str]
    skipped: int = 0
    messages: list[str] = field(default_factory=list)
    blocks: int | None = None
    counted: bool = True


def run(job: ScoreJob, prepare: Callable[[], None], emit: Callable[[list[dict]], None]) -> Outcome:
    """Reads, scores and writes block after block. Errors in the first block show before `prepare()`, which comes before JAX. Without an
    output file the rows of every block are handed to `emit`, in order.

    Raises:
        UserError: for all that the user can mend.
    """
    if job.piped and job.output and not job.overwrite:
        _refuse_old_output(job.output)
    stamps = job.stamps()  # before anything is read: what changes from now on shows
    shard = shard_of(job.shard)
    seen = hashlib.sha256() if shard[1] > 1 else None  # for a merge: that all shards were given the same input
    first, rows = look_ahead(job, read_rows(job))
    _require_group(job.group_by, first)
    prepare()
    from quals_jax.batch_size import rows_together

    if job.batch_size == AUTO:
        job = replace(job, batch_size=_as_begun(job, "batch_size") or AUTO)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        quals = load_quals(job)
    if job.batch_size == AUTO:
        job = replace(job, batch_size=quals.qagen.batch_size)
    warnings.simplefilter("ignore", OutsideWorldWarning)  # the table and the report say it
    said = [str(warning.message) for warning in said if warning.category is UserWarning]
    if job.block_rows is None:
        # Shards must have equal blocks, whatever machines they are scored on.
        places = quals.qagen.batch_size if job.shard else quals.qagen.runner.rows_at_once
        job = replace(job, block_rows=_as_begun(job, "block_rows") or rows_together(places))
    blocks = read_blocks(job, shard, seen, rows)
    if job.output:
        return _to_file(job, Outcome(quals, _summary(job, quals), said), blocks, stamps, seen)
    return _handed_on(job, Outcome(quals, _summary(job, quals), said), blocks, emit)


def _summary(job: ScoreJob, quals) -> Summary:
    """Counts, where the model is the embedded one, texts that it knows nothing of too."""
    return Summary(Strangers() if getattr(quals.qagen, "only_gazette", False) else None, job.group_by)


def _as_begun(job: ScoreJob, name: str):
    """What a run that goes on had for a setting that was left open; None where none goes on."""
    return began_with(job.output, name) if job.output and not job.overwrite else None


def _require_group(field: str | None, rows: list[Row]) -> None:
    """Finds before the work a field that is misspelt."""
    has = {"id": None} | {name: None for row in rows for name in carried(row)}
    if field and rows and field not in {*has, "summary_index", "truncated", "summary_truncated"}:
        raise UserError(f"--group_by {field}: the rows have no such field; they have {', '.join(map(repr, has))}")


def _refuse_old_output(output: str) -> None:
    """Of standard input nothing says whether it holds the same rows."""
    for path in (output, f"{output}.partial"):
        if os.path.exists(path):
            raise UserError(
                f"{path}: is there already; a run from standard input cannot be resumed, --overwrite starts afresh"
            )


def _to_file(job: ScoreJob, outcome: Outcome, blocks: Iterator[Block], stamps: dict, seen) -> Outcome:
    quals, progress = outcome.quals, Progress(verbose=job.verbose)
    with contextlib.closing(Ledger(job.output, job.arguments(quals), overwrite=job.overwrite, stamps=stamps)) as ledger:
        last = ledger.check_input(blocks)
        progress.begin(_share(last))

        def write(block: Block, results: list) -> None:
            written = output_rows(quals, block, results, insist=job.force, f1=job.f1)
            ledger.append([as_line(row) for row in written], block.skipped, block.fingerprint)
            progress.add(len(block.rows), sum(row["num_pairs"] for row in written), _share(block))
            unit_done()

        if not ledger.finished:
            with _stoppable(not job.piped) as stopped, profiled(job.profile) as unit_done:
                run_blocks(blocks, _working(quals, progress), write, stopped.is_set)
            progress.close()
            if stopped.is_set():
                outcome.blocks = ledger.blocks
                return outcome
            ledger.finish(seen.hexdigest() if seen else "")
    with open(ledger.output, encoding="utf-8", newline="\n") as lines:
        outcome.summary = Summary.of_lines(lines, outcome.summary.strangers, job.group_by)
    outcome.skipped, outcome.messages, outcome.counted = ledger.skipped, ledger.messages, progress.rows > 0
    return outcome


def _handed_on(job: ScoreJob, outcome: Outcome, blocks: Iterator[Block], emit: Callable) -> Outcome:
    quals, progress = outcome.quals, Progress(verbose=job.verbose)

    def write(block: Block, results: list) -> None:
        written = output_rows(quals, block, results, insist=job.force, f1=job.f1)
        emit(written)
        for row in written:
            outcome.summary.add(row)
        outcome.messages.extend(block.skipped)
        progress.add(len(block.rows), sum(row["num_pairs"] for row in written), _share(block))
        unit_done()

    with profiled(job.profile) as unit_done:
        run_blocks(blocks, _working(quals, progress), write, lambda: False)
    progress.close()
    outcome.skipped = len(outcome.messages)
    return outcome


def _working(quals, progress: Progress) -> Callable[[Block], list]:
    """Scores a block, and has the model tell how far it is."""
    quals.qagen.runner.on_texts = progress.texts

    def work(block: Block) -> list:
        progress.enter(len(block.rows), _share(block))
        return score_block(quals, block)

    return work


def _share(block: Block | None) -> float | None:
    """How much of the input is read with this block."""
    return block.rows[-1].share if block and block.rows else None


@contextlib.contextmanager
def _stoppable(can_resume: bool) -> Iterator[threading.Event]:
    """An event that SIGTERM sets, where a stopped run can go on."""
    stopped = threading.Event()
    if not can_resume or threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGTERM, before)
