"""`python -m quals_jax rerank`: of several summaries of a document, pick the one with the best QUALS.

    python -m quals_jax rerank --input candidates.jsonl --output best.jsonl

Rows are {"document": str, "summaries": [str, ...]}; the output has each row's other fields, the chosen `summary`, its
place (`summary_index`), its `quals`, and the QUALS of all (`scores`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError

BLOCK_ROWS = 64


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax rerank", description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--output", type=Path, help="(standard output)")
    parser.add_argument("--model", help="the QAGen (the embedded one)")
    parser.add_argument("--tokenizer")
    parser.add_argument("--beams", type=int, default=60, help="of diverse beam search, each a group of its own (60)")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--overwrite", action="store_true", help="start afresh")
    options = parser.parse_args(arguments)
    rows = read(options.input)
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax.commands.ledger import Ledger
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals

    try:
        qagen = QAGen.from_pretrained(
            options.model, options.tokenizer, SearchConfig(num_beams=options.beams), options.dtype, options.batch_size
        )
    except ValueError as error:
        raise UserError(error) from None
    quals = Quals(qagen)
    blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]
    if options.output is None:
        for block in blocks:
            sys.stdout.writelines(line + "\n" for line in _chosen(quals, block))
        return 0
    from quals_jax.commands.steps import sha256

    ledger = Ledger(
        options.output, {"input": sha256(options.input), "signature": quals.signature}, overwrite=options.overwrite
    )
    if not ledger.finished:
        for block in blocks[ledger.blocks :]:
            ledger.append(_chosen(quals, block))
        ledger.finish()
    ledger.close()
    scores = [json.loads(line) for line in options.output.read_text(encoding="utf-8").splitlines()]
    chosen = [row["quals"] for row in scores if row["quals"] is not None]
    first = [row["scores"][0] for row in scores if row["scores"][0] is not None]
    if chosen and first:
        print(f"first candidates  mean {sum(first) / len(first):.3f} (n = {len(first)})")
        print(f"QUALS = {sum(chosen) / len(chosen):.3f} (n = {len(chosen)}), best of each | {quals.signature}")
    return 0


def read(path: Path) -> list[dict]:
    """The rows of the input.

    Raises:
        UserError: naming file, line and field of the first that is not as it should be.
    """
    rows = []
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("document"), str):
                raise UserError(f"{path}, line {number}: document is missing, or no text")
            summaries = row.get("summaries")
            if not isinstance(summaries, list) or not summaries or not all(isinstance(s, str) for s in summaries):
                raise UserError(f"{path}, line {number}: summaries is missing, or no list of texts")
            rows.append({"id": number - 1, **row})
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UserError(f"{path}: cannot be read as JSON lines ({error})") from None
    if not rows:
        raise UserError(f"{path}: holds no rows")
    return rows


def _chosen(quals, rows: list[dict]) -> list[str]:
    from quals_jax.rerank import rerank

    lines = []
    for row, choice in zip(rows, rerank(quals, [r["document"] for r in rows], [r["summaries"] for r in rows]), strict=True):
        kept = {name: value for name, value in row.items() if name != "summaries"}
        found = {"summary": choice.summary, "summary_index": choice.index, "quals": choice.quals, "scores": choice.scores}
        lines.append(json.dumps(kept | found, ensure_ascii=False))
    return lines
