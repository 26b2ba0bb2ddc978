"""`python -m quals_jax merge OUTPUT SHARD ...`: joins the outputs of `score.py --shard 0/N ... N-1/N` as one run would have written them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError
from quals_jax.commands.ledger import FIRST_ROWS


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax merge", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("shards", nargs="+", help="the shards' outputs, in any order")
    options = parser.parse_args(arguments)
    if options.output.exists():
        raise UserError(f"{options.output}: is there already")
    shards = in_order(options.shards)
    partial = Path(f"{options.output}.partial")
    rows = 0
    with contextlib.ExitStack() as stack:
        files = [
            blocks(stack.enter_context(open(path, encoding="utf-8", newline="\n")), sizes) for path, sizes in shards
        ]
        with open(partial, "w", encoding="utf-8") as output:
            while files:
                for file in list(files):
                    block = next(file, None)
                    if block is None:
                        files.clear()  # the first shard to end was the next to come
                        break
                    output.writelines(block)
                    rows += len(block)
    os.replace(partial, options.output)
    print(f"{rows} rows in {options.output}")
    return 0


def in_order(paths: list[str]) -> list[tuple[str, list[list[int]]]]:
    """The shards by their index, each with the rows of its blocks."""
    found: dict[int, tuple[str, list[list[int]]]] = {}
    count, common = None, None
    for path in paths:
        record = Path(f"{path}.run.json")
        try:
            values = json.loads(record.read_text(encoding="utf-8"))
            arguments, sizes = values["arguments"], values["rows"]
            index, total = map(int, arguments.pop("shard").split("/"))
            arguments.pop(FIRST_ROWS, None)  # each shard begins with another block
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{record}: does not say which shard this is") from None
        if not values["finished"]:
            raise UserError(f"{path}: is not finished; start its run again")
        if common not in (None, arguments) or count not in (None, total) or index in found:
            raise UserError(f"{path}: belongs to another run than {paths[0]}, or is named twice")
        count, common = total, arguments
        found[index] = path, sizes
    missing = [index for index in range(count or 0) if index not in found]
    if missing:
        raise UserError(f"shard {missing[0]}/{count} is missing")
    return [found[index] for index in range(count)]


def blocks(lines, runs: list[list[int]]) -> Iterator[list[str]]:
    """The rows of one block after the other; `runs` are pairs of rows in a block and how many such blocks follow each other."""
    for size, times in runs:
        for _ in range(times):
            yield list(islice(lines, size))
