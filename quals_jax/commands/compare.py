"""`python -m quals_jax compare A.jsonl B.jsonl`: two outputs of score.py over the same rows, paired."""

from __future__ import annotations

import json
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError

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
        (stray, *_) = sorted(set(first) ^ set(second), key=str)
        raise UserError(
            f"{options.first} and {options.second} hold other rows: id and summary_index {stray} is in one of them only"
        )
    both = [key for key in first if first[key][0] is not None and second[key][0] is not None]
    if not both:
        raise UserError("no row has a score in both files")
    print("\n".join(table(first, second, both, options.first, options.second)))
    return 0


def read_scores(path: str) -> dict[tuple, tuple[float | None, str]]:
    """(id, summary_index) -> (quals, summary) of every row."""
    found, number = {}, 0
    try:
        for line in Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n"):
            number += 1
            row = json.loads(line)
            found[json.dumps(row["id"]), row["summary_index"]] = row["quals"], row["summary"]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}, line {number}: is no row of score.py's output") from None
    if not found:
        raise UserError(f"{path}: holds no rows")
    return found


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
