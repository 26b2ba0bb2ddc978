"""`python -m quals_jax prefer`: writes which of a document's summaries to prefer, for TRL and other preference trainers.

    python -m quals_jax prefer --input candidates.jsonl --output preferences.jsonl --min_margin 0.2

Rows are {"document": str, "summaries": [str, ...]}; the output has {"prompt", "chosen", "rejected", "margin"}: the candidates with the
best and the worst QUALS, and how far apart they are (nats per token). Documents whose candidates score alike, or without two scores, are
left out. A run that is stopped goes on where it was.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, standard_output
from quals_jax.commands.score_flags import LONG_DOCUMENTS
from quals_jax.preferences import TEMPLATE, as_row, preference


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax prefer", description=__doc__)
    parser.add_argument("--input", required=True, help="JSONL, JSON, CSV, TSV (packed too), Parquet, Arrow")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--min_margin", type=float, default=0.0, help="the least difference of the two scores (0)")
    parser.add_argument("--prompt_template", default=TEMPLATE, help=f"with {{document}} in it ({TEMPLATE!r})")
    parser.add_argument("--model", help="the QAGen (the embedded one)")
    parser.add_argument("--tokenizer")
    parser.add_argument(
        "--num_beams", type=int, default=60, help="of diverse beam search, each a group of its own (60)"
    )
    parser.add_argument("--long_documents", **LONG_DOCUMENTS)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--overwrite", action="store_true", help="start afresh")
    options = parser.parse_args(arguments)
    if options.input == "-":
        raise UserError("--output needs a file as --input: a run from standard input cannot be resumed")
    if "{document}" not in options.prompt_template:
        raise UserError(f"--prompt_template {options.prompt_template!r}: must hold {{document}}, the document's place")
    if not options.min_margin >= 0:
        raise UserError(f"--min_margin {options.min_margin}: must be at least 0")
    from quals_jax.commands.rerank import read
    from quals_jax.commands.runtime import prepare

    blocks = read(options.input)
    prepare()
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals
    from quals_jax.reranking import score_candidates
    from quals_jax.scoring.ledger import Ledger
    from quals_jax.scoring.output import as_line

    try:
        search = SearchConfig(num_beams=options.num_beams)
        quals = Quals(
            QAGen.from_pretrained(options.model, options.tokenizer, search, options.dtype, options.batch_size),
            long_documents=options.long_documents,
        )
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    made_by = {"input": options.input, "signature": quals.signature, "weights": quals.qagen.fingerprint}
    made_by |= {"min_margin": options.min_margin, "prompt_template": options.prompt_template}

    def lines(rows: list) -> list[str]:
        scores = score_candidates(quals, [row.document for row in rows], [row.summaries for row in rows])
        found = [preference(own, options.min_margin) for own in scores]
        chosen = [(row, own) for row, own in zip(rows, found, strict=True) if own]
        return [as_line(as_row(options.prompt_template, row.document, row.summaries, own)) for row, own in chosen]

    with contextlib.closing(Ledger(options.output, made_by, overwrite=options.overwrite)) as ledger:
        ledger.check_input(blocks)
        if not ledger.finished:
            for block in blocks:
                ledger.append(lines(block.rows), fingerprint=block.fingerprint)
            ledger.finish()
    with open(options.output, encoding="utf-8") as written, standard_output():
        print(
            f"preferences    {sum(1 for _ in written)} in {options.output}; documents without a difference are left out"
        )
        print(quals.signature)
    return 0
