"""`python -m quals_jax correlate`: how well metrics agree with people, on the files of public studies.

    python -m quals_jax correlate --data qags:mturk_xsum.jsonl --metric quals rouge overlap2 --output out/qags-xsum.json

Formats: qags, frank, summeval, xsum-hallucination, fib, gofigure, summedits, rank19. A metric is NAME or NAME=MODEL; scores that came with
the data are `recorded:NAME`, or all of them `recorded`. With --output FILE.json the scores go to FILE.scores.jsonl (a stopped run goes
on from there) and a scatter plot to FILE.png.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, at_least, standard_output
from quals_jax.commands.score_flags import LONG_DOCUMENTS


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax correlate", description=__doc__)
    parser.add_argument("--data", required=True, metavar="FORMAT:PATH", help="a file, or a folder with one")
    parser.add_argument("--metric", required=True, nargs="+", metavar="NAME")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the figures as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="(beside the output)")
    parser.add_argument("--level", default="summary", help="summary, or sentence where sentences were judged (summary)")
    parser.add_argument("--judgement", help="of several that people gave; without it, the one about consistency")
    parser.add_argument("--rows", type=at_least(1), help="the first so many judged summaries (all)")
    parser.add_argument("--resamples", type=at_least(1), default=1000, help="of the bootstrap (1000)")
    parser.add_argument("--tokenizer", help="a folder, for models that have none beside them")
    parser.add_argument("--batch_size", type=int, default=8, help="texts on each device (8)")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--long_documents", **LONG_DOCUMENTS)
    parser.add_argument("--overwrite", action="store_true", help="start afresh")
    options = parser.parse_args(arguments)
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax.judgements.correlate import correlate
    from quals_jax.metrics import MetricSettings
    from quals_jax.world import OutsideWorldWarning

    settings = MetricSettings(options.tokenizer, options.dtype, options.batch_size, options.long_documents)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutsideWorldWarning)  # the table has a note
            text, _ = correlate(
                options.data, options.metric, settings, level=options.level, judgement=options.judgement, rows=options.rows,
                resamples=options.resamples, output=options.output, plot=options.plot, overwrite=options.overwrite, say=_say,
            )  # fmt: skip
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    with standard_output():
        print(text)
    return 0


def _say(done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"scored {done} of {of}", file=sys.stderr, end="\n" if done == of else "\r", flush=True)
