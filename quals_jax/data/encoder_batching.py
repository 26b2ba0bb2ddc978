"""Pairs of texts with a target, as arrays of static shapes for a BERT to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PLACES = 4  # of an answer in a text; more are not needed
NO_PLACE = -1
UNMARKED = -1


@dataclass(frozen=True)
class PairExample:
    """Ids and segments as `PairTokenizer.pair` gives them. target: the label, or where the answer begins and where it ends. pieces: a label
    for every id, UNMARKED where there is nothing to say; or none at all."""

    ids: Sequence[int]
    segments: Sequence[int]
    target: int | tuple[Sequence[int], Sequence[int]]
    pieces: Sequence[int] = ()


def compact(example: PairExample) -> PairExample:
    """The example in little memory: data sets have millions."""
    pieces = np.asarray(example.pieces, np.int8)
    return PairExample(np.asarray(example.ids, np.int32), np.asarray(example.segments, np.int8), example.target, pieces)


def stack_pairs(examples: Sequence[PairExample], *, rows: int, source: int, pad_id: int) -> dict[str, np.ndarray]:
    """`source_ids`, `segment_ids` [rows, source], `target_ids` and `empty`, and for labels `piece_ids`, as training/encoder_losses.py
    reads them.

    Raises:
        ValueError: if there are more examples than rows, or one is too long.
    """
    if len(examples) > rows or any(len(example.ids) > source for example in examples):
        longest = max(len(example.ids) for example in examples)
        raise ValueError(f"{len(examples)} examples of up to {longest} ids do not fit {rows} rows of {source}")
    spans = bool(examples) and not isinstance(examples[0].target, int)
    part = {
        "source_ids": np.full((rows, source), pad_id, np.int32),
        "segment_ids": np.zeros((rows, source), np.int32),
        "target_ids": np.full((rows, 2, PLACES), NO_PLACE, np.int32) if spans else np.zeros((rows, 1), np.int32),
        "empty": (np.arange(rows) >= len(examples)).astype(np.int32),
    }
    if not spans:
        part["piece_ids"] = np.full((rows, source), UNMARKED, np.int32)
    for row, example in enumerate(examples):
        part["source_ids"][row, : len(example.ids)] = example.ids
        part["segment_ids"][row, : len(example.ids)] = example.segments
        if not spans:
            part["target_ids"][row] = example.target
            part["piece_ids"][row, : len(example.pieces)] = example.pieces
            continue
        for side, places in enumerate(example.target):
            part["target_ids"][row, side, : len(places[:PLACES])] = places[:PLACES]
    return part


class ShuffledBatches(Sequence):
    """Batch number `index` of examples that are shuffled anew in every epoch, each batch padded to the smallest of `lengths` that holds it."""

    def __init__(
        self, examples: Sequence[PairExample], *, seed: int, count: int, rows: int, lengths: Sequence[int], pad_id: int
    ):  # fmt: skip
        self.examples, self.seed, self.count, self.rows = examples, seed, count, rows
        self.lengths, self.pad_id = sorted(lengths), pad_id

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        if not 0 <= index < self.count:
            raise IndexError(index)
        numbers = [self._number(index * self.rows + row) for row in range(self.rows)]
        return {"rows": padded([self.examples[number] for number in numbers], self.rows, self.lengths, self.pad_id)}

    def _number(self, place: int) -> int:
        epoch, within = divmod(place, len(self.examples))
        return int(self._order(epoch)[within])

    def _order(self, epoch: int) -> np.ndarray:
        known = getattr(self, "_known", None)
        if known is None or known[0] != epoch:
            known = self._known = (epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.examples)))
        return known[1]


def padded(examples: Sequence[PairExample], rows: int, lengths: Sequence[int], pad_id: int) -> dict[str, np.ndarray]:
    """The examples in a batch of `rows`, as long as the smallest of `lengths` that holds them."""
    longest = max(len(example.ids) for example in examples)
    length = next((length for length in lengths if length >= longest), longest)
    return stack_pairs(examples, rows=rows, source=length, pad_id=pad_id)


def in_order(examples: Sequence[PairExample], rows: int, lengths: Sequence[int], pad_id: int) -> list[dict]:
    """All examples once, neighbours in length together."""
    ordered = sorted(examples, key=lambda example: len(example.ids))
    chunks = [ordered[start : start + rows] for start in range(0, len(ordered), rows)]
    return [{"rows": padded(chunk, rows, lengths, pad_id)} for chunk in chunks]
