"""`score.py`: QUALS of many summaries, as a stream that can be killed and goes on."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from pathlib import Path

from quals_jax.commands.blocks import Block, read_blocks, run_blocks
from quals_jax.commands.errors import UserError, fail
from quals_jax.commands.score_flags import check, parser, shard_of
from quals_jax.commands.score_rows import as_line, output_rows, score_block


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit status."""
    options = parser().parse_args(arguments)
    try:
        check(options)
        return score(options)
    except UserError as error:
        fail(error)
    except KeyboardInterrupt:
        print("interrupted" + ("; the same command goes on from there" if options.output else ""), file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def score(options) -> int:
    """Reads, scores and writes block after block; then the table."""
    from quals_jax.commands.runtime import prepare

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    shard = find_shard(options)
    blocks = read_blocks(options, shard)
    first = next(blocks, None)  # before anything is loaded: an error in it shows at once
    prepare(options.verbose)
    quals = load_quals(options)
    blocks = itertools.chain([] if first is None else [first], blocks)
    if options.output:
        return _to_file(options, quals, blocks, shard, "" if first is None else first.fingerprint)
    return _to_standard_output(options, quals, blocks)


def find_shard(options) -> tuple[int, int]:
    """Which blocks are this process's, (index, count): by --shard, or as JAX's distributed runtime says where it is up.

    There every process is given the same flags, so each writes to a name of its own.
    """
    if options.distributed:
        from quals_jax import parallel
        from quals_jax.commands.runtime import prepare

        prepare(options.verbose)
        try:
            parallel.start_processes(detect=True)
        except (ValueError, RuntimeError) as error:
            raise UserError(f"--distributed: {error}") from None
    if options.shard is None and options.output and "jax" in sys.modules:
        import jax

        if jax.distributed.is_initialized() and jax.process_count() > 1:
            options.shard = f"{jax.process_index()}/{jax.process_count()}"
            options.output = f"{options.output}.{options.shard.replace('/', '-of-')}"
            options.report = options.report and f"{options.report}.{options.shard.replace('/', '-of-')}.html"
    return shard_of(options.shard)


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
    search = SearchConfig(options.num_beams, options.num_groups, options.diversity_strength)
    try:
        qagen = QAGen.from_pretrained(options.model, options.tokenizer, search, options.dtype, options.batch_size)
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    return Quals(qagen, options.max_pairs or None, options.summary_score)


def _arguments(options, quals, first: str) -> dict:
    """All that shapes the output. The size of a file and its first rows stand for its contents."""
    from quals_jax.commands.ledger import FIRST_ROWS

    files = ("input", "documents", "summaries")
    names = (*files, "document", "summary", "on_error", "block_rows", "batch_size", "shard", "tokenizer")
    values = {name: getattr(options, name) for name in names}
    sizes = {name: os.path.getsize(values[name]) for name in files if values[name] and os.path.isfile(values[name])}
    made = {"signature": quals.signature, "weights": quals.qagen.fingerprint}
    return {**values, "sizes": sizes, FIRST_ROWS: first, **made}


def _to_file(options, quals, blocks, shard: tuple[int, int], first: str) -> int:
    from quals_jax.commands.ledger import Ledger
    from quals_jax.commands.progress import Progress

    piped = "-" in (options.input, options.documents, options.summaries)
    if piped and Path(f"{options.output}.partial").exists() and not options.overwrite:
        raise UserError(f"{options.output}: a run from standard input cannot be resumed; --overwrite starts afresh")
    ledger = Ledger(options.output, _arguments(options, quals, first), overwrite=options.overwrite)
    stopped = threading.Event()
    if not piped and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    progress = Progress(verbose=options.verbose)

    def remaining():
        for block in blocks:
            if (block.number - shard[0]) // shard[1] >= ledger.blocks:
                yield block
            else:
                progress.begin(block.rows[-1].share if block.rows else None)

    def write(block: Block, results: list) -> None:
        written = output_rows(quals, block, results)
        ledger.append([as_line(row) for row in written], block.skipped)
        progress.add(
            len(block.rows), sum(row["num_pairs"] for row in written), block.rows[-1].share if block.rows else None
        )

    if not ledger.finished:
        run_blocks(remaining(), lambda block: score_block(quals, block), write, stopped.is_set)
        progress.close()
        if stopped.is_set():
            print(f"stopped after {ledger.blocks} blocks; the same command goes on from there", file=sys.stderr)
            return 128 + signal.SIGTERM
        ledger.finish()
    ledger.close()
    _conclude(options, quals, ledger, counted=progress.rows > 0)
    return 0


def _to_standard_output(options, quals, blocks) -> int:
    from quals_jax.commands.progress import Progress
    from quals_jax.commands.table import Summary

    summary, skipped = Summary(), []
    progress = Progress(verbose=options.verbose)

    def write(block: Block, results: list) -> None:
        written = output_rows(quals, block, results)
        for row in written:
            print(as_line(row))
            summary.add(row)
        sys.stdout.flush()
        skipped.extend(block.skipped)
        progress.add(
            len(block.rows), sum(row["num_pairs"] for row in written), block.rows[-1].share if block.rows else None
        )

    run_blocks(blocks, lambda block: score_block(quals, block), write, lambda: False)
    progress.close()
    for line in summary.lines(quals.signature, skipped=len(skipped), notes=_notes(options, skipped)):
        print(line, file=sys.stderr)
    return 0


def _conclude(options, quals, ledger, *, counted: bool) -> None:
    """The table, and the report."""
    from quals_jax.commands.table import Summary

    with open(ledger.output, encoding="utf-8", newline="\n") as lines:
        summary = Summary.of_lines(lines)
    table = summary.lines(quals.signature, skipped=ledger.skipped, notes=_notes(options, ledger.messages))
    if options.report:
        from quals_jax.report import write_report
        from quals_jax.tokenizer import EOS

        tokenizer = quals.qagen.tokenizer
        names = {tokenizer.connector_id: "→", EOS: "end"}
        try:
            write_report(
                Path(options.report),
                ledger.output,
                signature=quals.signature,
                mean=summary.mean,
                token_text=lambda token: names.get(token) or tokenizer.decode([token]),
            )
        except OSError as error:
            raise UserError(f"{options.report}: cannot be written ({error.strerror or error})") from None
        table.insert(-2, f"report         {options.report}")
    if options.verbose and counted:
        table.insert(-2, f"padding        {quals.qagen.padding:.1%} of the documents' positions")
    print("\n".join(table))


def _notes(options, skipped: list[str]) -> list[str]:
    known = "the embedded model knows only Gazette, the generated newspaper; other texts need --model"
    return ([] if options.model else [known]) + [f"skipped: {message}" for message in skipped[:3]]
