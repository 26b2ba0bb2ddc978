"""Lists of ids as arrays of few, static shapes."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


def bucket(length: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds `length`.

    Raises:
        ValueError: if none does.
    """
    place = bisect.bisect_left(buckets, length)
    if place == len(buckets):
        raise ValueError(f"a length of {length} is beyond the largest bucket, {buckets[-1]}")
    return buckets[place]


def pad(
    rows: Sequence[Sequence[int]], length: int, pad_id: int
) -> tuple[Int[np.ndarray, "batch length"], Int[np.ndarray, "batch"]]:
    """The rows side by side, padded on the right, and their lengths.

    Raises:
        ValueError: if a row is longer than `length`.
    """
    lengths = np.array([len(row) for row in rows], np.int32)
    if lengths.size and lengths.max() > length:
        raise ValueError(f"row {int(lengths.argmax())} has {lengths.max()} ids; there is room for {length}")
    array = np.full((len(rows), length), pad_id, np.int32)
    for number, row in enumerate(rows):
        array[number, : len(row)] = row
    return array, lengths


@dataclass(frozen=True)
class Example:
    """A text and its targets, as ids that end in the end of sentence.

    `types` numbers the targets' types, if any; `prompts` says how many ids of each target are given, not learnt.
    """

    source: list[int]
    targets: tuple[list[int], ...]
    types: tuple[int, ...] = ()
    prompts: tuple[int, ...] = ()


def split_targets(example: Example, most: int) -> list[Example]:
    """The example with its targets shared out evenly over as few copies as hold at most `most` each."""
    total = len(example.targets)
    copies = -(-total // most)
    edges = [total * copy // copies for copy in range(copies + 1)]
    return [
        Example(example.source, example.targets[start:end], example.types[start:end], example.prompts[start:end])
        for start, end in itertools.pairwise(edges)
    ]


def stack(
    examples: Sequence[Example],
    *,
    rows: int,
    source: int,
    pair: int,
    target: int,
    pad_id: int,
    with_types: bool = False,
) -> dict[str, Int[np.ndarray, "..."]]:
    """`source_ids` [rows, source] and `target_ids` [rows, pair, target]; what is missing is padding. With types also
    `type_ids` and `prompt_lengths` [rows, pair].

    Raises:
        ValueError: if an example does not fit.
    """
    if len(examples) > rows:
        raise ValueError(f"there are {len(examples)} examples for {rows} rows")
    part = {
        "source_ids": np.full((rows, source), pad_id, np.int32),
        "target_ids": np.full((rows, pair, target), pad_id, np.int32),
    }
    if examples:
        part["source_ids"][: len(examples)] = pad([example.source for example in examples], source, pad_id)[0]
    if with_types:
        part |= {name: np.zeros((rows, pair), np.int32) for name in ("type_ids", "prompt_lengths")}
    for row, example in enumerate(examples):
        if len(example.targets) > pair:
            raise ValueError(f"example {row} has {len(example.targets)} targets; there is room for {pair}")
        if example.targets:
            part["target_ids"][row, : len(example.targets)] = pad(example.targets, target, pad_id)[0]
        if with_types:
            part["type_ids"][row, : len(example.types)] = example.types
            part["prompt_lengths"][row, : len(example.prompts)] = example.prompts
    return part
