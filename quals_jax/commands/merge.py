"""`python -m quals_jax merge OUTPUT SHARD ...`: joins the outputs of `score.py --shard 0/N ... N-1/N` as one run would have written them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, standard_output
from quals_jax.commands.ledger import read_record


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax merge", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("shards", nargs="+", help="the shards' outputs, in any order")
    options = parser.parse_args(arguments)
    for taken in (options.output, Path(f"{options.output}.run.json")):
        if taken.exists():
            raise UserError(f"{taken}: is there already; name another output")
    shards = in_order(options.shards)
    try:
        rows = join(options.output, shards)
    except OSError as error:
        raise UserError(f"{error.filename or options.output}: {error.strerror or error}") from None
    with standard_output():
        print(f"{rows} rows in {options.output}")
    return 0


def join(output: Path, shards: list[tuple[str, list[list[int]]]]) -> int:
    """Writes the shards' blocks in turns; how many rows they have."""
    partial, rows = Path(f"{output}.partial"), 0
    with contextlib.ExitStack() as stack:
        files = [blocks(stack.enter_context(open(path, "rb")), sizes) for path, sizes in shards]
        with open(partial, "wb") as joined:
            while files:
                for file in list(files):
                    block = next(file, None)
                    if block is None:
                        files.clear()  # the first shard to end was the next to come
                        break
                    joined.writelines(block)
                    rows += len(block)
    os.replace(partial, output)
    return rows


def in_order(paths: list[str]) -> list[tuple[str, list[list[int]]]]:
    """The shards by their index, each with the rows of its blocks."""
    found: dict[int, tuple[str, list[list[int]]]] = {}
    count, common, whole = None, None, None
    for path in paths:
        record = Path(f"{path}.run.json")
        try:
            values = read_record(record)
            arguments = values["arguments"]
            index, total = map(int, arguments.pop("shard").split("/"))
        except (OSError, ValueError, KeyError, AttributeError):
            raise UserError(f"{record}: does not say which shard this is") from None
        if not values["finished"]:
            raise UserError(f"{path}: is not finished; start its run again")
        if not os.path.isfile(path) or os.path.getsize(path) != values["bytes"]:
            raise UserError(f"{path}: is not there, or has not the length that {record.name} says; start its run again")
        if common not in (None, arguments) or count not in (None, total) or index in found:
            raise UserError(f"{path}: belongs to another run than {paths[0]}, or is named twice")
        if whole not in (None, values["whole"]):
            raise UserError(
                f"{path}: was made from other rows than {paths[0]}; start one of them afresh, with --overwrite, on the other's input"
            )
        count, common, whole = total, arguments, values["whole"]
        found[index] = path, values["rows"]
    missing = next((index for index in range(count or 0) if index not in found), None)
    if missing is not None:
        raise UserError(f"shard {missing}/{count} is missing")
    return [found[index] for index in range(count)]


def blocks(lines, runs: list[list[int]]) -> Iterator[list[bytes]]:
    """The rows of one block after the other; `runs` are pairs of rows in a block and how many such blocks follow each other."""
    for size, times in runs:
        for _ in range(times):
            yield list(islice(lines, size))
