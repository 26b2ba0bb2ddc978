"""`score.py`: QUALS of many summaries, as a stream that can be killed and goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from quals_jax.commands.errors import UserError, standard_output
from quals_jax.commands.manners import TRY_AGAIN, open_streams, politely
from quals_jax.commands.score_flags import AUTO, check, parser, shard_of
from quals_jax.peers import Peers, watch
from quals_jax.profiling import profiled
from quals_jax.remote import is_url, local_name, send
from quals_jax.scoring.blocks import Block, RowSource, read_blocks, run_blocks
from quals_jax.scoring.ledger import began_with
from quals_jax.scoring.output import as_line, carried, output_rows, score_block
from quals_jax.scoring.remote_output import bring, publish, write_json
from quals_jax.world import ONLY_GAZETTE, OutsideWorldWarning, Strangers

FILES = ("input", "documents", "summaries")
FAILED = 1  # the status where a threshold is missed


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit status."""
    open_streams()  # --help is printed too
    options = parser().parse_args(arguments)

    def command(_) -> int:
        check(options)
        return score(options)

    no_room = f"--batch_size {options.batch_size}: memory does not hold so many rows at once; take fewer (--overwrite starts afresh)"
    return politely(
        command, arguments, name="score.py", no_room=no_room, goes_on=bool(options.output) and not _piped(options)
    )


def score(options) -> int:
    """Reads, scores and writes block after block; then the table."""
    shard, peers = find_shard(options)
    status = _score(options, shard)
    if peers and status in (0, FAILED):
        peers.done()
    return status


def _score(options, shard: tuple[int, int]) -> int:
    from quals_jax.commands.runtime import prepare

    options.sent_to = options.output if is_url(options.output) else None
    if options.sent_to:
        options.output = str(bring(options.sent_to, overwrite=options.overwrite))
    if _piped(options) and options.output and not options.overwrite:
        _refuse_old_output(options.output)
    stamps = _stamps(options)  # before anything is read: what changes from now on shows
    seen = hashlib.sha256() if shard[1] > 1 else None  # for a merge: that all shards were given the same input
    blocks = read_blocks(row_source(options), shard, seen)
    first = next(blocks, None)  # before anything is loaded: an error in it shows at once
    if first is not None:
        _require_group(options.group_by, first)
    prepare(options.verbose)
    if options.batch_size == AUTO and options.output and not options.overwrite:
        options.batch_size = began_with(options.output, "batch_size") or AUTO
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        quals = load_quals(options)
    if options.batch_size == AUTO:
        options.batch_size = quals.qagen.batch_size
    warnings.simplefilter("ignore", OutsideWorldWarning)  # the table and the report say it
    options.said = [str(warning.message) for warning in said if warning.category is UserWarning]
    blocks = itertools.chain([] if first is None else [first], blocks)
    if options.output:
        return _to_file(options, quals, blocks, stamps, seen)
    return _to_standard_output(options, quals, blocks)


def _require_group(field: str | None, block: Block) -> None:
    """Finds before the work a field that is misspelt."""
    has = {"id": None} | {name: None for row in block.rows for name in carried(row)}
    if field and block.rows and field not in {*has, "summary_index", "truncated", "summary_truncated"}:
        raise UserError(f"--group_by {field}: the rows have no such field; they have {', '.join(map(repr, has))}")


def row_source(options) -> RowSource:
    """Where the flags say that rows come from."""
    return RowSource(**{field.name: getattr(options, field.name) for field in dataclasses.fields(RowSource)})


def find_shard(options) -> tuple[tuple[int, int], Peers | None]:
    """Which blocks are this process's, (index, count): by --shard, or as JAX's distributed runtime says where it is up; and the others.

    There every process is given the same flags, so each writes to a name of its own.
    """
    if options.distributed:
        from quals_jax import parallel
        from quals_jax.commands.runtime import prepare

        prepare(options.verbose)
        try:
            parallel.start_processes(detect=True)
        except parallel.PeerGone:
            raise
        except (ValueError, RuntimeError) as error:
            raise UserError(f"--distributed: {error}") from None
    if options.shard or not options.output or "jax" not in sys.modules:
        return shard_of(options.shard), None
    import jax

    if not jax.distributed.is_initialized():
        return (0, 1), None
    index, count = jax.process_index(), jax.process_count()
    try:
        peers = watch(_left_alone, leave=options.distributed)
    except OSError as error:
        raise UserError(f"the other processes are not reached ({error}); use --shard I/N instead") from None
    if count > 1:
        options.shard = f"{index}/{count}"
        own = options.shard.replace("/", "-of-")
        options.output = f"{options.output}.{own}"
        options.report = options.report and f"{options.report}.{own}.html"
        options.summary_json = options.summary_json and f"{options.summary_json}.{own}"
    return (index, count), peers


def _left_alone() -> None:
    """Another process has ended before its work was done. What is written so far stays."""
    os.write(2, b"score.py: another process is gone; the same command goes on from there\n")
    os._exit(TRY_AGAIN)


def load_quals(options):
    """The metric, as the flags want it.

    Raises:
        UserError: where the model cannot be loaded, in one line.
    """
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.qagen import EMBEDDED, QAGen
    from quals_jax.quals import Quals

    if options.model is None and not (EMBEDDED / "config.json").exists():
        raise UserError("there is no embedded model in this copy; name one with --model")
    search = SearchConfig(options.num_beams, options.num_groups, options.diversity_strength, covering=options.covering)
    try:
        qagen = QAGen.from_pretrained(
            options.model, options.tokenizer, search, options.dtype, options.batch_size,
            pair_format=options.pair_format, revision=options.revision,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    return Quals(
        qagen, options.max_pairs or None, options.summary_score, options.long_documents,
        document_answers=options.document_answers or options.f1,
    )  # fmt: skip


def _piped(options) -> bool:
    return "-" in [getattr(options, name) for name in FILES]


def _refuse_old_output(output: str) -> None:
    """Of standard input nothing says whether it holds the same rows."""
    for path in (output, f"{output}.partial"):
        if os.path.exists(path):
            raise UserError(
                f"{path}: is there already; a run from standard input cannot be resumed, --overwrite starts afresh"
            )


def _paths(options) -> dict[str, str]:
    """The files of the input by the flags that name them."""
    given = {name: getattr(options, name) for name in FILES if getattr(options, name) is not None}
    if isinstance(several := given.get("input"), list):
        return {f"input {number}": path for number, path in enumerate(several)}
    return given


def _stamps(options) -> dict[str, list[int]]:
    """What changes when a file of the input is changed or replaced; nothing where one is no file."""
    paths = _paths(options)
    if not all(map(os.path.isfile, paths.values())):
        return {}
    found = {name: os.stat(path) for name, path in paths.items()}
    return {name: [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino] for name, stat in found.items()}


def _arguments(options, quals) -> dict:
    """All that shapes the output, but for the rows of the input: those the ledger compares."""
    names = (*FILES, "document", "summary", "on_error", "block_rows", "batch_size", "shard", "tokenizer")
    values = {name: getattr(options, name) for name in names}
    sizes = {name: os.path.getsize(path) for name, path in _paths(options).items() if os.path.isfile(path)}
    for name in ("document_column", "summary_column", "id_column", "encoding"):
        if getattr(options, name) is not None:
            values[name] = getattr(options, name)
    for name in ("force", "document_answers", "f1"):
        if getattr(options, name):
            values[name] = True
    return {**values, "sizes": sizes, "signature": quals.signature, "weights": quals.qagen.fingerprint}


def _to_file(options, quals, blocks, stamps: dict, seen) -> int:
    from quals_jax.scoring.ledger import Ledger
    from quals_jax.scoring.progress import Progress

    with contextlib.closing(
        Ledger(options.output, _arguments(options, quals), overwrite=options.overwrite, stamps=stamps)
    ) as ledger:
        last = ledger.check_input(blocks)
        progress = Progress(verbose=options.verbose)
        progress.begin(_share(last))

        def write(block: Block, results: list) -> None:
            written = output_rows(quals, block, results, insist=options.force, f1=options.f1)
            ledger.append([as_line(row) for row in written], block.skipped, block.fingerprint)
            progress.add(len(block.rows), sum(row["num_pairs"] for row in written), _share(block))
            unit_done()

        if not ledger.finished:
            with _stoppable(not _piped(options)) as stopped, profiled(options.profile) as unit_done:
                run_blocks(blocks, lambda block: score_block(quals, block), write, stopped.is_set)
            progress.close()
            if stopped.is_set():
                print(f"stopped after {ledger.blocks} blocks; the same command goes on from there", file=sys.stderr)
                return 128 + signal.SIGTERM
            ledger.finish(seen.hexdigest() if seen else "")
    if options.sent_to:
        publish(ledger.output, options.sent_to)
    return _conclude(options, quals, ledger, counted=progress.rows > 0)


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


def _to_standard_output(options, quals, blocks) -> int:
    from quals_jax.scoring.progress import Progress
    from quals_jax.scoring.table import Summary

    summary, skipped = Summary(_strangers(quals), options.group_by), []
    progress = Progress(verbose=options.verbose)

    def write(block: Block, results: list) -> None:
        written = output_rows(quals, block, results, insist=options.force, f1=options.f1)
        with standard_output():
            for row in written:
                if not options.quiet:
                    print(as_line(row))
                summary.add(row)
        skipped.extend(block.skipped)
        progress.add(len(block.rows), sum(row["num_pairs"] for row in written), _share(block))
        unit_done()

    with profiled(options.profile) as unit_done:
        run_blocks(blocks, lambda block: score_block(quals, block), write, lambda: False)
    progress.close()
    if options.quiet:
        _print_mean(summary)
    else:
        for line in summary.lines(quals.signature, skipped=len(skipped), notes=_notes(options, summary, skipped)):
            print(line, file=sys.stderr)
    return _told(options, summary, quals, len(skipped))


def _conclude(options, quals, ledger, *, counted: bool) -> int:
    """The table, the report and the summary; the exit status."""
    from quals_jax.scoring.table import Summary

    with open(ledger.output, encoding="utf-8", newline="\n") as lines:
        summary = Summary.of_lines(lines, _strangers(quals), options.group_by)
    notes = _notes(options, summary, [])
    table = summary.lines(quals.signature, skipped=ledger.skipped, notes=notes + _skipped(ledger.messages))
    if options.report:
        from quals_jax.corpus import write_quals_report

        page = local_name(options.report) if is_url(options.report) else Path(options.report)
        try:
            write_quals_report(
                page, ledger.output, quals, shown=options.report_rows, group_by=options.group_by, notes=notes,
                insist=options.force, sentence_rows=options.report_sentences,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"{options.report}: cannot be written ({error.strerror or error})") from None
        if is_url(options.report):
            send(page, options.report)
        table.insert(-2, f"report         {options.report}")
    if options.verbose and counted:
        table.insert(-2, f"padding        {quals.qagen.padding:.1%} of the documents' positions")
    if options.quiet:
        _print_mean(summary)
    else:
        with standard_output():
            print("\n".join(table))
    return _told(options, summary, quals, ledger.skipped)


def _print_mean(summary) -> None:
    """The mean alone; and on standard error what must not be left unsaid."""
    if summary.strangers and (note := summary.strangers.note("name a model that knows such texts with --model")):
        print(f"note: {note}", file=sys.stderr)
    with standard_output():
        print("none" if summary.mean is None else summary.mean)


def _told(options, summary, quals, skipped: int) -> int:
    """Writes the summary as JSON; the exit status, 1 where the mean is below the threshold."""
    if options.summary_json:
        write_json(options.summary_json, summary.to_dict(quals.signature, skipped=skipped))
    if options.fail_below is None:
        return 0
    if summary.mean is None:
        print(f"no summary has a score, and --fail_below is {options.fail_below:g}", file=sys.stderr)
    elif summary.mean < options.fail_below:
        print(f"the mean is {summary.mean:.4f}, below --fail_below {options.fail_below:g}", file=sys.stderr)
    else:
        return 0
    return FAILED


def _strangers(quals) -> Strangers | None:
    """Counts texts that the model knows nothing of, where it is the embedded one."""
    return Strangers() if getattr(quals.qagen, "only_gazette", False) else None


def _notes(options, summary, skipped: list[str]) -> list[str]:
    """What must be said of the scores: of the embedded model's always, and more where the texts are not of its world."""
    notes = list(options.said)
    if options.model is None or summary.strangers:
        notes.append(ONLY_GAZETTE)
    kept = "percentiles and marks are given as asked for" if options.force else "there are no percentiles and no marks"
    if summary.strangers and (
        note := summary.strangers.note(f"{kept}; name a model that knows such texts with --model")
    ):
        notes[-1] = note
    return notes + _skipped(skipped)


def _skipped(messages: list[str]) -> list[str]:
    return [f"skipped: {message}" for message in messages[:3]]
