"""`python -m quals_jax compare A.jsonl B.jsonl`: two outputs of score.py over the same rows, paired."""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import sys
from collections import Counter
from typing import NamedTuple

from quals_jax.commands.errors import Parser, UserError, standard_output
from quals_jax.remote import RemoteError, open_binary

DIFFERING = 5
PERMUTATIONS = 10_000
# Of a signature, what may differ: equal weights and settings give the same scores there, but for roundings.
HARMLESS = ("backend", "version")


class Scored(NamedTuple):
    """What is compared of a row; `document` is a hash, None in an output without documents."""

    quals: float | None
    summary: str
    document: bytes | None


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax compare", description=__doc__)
    parser.add_argument("first", help="an output of score.py")
    parser.add_argument("second", help="another, over the same ids")
    parser.add_argument("--force", action="store_true", help="although documents or settings differ")
    options = parser.parse_args(arguments)
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
    with standard_output():
        print("\n".join(table(first, second, both, options.first, options.second)))
    return 0


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
                row = json.loads(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line)
                key = json.dumps(row["id"]), row["summary_index"]
                document = row.get("document")
                found[*key, seen[key]] = Scored(
                    _score(row["quals"]),
                    str(row["summary"]),
                    None if document is None else hashlib.blake2b(str(document).encode("utf-8", "replace")).digest(),
                )
                seen[key] += 1
    except RemoteError as error:
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
    lines = [
        f"{first_name}: mean {before.mean():.3f}",
        f"{second_name}: mean {after.mean():.3f}",
        f"rows with a score in both: {len(both)} of {len(first)}",
        f"difference (second - first): {difference.mean():+.3f}, 95% interval {low:+.3f} to {high:+.3f}",
        f"significance: p = {paired_significance(difference, PERMUTATIONS):.4f} (paired permutation test, {PERMUTATIONS} draws)",
        "",
        "rows that differ most",
    ]
    for place in np.argsort(-np.abs(difference), kind="stable")[:DIFFERING]:
        key = both[place]
        lines.append(
            f"  {difference[place]:+.3f}  id {key[0]}, summary {key[1]}: {' '.join(second[key].summary.split())[:90]}"
        )
    return lines
