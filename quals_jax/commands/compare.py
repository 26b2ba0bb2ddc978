"""`python -m quals_jax compare A.jsonl B.jsonl`: two outputs of score.py over the same rows, paired."""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from quals_jax.commands.errors import Parser, UserError, standard_output
from quals_jax.commands.score_flags import refuse_unwritable
from quals_jax.remote import RemoteError, is_url, local_name, open_binary, send
from quals_jax.scoring.json_rows import sound
from quals_jax.scoring.remote_output import write_json
from quals_jax.scoring.row import RowError

DIFFERING = 5
PERMUTATIONS = 10_000
# Of a signature, what may differ: equal weights and settings give the same scores there, but for roundings.
HARMLESS = ("backend", "kernels", "version")


class Scored(NamedTuple):
    """What is compared of a row; `document` is a hash, None in an output without documents."""

    quals: float | None
    summary: str
    document: bytes | None


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax compare", description=__doc__)
    parser.add_argument("outputs", nargs="+", metavar="OUTPUT", help="two outputs of score.py, over the same ids")
    parser.add_argument(
        "--json", nargs="?", const="", metavar="FILE", help="the numbers as JSON: to FILE, or instead of the table"
    )
    parser.add_argument("--report", metavar="FILE", help="an HTML page with both systems side by side")
    parser.add_argument("--force", action="store_true", help="although documents or settings differ")
    options = parser.parse_args(arguments)
    if options.json and len(options.outputs) == 1:  # `--json A B`: A is no file to write
        options.outputs, options.json = [options.json, *options.outputs], ""
    if len(options.outputs) != 2:
        parser.error(f"compares two outputs, not {len(options.outputs)}")
    options.first, options.second = options.outputs
    for flag in ("json", "report"):
        path = getattr(options, flag)
        if path and path in options.outputs:
            parser.error(f"--{flag} is {path}, which is compared; name another file")
        if path and not is_url(path):
            refuse_unwritable(path, flag)
    first, second = read_scores(options.first), read_scores(options.second)
    if set(first) != set(second):
        (id, index, _), *_ = sorted(set(first) ^ set(second), key=str)
        raise UserError(
            f"{options.first} and {options.second} hold other rows: one of them has more rows of id {id}, summary {index}"
        )
    look_at(options, first, second)
    both = [key for key in first if first[key].quals is not None and second[key].quals is not None]
    if not both:
        raise UserError("no row has a score in both files")
    lines = table(first, second, both, options.first, options.second)
    if options.report:
        write_report(options, lines)
    found = numbers(first, second, both)
    if options.json:
        write_json(options.json, found)
    with standard_output():
        print(json.dumps(found) if options.json == "" else "\n".join(lines))
    return 0


def numbers(first: dict, second: dict, both: list) -> dict:
    """What the table says, for programs; `difference` is second - first."""
    import numpy as np

    from quals_jax.statistics import interval_of_mean, paired_significance

    before = np.array([first[key].quals for key in both])
    after = np.array([second[key].quals for key in both])
    low, high = interval_of_mean(after - before)
    return {
        "first": float(before.mean()),
        "second": float(after.mean()),
        "n": len(both),
        "rows": len(first),
        "difference": float((after - before).mean()),
        "low": low,
        "high": high,
        "p": paired_significance(after - before, PERMUTATIONS),
    }


def write_report(options, lines: list[str]) -> None:
    """The page of both, side by side.

    Raises:
        UserError: if it cannot be written.
    """
    from quals_jax.report.side_by_side import write_side_by_side

    systems = [dict(_rows(path)) for path in options.outputs]
    names = options.outputs
    keys = list(systems[0])
    documents = [str(systems[0][key].get("document") or "(not in this output)") for key in keys]
    page = local_name(options.report) if is_url(options.report) else Path(options.report)
    shown = {
        name: [{"id": own[key]["id"], "summary": own[key]["summary"], "quals": own[key]["quals"]} for key in keys]
        for name, own in zip(names, systems, strict=True)
    }
    try:
        write_side_by_side(page, documents, shown, "\n".join(lines))
    except OSError as error:
        raise UserError(f"{options.report}: cannot be written ({error.strerror or error})") from None
    if is_url(options.report):
        send(page, options.report)


def _rows(path: str):
    """(key, row) of an output that has been read once already."""
    seen = Counter()
    with open_binary(path) as lines:
        for number, line in enumerate(lines):
            row = json.loads(line.removeprefix(codecs.BOM_UTF8) if number == 0 else line)
            key = json.dumps(row["id"]), row["summary_index"]
            yield (*key, seen[key]), row
            seen[key] += 1


def look_at(options, first: dict, second: dict) -> None:
    """Looks whether the two can be compared: the same documents, and the same model and settings.

    Raises:
        UserError: if a row has another document in the other file; forced, that is a warning.
    """
    for key, row in first.items():
        if None not in (row.document, second[key].document) and row.document != second[key].document:
            told = f"{options.first} and {options.second} hold other documents: that of id {key[0]}, summary {key[1]} differs"
            if not options.force:
                raise UserError(
                    f"{told}; scores are comparable on the same documents alone (--force compares them anyway)"
                )
            print(f"warning: {told}", file=sys.stderr)
            break
    differing = different_settings(signature_of(options.first), signature_of(options.second))
    if differing and not options.force:
        told = ", ".join(f"{name} {one} and {other}" for name, one, other in differing)
        print(
            f"warning: {options.first} and {options.second} were made with different settings ({told}): the difference is not the"
            " summaries' alone; --force says that you know",
            file=sys.stderr,
        )


def signature_of(path: str) -> str | None:
    """What made an output, as its record says; None where there is no record that says it."""
    try:
        with open_binary(f"{path}.run.json") as file:
            signature = json.loads(file.read().decode("utf-8-sig"))["arguments"]["signature"]
        return signature if isinstance(signature, str) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def different_settings(first: str | None, second: str | None) -> list[tuple[str, str, str]]:
    """The fields of two signatures that differ and matter: name and both values."""
    if first is None or second is None:
        return []
    one, other = (dict(field.partition(":")[::2] for field in text.split(" | ")) for text in (first, second))
    names = [name for name in {**one, **other} if name not in HARMLESS and one.get(name) != other.get(name)]
    return [(name, one.get(name, "as usual"), other.get(name, "as usual")) for name in names]


def read_scores(path: str) -> dict[tuple, Scored]:
    """(id, summary_index, how many such rows came before) -> what is compared of every row."""
    found, seen, number = {}, Counter(), 0
    try:
        with open_binary(path) as lines:
            for line in lines:
                number += 1
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                row = sound(json.loads(text), f"{path}, line {number}", text)
                key = json.dumps(row["id"]), row["summary_index"]
                document = row.get("document")
                found[*key, seen[key]] = Scored(
                    _score(row["quals"]),
                    str(row["summary"]),
                    None if document is None else hashlib.blake2b(str(document).encode("utf-8", "replace")).digest(),
                )
                seen[key] += 1
    except (RemoteError, RowError) as error:
        raise UserError(error) from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise UserError(f"{path}, line {number}: is no row of score.py's output") from None
    if not found:
        raise UserError(f"{path}: holds no rows")
    return found


def _score(quals: object) -> float | None:
    """The score of a row. A ValueError if it is none."""
    if quals is not None and (type(quals) not in (int, float) or not math.isfinite(quals)):
        raise ValueError
    return quals


def table(first: dict, second: dict, both: list, first_name: str, second_name: str) -> list[str]:
    """The lines that are printed."""
    import numpy as np

    from quals_jax.statistics import interval_of_mean, paired_significance

    before = np.array([first[key].quals for key in both])
    after = np.array([second[key].quals for key in both])
    difference = after - before
    low, high = interval_of_mean(difference)
    interval = f", 95% interval {low:+.3f} to {high:+.3f}" if len(both) > 1 else ""  # of one there is none
    lines = [
        f"{first_name}: mean {before.mean():.3f}",
        f"{second_name}: mean {after.mean():.3f}",
        f"rows with a score in both: {len(both)} of {len(first)}",
        f"difference (second - first): {difference.mean():+.3f}{interval}",
        f"significance: p = {paired_significance(difference, PERMUTATIONS):.4f} (paired permutation test, {PERMUTATIONS} draws)",
        "",
        "rows that differ most" if difference.any() else "no row differs",
    ]
    for place in [own for own in np.argsort(-np.abs(difference), kind="stable")[:DIFFERING] if difference[own]]:
        key = both[place]
        lines.append(
            f"  {difference[place]:+.3f}  id {key[0]}, summary {key[1]}: {' '.join(second[key].summary.split())[:90]}"
        )
    return lines
