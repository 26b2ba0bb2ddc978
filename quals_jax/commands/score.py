"""`score.py`: QUALS of many summaries, as a stream that can be killed and goes on."""

from __future__ import annotations

import dataclasses
import signal
import sys
from pathlib import Path

from quals_jax.commands.errors import UserError, standard_output
from quals_jax.commands.manners import open_streams, politely
from quals_jax.commands.score_flags import check, parser
from quals_jax.remote import is_url, local_name, send
from quals_jax.scoring.job import ScoreJob
from quals_jax.world import ONLY_GAZETTE

FAILED = 1  # the status where a threshold is missed


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit status."""
    open_streams()  # --help is printed too
    options = parser().parse_args(arguments)

    def command(_) -> int:
        check(options)
        return score(job_of(options), distributed=options.distributed)

    no_room = f"--batch_size {options.batch_size}: memory does not hold so many rows at once; take fewer (--overwrite starts afresh)"
    goes_on = bool(options.output) and "-" not in (options.input, options.documents, options.summaries)
    return politely(command, arguments, name="score.py", no_room=no_room, goes_on=goes_on)


def job_of(options) -> ScoreJob:
    """What the flags ask for."""
    return ScoreJob(**{field.name: getattr(options, field.name) for field in dataclasses.fields(ScoreJob)})


def score(job: ScoreJob, *, distributed: bool = False) -> int:
    """Scores, and says what came of it; the exit status."""
    from quals_jax.commands.runtime import prepare
    from quals_jax.scoring.run import run
    from quals_jax.scoring.shards import among_processes

    if distributed:
        prepare(job.verbose)
    job, peers = among_processes(job, distributed=distributed)
    sent_to = job.output if is_url(job.output) else None
    if sent_to:
        from quals_jax.scoring.remote_output import bring, publish

        job = dataclasses.replace(job, output=str(bring(sent_to, overwrite=job.overwrite)))
    outcome = run(job, lambda: prepare(job.verbose), lambda rows: _print_rows(job, rows))
    if outcome.blocks is not None:
        print(f"stopped after {outcome.blocks} blocks; the same command goes on from there", file=sys.stderr)
        return 128 + signal.SIGTERM
    if sent_to:
        publish(Path(job.output), sent_to)
    status = _conclude(job, outcome)
    if peers:
        peers.done()
    return status


def _print_rows(job: ScoreJob, rows: list[dict]) -> None:
    from quals_jax.scoring.output import as_line

    with standard_output():
        for row in rows if not job.quiet else ():
            print(as_line(row))


def _conclude(job: ScoreJob, outcome) -> int:
    """Prints the table, writes the report and the summary; the exit status, 1 where the mean is below the threshold."""
    from quals_jax.scoring.remote_output import write_json

    summary, signature = outcome.summary, outcome.quals.signature
    notes = _notes(job, outcome)
    skipped = [f"skipped: {message}" for message in outcome.messages[:3]]
    table = summary.lines(signature, skipped=outcome.skipped, notes=notes + skipped)
    if job.report:
        _write_report(job, outcome.quals, notes)
        table.insert(-2, f"report         {job.report}")
    if job.output and job.verbose and outcome.counted:
        table.insert(-2, f"padding        {outcome.quals.qagen.padding:.1%} of the documents' positions")
    if job.quiet:
        _print_mean(summary)
    elif job.output:
        with standard_output():
            print("\n".join(table))
    else:
        print("\n".join(table), file=sys.stderr)
    if job.summary_json:
        write_json(job.summary_json, summary.to_dict(signature, skipped=outcome.skipped))
    return _passes(job.fail_below, summary.mean)


def _write_report(job: ScoreJob, quals, notes: list[str]) -> None:
    from quals_jax.corpus import write_quals_report

    page = local_name(job.report) if is_url(job.report) else Path(job.report)
    try:
        write_quals_report(
            page, Path(job.output), quals, shown=job.report_rows, group_by=job.group_by, notes=notes,
            insist=job.force, sentence_rows=job.report_sentences,
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"{job.report}: cannot be written ({error.strerror or error})") from None
    if is_url(job.report):
        send(page, job.report)


def _print_mean(summary) -> None:
    """The mean alone; and on standard error what must not be left unsaid."""
    if summary.strangers and (note := summary.strangers.note("name a model that knows such texts with --model")):
        print(f"note: {note}", file=sys.stderr)
    with standard_output():
        print("none" if summary.mean is None else summary.mean)


def _passes(least: float | None, mean: float | None) -> int:
    """The exit status; one line where the mean is not what it must be."""
    if least is None:
        return 0
    if mean is None:
        print(f"no summary has a score, and --fail_below is {least:g}", file=sys.stderr)
    elif mean < least:
        print(f"the mean is {mean:.4f}, below --fail_below {least:g}", file=sys.stderr)
    else:
        return 0
    return FAILED


def _notes(job: ScoreJob, outcome) -> list[str]:
    """What must be said of the scores: of the embedded model's always, and more where the texts are not of its world."""
    notes, strangers = list(outcome.said), outcome.summary.strangers
    if job.model is None or strangers:
        notes.append(ONLY_GAZETTE)
    kept = "percentiles and marks are given as asked for" if job.force else "there are no percentiles and no marks"
    if strangers and (note := strangers.note(f"{kept}; name a model that knows such texts with --model")):
        notes[-1] = note
    return notes
