"""`python -m quals_jax merge OUTPUT SHARD ...`: joins the outputs of `score.py --shard 0/N ... N-1/N` as one run would have written them.

The result has a record of its own (OUTPUT.run.json), so that `compare`, `distribution` and `score.py` itself (with the flags of the
shards, but --shard: it prints the table again, and writes a --report) take it for the output of one run.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from quals_jax.commands.errors import Parser, UserError, standard_output
from quals_jax.scoring.ledger import MESSAGES, STATE, read_record, write_record

# A pair of rows in a block and how many such blocks follow each other.
Runs = list[list[int]]


class Shard(NamedTuple):
    """A finished output of `score.py --shard`, and its record."""

    path: str
    record: dict


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax merge", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("shards", nargs="+", help="the shards' outputs, in any order")
    parser.add_argument("--force", action="store_true", help="although the shards' signatures differ")
    options = parser.parse_args(arguments)
    for taken in (options.output, Path(f"{options.output}.run.json")):
        if taken.exists():
            raise UserError(f"{taken}: is there already; name another output")
    shards = in_order(options.shards, force=options.force)
    record = joint_record([shard.record for shard in shards])
    try:
        rows, size = join(Path(f"{options.output}.partial"), [(path, found["rows"]) for path, found in shards])
        write_record(Path(f"{options.output}.run.json"), record | {"bytes": size})
        os.replace(f"{options.output}.partial", options.output)
    except OSError as error:
        raise UserError(f"{error.filename or options.output}: {error.strerror or error}") from None
    with standard_output():
        print("\n".join([f"{rows} rows in {options.output}", *table(options.output, record)]))
    return 0


def join(partial: Path, shards: list[tuple[str, Runs]]) -> tuple[int, int]:
    """Writes the shards' blocks in turns; how many rows and bytes they have."""
    rows = 0
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
            joined.flush()
            os.fsync(joined.fileno())
            return rows, joined.tell()


def joint_record(records: list[dict]) -> dict:
    """The record that one run would have left, but for the order of its messages. `whole`, a hash of all blocks, stands for its `input`."""
    first = records[0]
    stamps = first["stamps"] if all(record["stamps"] == first["stamps"] for record in records) else {}
    signatures = [record["arguments"].get("signature") for record in records]
    return {name: kind() for name, kind in STATE.items()} | {
        "arguments": first["arguments"] | {"shard": None, "signature": joint_signature(signatures)},
        "blocks": sum(record["blocks"] for record in records),
        "bytes": 0,
        "skipped": sum(record["skipped"] for record in records),
        "messages": [message for record in records for message in record["messages"]][:MESSAGES],
        "whole": first["whole"],
        "stamps": stamps,
        "finished": True,
    }


def joint_signature(signatures: list) -> str:
    """One signature of several: of a field that differs, all values."""
    if len(set(signatures)) == 1:
        return signatures[0]
    fields: dict[str, dict[str, None]] = {}
    for signature in signatures:
        for field in str(signature).split(" | "):
            name, _, value = field.partition(":")
            fields.setdefault(name, {})[value] = None
    return " | ".join(f"{name}:{'+'.join(values)}" for name, values in fields.items())


def table(output: Path, record: dict) -> list[str]:
    """The table of the whole, as score.py prints it; nothing for rows that are not its own."""
    from quals_jax.distribution import is_of
    from quals_jax.scoring.table import Summary
    from quals_jax.world import EMBEDDED, ONLY_GAZETTE, Strangers

    made_by = record["arguments"]
    strangers = Strangers() if is_of(EMBEDDED, str(made_by.get("weights"))) else None
    try:
        with open(output, encoding="utf-8", newline="\n") as lines:
            summary = Summary.of_lines(lines, strangers)
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    notes = [f"skipped: {message}" for message in record["messages"][:3]]
    if strangers:
        notes.insert(0, strangers.note("name a model that knows such texts with --model") or ONLY_GAZETTE)
    return summary.lines(made_by["signature"], skipped=record["skipped"], notes=notes)


def in_order(paths: list[str], *, force: bool = False) -> list[Shard]:
    """The shards by their index.

    Raises:
        UserError: if they are not all the shards of one run; with `force` their signatures may differ.
    """
    found: dict[int, Shard] = {}
    count, common, whole, signature = None, None, None, None
    for path in paths:
        record = Path(f"{path}.run.json")
        try:
            values = read_record(record)
            arguments = dict(values["arguments"])
            index, total = map(int, arguments.pop("shard").split("/"))
            own = arguments.pop("signature", None)
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
        if signature not in (None, own):
            told = f"{path}: has another signature than {paths[0]} ({own}; {signature})"
            if not force:
                raise UserError(f"{told}; --force joins them, and its signature then has both")
            print(f"warning: {told}", file=sys.stderr)
        count, common, whole, signature = total, arguments, values["whole"], own if signature is None else signature
        found[index] = Shard(path, values)
    missing = next((index for index in range(count or 0) if index not in found), None)
    if missing is not None:
        raise UserError(f"shard {missing}/{count} is missing")
    return [found[index] for index in range(count)]


def blocks(lines, runs: Runs) -> Iterator[list[bytes]]:
    """The rows of one block after the other."""
    for size, times in runs:
        for _ in range(times):
            yield list(islice(lines, size))
