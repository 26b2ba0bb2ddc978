"""`python -m quals_jax compare A.jsonl B.jsonl`: two outputs of score.py over the same rows, paired."""

from __future__ import annotations

import json
import math
from collections import Counter

from quals_jax.commands.errors import Parser, UserError, standard_output

DIFFERING = 5
PERMUTATIONS = 10_000


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax compare", description=__doc__)
    parser.add_argument("first", help="an output of score.py")
    parser.add_argument("second", help="another, over the same ids")
    options = parser.parse_args(arguments)
    first, second = read_scores(options.first), read_scores(options.second)
    if set(first) != set(second):
        (id, index, _), *_ = sorted(set(first) ^ set(second), key=str)
        raise UserError(
            f"{options.first} and {options.second} hold other rows: one of them has more rows of id {id}, summary {index}"
        )
    both = [key for key in first if first[key][0] is not None and second[key][0] is not None]
    if not both:
        raise UserError("no row has a score in both files")
    with standard_output():
        print("\n".join(table(first, second, both, options.first, options.second)))
    return 0


def read_scores(path: str) -> dict[tuple, tuple[float | None, str]]:
    """(id, summary_index, how many such rows came before) -> (quals, summary) of every row."""
    found, seen, number = {}, Counter(), 0
    try:
        with open(path, "rb") as lines:
            for line in lines:
                number += 1
                row = json.loads(line)
                key = json.dumps(row["id"]), row["summary_index"]
                found[*key, seen[key]] = _score(row["quals"]), str(row["summary"])
                seen[key] += 1
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
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

    before = np.array([first[key][0] for key in both])
    after = np.array([second[key][0] for key in both])
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
            f"  {difference[place]:+.3f}  id {key[0]}, summary {key[1]}: {' '.join(second[key][1].split())[:90]}"
        )
    return lines
