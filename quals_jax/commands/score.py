"""`score.py`: QUALS of many summaries, as a stream that can be killed and goes on."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, fail

BLOCK_ROWS = 256
DESCRIPTION = "Scores summaries against their documents with QUALS. Near 0: the document supports the summary; far below 0: it does not."
EXAMPLES = """examples:
  python score.py --input pairs.jsonl --output scores.jsonl --report report.html
  python score.py --documents test.source --summaries test.hypo --model DIR_OR_PT_OR_HUB_ID
  python score.py --document "..." --summary "..."
"""


def parser() -> Parser:
    usage = "score.py (--input FILE | --documents FILE --summaries FILE | --document TEXT --summary TEXT) [--output FILE] ..."
    parser = Parser(prog="score.py", usage=usage, description=DESCRIPTION, epilog=EXAMPLES)
    given = parser.add_argument_group("input (one of the three)")
    given.add_argument(
        "--input", metavar="FILE", help="JSONL, CSV or TSV with document and summary (.gz too; - is standard input)"
    )
    given.add_argument("--documents", metavar="FILE", help="one document a line; goes with --summaries")
    given.add_argument("--summaries", metavar="FILE", help='one summary a line, or {"summaries": [...]}')
    given.add_argument("--document", metavar="TEXT", help="a single document; goes with --summary")
    given.add_argument("--summary", metavar="TEXT", help="a single summary")
    given.add_argument("--on_error", choices=("stop", "skip"), default="stop", help="what to do with a bad row (stop)")
    made = parser.add_argument_group("output")
    made.add_argument("--output", metavar="FILE", help="JSONL; without it the rows go to standard output")
    made.add_argument("--report", metavar="FILE", help="an HTML page to look at the results; needs --output")
    made.add_argument("--overwrite", action="store_true", help="start afresh even if the output is there")
    made.add_argument(
        "--shard",
        metavar="I/N",
        help="take every N-th block, the I-th of them (from 0); `python -m quals_jax merge` joins",
    )
    made.add_argument("--block_rows", type=int, default=BLOCK_ROWS, help="input rows worked on together (256)")
    made.add_argument(
        "--verbose", action="store_true", help="progress and compilations on standard error, terminal or not"
    )
    metric = parser.add_argument_group("metric")
    metric.add_argument(
        "--model",
        metavar="PATH",
        help="Hugging Face folder, fairseq .pt or hub id (the embedded one, which knows only Gazette)",
    )
    metric.add_argument("--tokenizer", metavar="DIR", help="the tokenizer's folder, if the model has none beside it")
    metric.add_argument("--num_beams", type=int, default=60, help="pairs written for a summary (60)")
    metric.add_argument("--num_groups", type=int, help="groups of diverse beam search (as many as beams)")
    metric.add_argument("--diversity_strength", type=float, default=0.5, help="(0.5)")
    metric.add_argument("--max_pairs", type=int, default=10, help="pairs kept, about; 0 keeps all (10)")
    metric.add_argument(
        "--summary_score",
        choices=("likelihood", "beam"),
        default="likelihood",
        help="beam: as the released code (likelihood)",
    )
    metric.add_argument("--batch_size", type=int, default=8, help="rows per device (8)")
    metric.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="of matrix products (float32)"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit status."""
    options = parser().parse_args(arguments)
    try:
        check(options)
        return score(options)
    except UserError as error:
        fail(error)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def check(options) -> None:
    """Refuses flags that do not go together, before anything is loaded."""
    forms = (("input",), ("documents", "summaries"), ("document", "summary"))
    used = [form for form in forms if any(getattr(options, name) is not None for name in form)]
    if len(used) != 1 or any(getattr(options, name) is None for name in used[0]):
        raise UserError(
            "score.py: name one input: --input FILE, or --documents FILE --summaries FILE, or --document TEXT --summary TEXT"
        )
    for name, low in (("num_beams", 1), ("batch_size", 1), ("block_rows", 1), ("max_pairs", 0)):
        if getattr(options, name) < low:
            raise UserError(f"--{name} is {getattr(options, name)}; it must be at least {low}")
    if options.num_groups is not None and (options.num_groups < 1 or options.num_beams % options.num_groups):
        raise UserError(f"--num_groups is {options.num_groups}; it must divide --num_beams, {options.num_beams}")
    if not 0 <= options.diversity_strength < float("inf"):
        raise UserError(f"--diversity_strength is {options.diversity_strength}; it must be at least 0")
    if options.report and not options.output:
        raise UserError("--report needs --output, from which it is made")
    if options.shard is not None:
        shard_of(options.shard)
        if not options.output:
            raise UserError("--shard needs --output")


def shard_of(text: str) -> tuple[int, int]:
    """(index, count) of `I/N`."""
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise UserError(f"--shard is {text!r}; it must be I/N with I from 0 to N - 1, such as 0/4")
    return int(index), int(count)


def score(options) -> int:
    """Reads, scores and writes block after block; then the table."""
    from quals_jax.commands.runtime import prepare

    blocks = read_blocks(options)
    first = next(blocks, None)  # before anything is loaded: an error in it shows at once
    if first is None:
        raise UserError(f"{options.input or options.documents}: holds no rows")
    prepare(options.verbose)
    quals = load_quals(options)
    if options.output:
        return _to_file(options, quals, first, blocks)
    return _to_standard_output(options, quals, first, blocks)


def read_blocks(options) -> Iterator[tuple[int, list, list[str]]]:
    """(number, rows, messages about skipped rows) of every block of the input that belongs to this shard."""
    from quals_jax.data.rows import RowError, read_parallel, read_rows, single_row

    if options.input is not None:
        rows = read_rows(options.input)
    elif options.documents is not None:
        rows = read_parallel(options.documents, options.summaries)
    else:
        rows = single_row(options.document, options.summary)
    index, count = shard_of(options.shard) if options.shard else (0, 1)
    number = 0
    try:
        while True:
            block, failed = [], None
            try:
                for row in islice(rows, options.block_rows):
                    if isinstance(row, RowError) and options.on_error == "stop":
                        raise row
                    block.append(row)
            except RowError as error:
                failed = error
            if failed is not None and number == 0:
                raise failed
            if block and failed is None and number % count == index:
                good = [row for row in block if not isinstance(row, RowError)]
                yield number, good, [str(row) for row in block if isinstance(row, RowError)]
            if failed is not None:
                raise failed
            if not block:
                return
            number += 1
    except RowError as error:
        raise UserError(error) from None


def load_quals(options):
    """The metric, as the flags want it."""
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.qagen import EMBEDDED, QAGen
    from quals_jax.quals import Quals

    if options.model is None and not (EMBEDDED / "config.json").exists():
        raise UserError("there is no embedded model in this copy yet; name one with --model")
    search = SearchConfig(options.num_beams, options.num_groups, options.diversity_strength)
    try:
        qagen = QAGen.from_pretrained(options.model, options.tokenizer, search, options.dtype, options.batch_size)
    except ValueError as error:
        raise UserError(error) from None
    return Quals(qagen, options.max_pairs or None, options.summary_score)


def score_block(quals, rows: list) -> list[dict]:
    """The output rows of a block: one for every summary, in input order."""
    from quals_jax.spans import spans

    tasks = [(row, index, summary) for row in rows for index, summary in enumerate(row.summaries)]
    results = quals.score([row.document for row, _, _ in tasks], [summary for _, _, summary in tasks])
    written = []
    for (row, index, summary), result in zip(tasks, results, strict=True):
        own = {"id": row.id, "summary_index": index, **result.to_json(), "spans": spans(summary, result.pairs)}
        if (percentile := quals.percentile(result.quals)) is not None:
            own["percentile"] = percentile
        own |= {"document": row.document, "summary": summary}
        written.append(own | {name: value for name, value in row.fields.items() if name not in own})
    return written


def _line(row: dict) -> str:
    return json.dumps(row, ensure_ascii=False)


def _ahead(blocks: Iterator) -> Iterator:
    """The same blocks, the next one read while the last is worked on."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            yield block


def _arguments(options, quals) -> dict:
    """All that shapes the output. A file's size stands for its contents."""
    names = (
        "input",
        "documents",
        "summaries",
        "document",
        "summary",
        "on_error",
        "block_rows",
        "batch_size",
        "shard",
        "tokenizer",
    )
    values = {name: getattr(options, name) for name in names}
    sizes = {name: os.path.getsize(values[name]) for name in names[:3] if values[name] and os.path.isfile(values[name])}
    return {**values, "sizes": sizes, "signature": quals.signature, "weights": quals.qagen.fingerprint}


def _to_file(options, quals, first, blocks) -> int:
    from quals_jax.commands.ledger import Ledger
    from quals_jax.commands.progress import Progress

    if options.input == "-" and Path(f"{options.output}.partial").exists() and not options.overwrite:
        raise UserError(f"{options.output}: a run from standard input cannot be resumed; --overwrite starts afresh")
    ledger = Ledger(options.output, _arguments(options, quals), overwrite=options.overwrite)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    progress = Progress(verbose=options.verbose)
    index, count = shard_of(options.shard) if options.shard else (0, 1)
    if not ledger.finished:
        for number, rows, messages in _ahead(_chain(first, blocks)):
            if (number - index) // count < ledger.blocks:
                continue
            written = score_block(quals, rows)
            ledger.append([_line(row) for row in written], messages)
            progress.add(len(rows), sum(row["num_pairs"] for row in written))
            if stopped.is_set():
                progress.close()
                print(f"stopped after {ledger.blocks} blocks; the same command goes on from there", file=sys.stderr)
                return 128 + signal.SIGTERM
        ledger.finish()
    progress.close()
    ledger.close()
    _conclude(options, quals, ledger)
    return 0


def _to_standard_output(options, quals, first, blocks) -> int:
    from quals_jax.commands.progress import Progress
    from quals_jax.commands.table import Summary

    summary, skipped = Summary(), []
    progress = Progress(verbose=options.verbose)
    for _, rows, messages in _ahead(_chain(first, blocks)):
        written = score_block(quals, rows)
        for row in written:
            print(_line(row))
            summary.add(row)
        sys.stdout.flush()
        skipped += messages
        progress.add(len(rows), sum(row["num_pairs"] for row in written))
    progress.close()
    for line in summary.lines(quals.signature, skipped=len(skipped), notes=_notes(options, skipped)):
        print(line, file=sys.stderr)
    return 0


def _chain(first, blocks) -> Iterator:
    yield first
    yield from blocks


def _conclude(options, quals, ledger) -> None:
    """The table, and the report."""
    from quals_jax.commands.table import Summary

    with open(ledger.output, encoding="utf-8", newline="\n") as lines:
        summary = Summary.of_lines(lines)
    table = summary.lines(quals.signature, skipped=len(ledger.skipped), notes=_notes(options, ledger.skipped))
    if options.report:
        from quals_jax.report import write_report

        try:
            write_report(Path(options.report), ledger.output, signature=quals.signature, mean=summary.mean)
        except OSError as error:
            raise UserError(f"{options.report}: cannot be written ({error.strerror or error})") from None
        table.insert(-2, f"report         {options.report}")
    if options.verbose:
        table.insert(-2, f"padding        {quals.qagen.padding:.1%} of the documents' positions")
    print("\n".join(table))


def _notes(options, skipped: list[str]) -> list[str]:
    notes = (
        []
        if options.model
        else ["the embedded model knows only Gazette, the generated newspaper; other texts need --model"]
    )
    return notes + [f"skipped: {message}" for message in skipped[:3]]
