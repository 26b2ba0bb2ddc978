"""`python -m quals_jax correct`: suggests what a summary should say where its document does not support it.

    python -m quals_jax correct --input pairs.jsonl --output corrected.jsonl

Rows are those of score.py ({"document", "summary"} or {"document", "summaries"}), and so is the output, with three fields more:
`correction` (the corrected summary, null where nothing is suggested), `corrected_score` (its QUALS) and `edits` (`start`, `end`, `old`,
`new`, `question`, `document_answer`, `probability`, `score`). Words are replaced by
the document's answers, and only where the summary scores better for it. Nothing is applied: read the
suggestions, the model can be wrong. A run that is stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, at_least, standard_output
from quals_jax.commands.score_flags import LONG_DOCUMENTS, MODEL
from quals_jax.scoring.blocks import Block
from quals_jax.scoring.output import as_line, output_rows

SHOWN = 20


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax correct", description=__doc__)
    parser.add_argument(
        "--input", required=True, metavar="FILE", help="JSONL, JSON, CSV, TSV (packed too), Parquet, Arrow"
    )
    parser.add_argument("--output", metavar="FILE", help="JSONL; without it the rows go to standard output")
    parser.add_argument("--min_probability", type=float, default=0.5, help="of the document's answer (0.5)")
    unsupported = "of a pair whose answer may be replaced, in nats per token (-0.7: its tokens are half as likely)"
    parser.add_argument("--max_score", type=float, default=-0.7, help=unsupported)
    gain = "how much the score must rise for every edit, in nats per token (0.05)"
    parser.add_argument("--min_gain", type=float, default=0.05, help=gain)
    parser.add_argument(
        "--show", type=at_least(0), default=SHOWN, metavar="N", help=f"suggestions that are printed ({SHOWN})"
    )
    parser.add_argument("--model", metavar="PATH", help=MODEL)
    parser.add_argument("--tokenizer", metavar="DIR")
    parser.add_argument("--num_beams", type=int, default=60, help="pairs written for a summary, each a group (60)")
    parser.add_argument("--long_documents", **LONG_DOCUMENTS)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--overwrite", action="store_true", help="start afresh")
    options = parser.parse_args(arguments)
    if options.input == "-" and options.output:
        raise UserError("--output needs a file as --input: a run from standard input cannot be resumed")
    if not 0 <= options.min_probability <= 1:
        raise UserError(f"--min_probability {options.min_probability}: must be from 0 to 1")
    if not options.max_score <= 0:
        raise UserError(f"--max_score {options.max_score}: must be at most 0")
    if not options.min_gain >= 0:
        raise UserError(f"--min_gain {options.min_gain}: must be at least 0")
    from quals_jax.commands.rerank import read
    from quals_jax.commands.runtime import prepare

    blocks = read(options.input)
    prepare()
    quals = _quals(options)
    if options.output is None:
        for block in blocks:
            with standard_output():
                print("\n".join(map(as_line, corrected_rows(quals, block, options))))
        return 0
    from quals_jax.scoring.ledger import Ledger

    made_by = {"input": options.input, "signature": quals.signature, "weights": quals.qagen.fingerprint}
    made_by |= {
        "min_probability": options.min_probability,
        "max_score": options.max_score,
        "min_gain": options.min_gain,
    }
    with contextlib.closing(Ledger(Path(options.output), made_by, overwrite=options.overwrite)) as ledger:
        ledger.check_input(blocks)
        if not ledger.finished:
            for block in blocks:
                rows = corrected_rows(quals, block, options)
                ledger.append([as_line(row) for row in rows], fingerprint=block.fingerprint)
            ledger.finish()
    signature = f"{quals.signature} | min_probability:{options.min_probability:g} | max_score:{options.max_score:g}"
    signature += f" | min_gain:{options.min_gain:g}"
    with standard_output():
        print("\n".join(table(options.output, options.show, signature, options.model is None)))
    return 0


def _quals(options):
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals

    try:
        search = SearchConfig(num_beams=options.num_beams)
        return Quals(
            QAGen.from_pretrained(options.model, options.tokenizer, search, options.dtype, options.batch_size),
            long_documents=options.long_documents,
        )
    except (ValueError, OSError) as error:
        raise UserError(error) from None


def corrected_rows(quals, block: Block, options) -> list[dict]:
    """The rows of `score.py` for a block, with what is suggested."""
    from quals_jax.corrections import correct

    tasks = [(row.document, summary) for row in block.rows for summary in row.summaries]
    found = correct(
        quals, [document for document, _ in tasks], [summary for _, summary in tasks],
        min_probability=options.min_probability, max_score=options.max_score, min_gain=options.min_gain,
    )  # fmt: skip
    rows = output_rows(quals, block, [one.result for one in found])
    return [row | one.to_json() for row, one in zip(rows, found, strict=True)]


def table(output: str, most: int, signature: str, embedded: bool) -> list[str]:
    """The first suggestions as differences of words, and how many there are."""
    from quals_jax.corrections import Edit, shown
    from quals_jax.world import ONLY_GAZETTE

    lines, before, after, summaries = [], [], [], 0
    with open(output, encoding="utf-8", newline="\n") as rows:
        for row in map(json.loads, rows):
            summaries += 1
            if row["correction"] is None:
                continue
            before.append(row["quals"])
            after.append(row["corrected_score"])
            if len(before) <= most:
                edits = [Edit(**edit) for edit in row["edits"]]
                lines.append(f"{row['id']}  {row['quals']:.3f} -> {row['corrected_score']:.3f}")
                lines.append(f"  {shown(row['summary'], edits)}")
                asked = (f"  {one.question} document: {one.document_answer} ({one.probability:.2f})" for one in edits)
                lines += dict.fromkeys(asked)  # two that change places have one question
    if len(before) > most:
        lines.append(f"and {len(before) - most} more in {output}")
    lines += [""] if lines else []
    lines.append(f"suggestions    {len(before)} for {summaries} summaries, in {output}; none is applied")
    if before:
        means = [sum(own) / len(own) for own in (before, after)]
        lines.append(f"mean of these  {means[0]:.3f} before, {means[1]:.3f} after")
    lines += [f"note: {ONLY_GAZETTE}"] if embedded else []
    return [*lines, signature]
