"""`python -m quals_jax rerank`: of several summaries of a document, pick the one with the best QUALS, or best by another metric.

    python -m quals_jax rerank --input candidates.jsonl --output best.jsonl

Rows are {"document": str, "summaries": [str, ...]}; the output has each row's other fields, the chosen `summary`, its
place (`summary_index`), its `quals`, and the QUALS of all (`scores`). With --metric NAME another metric of the registry chooses, and
`score` and `metric` stand in the place of `quals`.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, standard_output
from quals_jax.commands.score_flags import LONG_DOCUMENTS
from quals_jax.scoring.blocks import Block, RowSource, read_blocks
from quals_jax.scoring.output import as_line, carried

BLOCK_ROWS = 64
QUALS = "quals"


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax rerank", description=__doc__)
    parser.add_argument("--input", required=True, help="JSONL, JSON, CSV, TSV (packed too), Parquet, Arrow")
    parser.add_argument("--output", type=Path, help="(standard output)")
    parser.add_argument("--metric", metavar="NAME", help="by which to choose: NAME or NAME=MODEL (quals)")
    parser.add_argument("--model", help="the QAGen (the embedded one)")
    parser.add_argument("--tokenizer")
    parser.add_argument(
        "--num_beams", "--beams", type=int, default=60, help="of diverse beam search, each a group of its own (60)"
    )
    parser.add_argument("--long_documents", **LONG_DOCUMENTS)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--overwrite", action="store_true", help="start afresh")
    options = parser.parse_args(arguments)
    if options.input == "-" and options.output:
        raise UserError("--output needs a file as --input: a run from standard input cannot be resumed")
    blocks = read(options.input)
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax.scoring.ledger import Ledger

    metric, made_by = _metric(options)
    name = options.metric or QUALS
    if options.output is None:
        for block in blocks:
            with standard_output():
                print("\n".join(_chosen(metric, name, block.rows)))
        return 0
    arguments = {"input": options.input, **made_by}
    with contextlib.closing(Ledger(options.output, arguments, overwrite=options.overwrite)) as ledger:
        ledger.check_input(blocks)
        if not ledger.finished:
            for block in blocks:
                ledger.append(_chosen(metric, name, block.rows), fingerprint=block.fingerprint)
            ledger.finish()
    with standard_output():
        print("\n".join(_table(options.output, name, metric.signature)))
    return 0


def read(path: str | Path) -> Iterator[Block]:
    """The input in blocks, of which the first is read at once.

    Raises:
        UserError: naming file, line and field of the first row that is not as it should be.
    """
    blocks = read_blocks(RowSource(input=str(path), block_rows=BLOCK_ROWS))
    return itertools.chain([next(blocks)], blocks)


def _metric(options):
    """What chooses, and what the output depends on of it."""
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.metrics import MetricSettings, load
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals

    try:
        if options.metric and options.metric != QUALS:
            if options.model:
                raise ValueError("--model is QUALS's; give another metric's as --metric NAME=MODEL")
            settings = MetricSettings(options.tokenizer, options.dtype, options.batch_size, options.long_documents)
            metric = load(options.metric, settings)
            return metric, {"signature": metric.signature, "metric": options.metric}
        qagen = QAGen.from_pretrained(
            options.model,
            options.tokenizer,
            SearchConfig(num_beams=options.num_beams),
            options.dtype,
            options.batch_size,
        )
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    quals = Quals(qagen, long_documents=options.long_documents)
    return quals, {"signature": quals.signature, "weights": qagen.fingerprint}


def _chosen(metric, name: str, rows: list) -> list[str]:
    """The lines of the output for these rows."""
    from quals_jax.reranking import rerank

    lines = []
    choices = rerank(metric, [row.document for row in rows], [row.summaries for row in rows])
    for row, choice in zip(rows, choices, strict=True):
        own = {name: value for name, value in carried(row).items() if name not in ("scores", "score", "metric")}
        kept = {"id": row.id, "document": row.document, **own}
        found = {
            "summary": choice.summary,
            "summary_index": choice.index,
            **({"quals": choice.score} if name == QUALS else {"score": choice.score, "metric": name}),
            "scores": choice.scores,
        }
        lines.append(as_line(kept | found))
    return lines


def _table(output: Path, name: str, signature: str) -> list[str]:
    """What the choice gained, against taking every first candidate."""
    chosen, first, title = [], [], "QUALS" if name == QUALS else name
    with open(output, encoding="utf-8", newline="\n") as lines:
        for row in map(json.loads, lines):
            chosen.append(row["scores"][row["summary_index"]])
            first.append(row["scores"][0])
    chosen, first = ([score for score in scores if score is not None] for scores in (chosen, first))
    if not (chosen and first):
        return [f"{title} = none (n = {len(chosen)}) | {signature}"]
    return [
        f"first candidates  mean {sum(first) / len(first):.3f} (n = {len(first)})",
        f"{title} = {sum(chosen) / len(chosen):.3f} (n = {len(chosen)}), best of each | {signature}",
    ]
