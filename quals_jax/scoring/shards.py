"""Which blocks of a job are one process's."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from quals_jax.errors import TRY_AGAIN, UserError
from quals_jax.peers import Peers, watch
from quals_jax.scoring.job import AUTO, ScoreJob


def shard_of(text: str | None) -> tuple[int, int]:
    """(index, count) of `I/N`; (0, 1) without."""
    if text is None:
        return 0, 1
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise UserError(f"--shard is {text!r}; it must be I/N with I from 0 to N - 1, such as 0/4")
    return int(index), int(count)


def among_processes(job: ScoreJob, *, distributed: bool) -> tuple[ScoreJob, Peers | None]:
    """The job of this process, where JAX's distributed runtime is up, or is to be started (`distributed`); and the others.

    There every process is given the same flags, so each writes to a name of its own.

    Raises:
        UserError: if the others are not found.
    """
    if distributed:
        from quals_jax import parallel

        try:
            parallel.start_processes(detect=True)
        except parallel.PeerGone:
            raise
        except (ValueError, RuntimeError) as error:
            raise UserError(f"--distributed: {error}") from None
    if job.shard or not job.output or "jax" not in sys.modules:
        return job, None
    import jax

    if not jax.distributed.is_initialized():
        return job, None
    index, count = jax.process_index(), jax.process_count()
    try:
        peers = watch(_left_alone, leave=distributed)
    except OSError as error:
        raise UserError(f"the other processes are not reached ({error}); use --shard I/N instead") from None
    if count == 1:
        return job, peers
    from quals_jax.batch_size import ON_CPU, rows_together

    rows = ON_CPU if job.batch_size == AUTO else job.batch_size
    own = f"{index}-of-{count}"
    return replace(
        job,
        shard=f"{index}/{count}",
        block_rows=job.block_rows or rows_together(rows * jax.local_device_count()),
        output=f"{job.output}.{own}",
        report=job.report and f"{job.report}.{own}.html",
        summary_json=job.summary_json and f"{job.summary_json}.{own}",
    ), peers


def _left_alone() -> None:
    """Another process has ended before its work was done. What is written so far stays."""
    os.write(2, b"score.py: another process is gone; the same command goes on from there\n")
    os._exit(TRY_AGAIN)
