"""`python -m quals_jax study`: pages for people who compare two systems' summaries, blind; `study tally` counts their answers.

    python -m quals_jax study --system mle=mle.jsonl --system conseq=conseq.jsonl --count 100 --annotators 3 --output out/study
    python -m quals_jax study tally --key out/study/key.json answers-1.json answers-2.json answers-3.json

A system's file has rows {"id", "document", "summary"}, as score.py reads and writes them. Send annotator-1.html to the first annotator, and
so on; a page needs no server, keeps the answers in the browser, and saves them to the file that they send back. Keep key.json to yourself.
"""

from __future__ import annotations

import json
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, at_least, standard_output


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    text = _tally(arguments[1:]) if arguments[:1] == ["tally"] else _pages(arguments)
    with standard_output():
        print(text)
    return 0


def _pages(arguments: list[str]) -> str:
    parser = Parser(prog="python -m quals_jax study", description=__doc__)
    parser.add_argument(
        "--system", action="append", required=True, metavar="NAME=FILE", help="given twice, the baseline first"
    )
    parser.add_argument("--documents", metavar="FILE", help="where the systems' files have only summaries")
    parser.add_argument("--count", type=at_least(1), default=100, help="documents (100)")
    parser.add_argument("--annotators", type=at_least(1), default=3, help="pages (3)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    from quals_jax.study.page import KEY, write_study
    from quals_jax.study.sample import read_system, sample

    named = [word.partition("=") for word in options.system]
    if len(named) != 2 or not all(name and path for name, _, path in named) or named[0][0] == named[1][0]:
        raise UserError("--system: must be given twice, as NAME=FILE, with two names")
    try:
        systems = {name: read_system(path, options.documents) for name, _, path in named}
        study = sample(systems, options.count, options.seed)
        paths = write_study(study, options.annotators, options.output, options.seed)
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    lines = [
        f"{len(study.items)} of {study.shared} documents in common ({study.identical} with the same summary left out)",
        *map(str, paths),
        f"{options.output / KEY}: says which side is which; for the tally, not for the annotators",
    ]
    return "\n".join(lines)


def _tally(arguments: list[str]) -> str:
    parser = Parser(prog="python -m quals_jax study tally", description="Counts the answers that annotators saved.")
    parser.add_argument("answers", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--key", type=Path, required=True, help="the key.json that was written with the pages")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the numbers as JSON")
    options = parser.parse_args(arguments)
    from quals_jax.study.page import read_key
    from quals_jax.study.tally import tally

    try:
        text, numbers = tally(options.answers, read_key(options.key))
        if options.output:
            options.output.write_text(json.dumps(numbers, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    return text
