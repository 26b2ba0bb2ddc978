"""Batches through Grain: shuffled, of static shapes, able to go on where they stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quals_jax.data.batching import Example, bucket, split_targets, stack
from quals_jax.data.texts import Text, Tokenise
from quals_jax.training.config import DataConfig

NOTHING_FITS = (
    "of {texts} texts none has a target to learn: all are longer than {tokens} tokens, or their answers were cut off"
)
PREFETCHED = 4  # batches made ahead of the step, in a thread


def training_batches(texts: Sequence[Text], tokenise: Tokenise, config: DataConfig, *, seed: int):
    """An endless Grain dataset of batches {"rows": part}: epochs shuffled anew, neighbours in length together. No window
    of `config.window` batches reaches from one epoch into the next, so no text comes twice before all have come once.

    Several processes make the same batches: all must agree on the shapes, which lengths of texts decide.

    Raises:
        ValueError: while batches are taken, if a whole epoch has none.
    """
    import grain

    texts_at_once = config.window * config.batch_size
    windows = grain.MapDataset.source(texts).seed(seed).shuffle().batch(texts_at_once, batch_fn=list).repeat(None)
    empty = 0

    def cut(window: list[Text], generator: np.random.Generator) -> list:
        nonlocal empty
        examples = tokenise(window, generator) if tokenise.noisy else tokenise(window)
        batches = cut_window(examples, config, together=tokenise.together, pad_id=tokenise.pad_id)
        empty = 0 if batches else empty + 1
        if empty > -(-len(texts) // texts_at_once):
            raise ValueError(NOTHING_FITS.format(texts=len(texts), tokens=config.target_buckets[-1]))
        return [batches[index] for index in generator.permutation(len(batches))]

    return _in_background(windows.random_map(cut).to_iter_dataset(grain.ReadOptions(1, 2)), flat=True)


def evaluation_batches(texts: Sequence[Text], tokenise: Tokenise, config: DataConfig) -> list[dict]:
    """All of the texts once, in batches {"rows": part}."""
    examples = tokenise([texts[index] for index in range(len(texts))])
    return cut_window(examples, config, together=tokenise.together, pad_id=tokenise.pad_id)


def batches_of_sample(
    texts: Sequence[Text], tokenise: Tokenise, config: DataConfig, most: int
) -> tuple[list[dict], int]:
    """The batches of at most `most` texts, evenly spaced over the data and cut in windows as training cuts them; how many."""
    count = min(most, len(texts))
    places = [len(texts) * number // count for number in range(count)]
    return window_batches(texts, tokenise, config, places), count


def window_batches(texts: Sequence[Text], tokenise: Tokenise, config: DataConfig, places: Sequence[int]) -> list[dict]:
    """The batches of the texts at these places, window by window."""
    window = config.window * config.batch_size
    batches = []
    for start in range(0, len(places), window):
        examples = tokenise([texts[place] for place in places[start : start + window]])
        batches += cut_window(examples, config, together=tokenise.together, pad_id=tokenise.pad_id)
    return batches


def count_steps(texts: Sequence[Text], tokenise: Tokenise, config: DataConfig, epochs: float) -> int:
    """Steps that so many epochs take; reads all texts once.

    Raises:
        ValueError: if no text is short enough to learn from.
    """
    window, batches = config.window * config.batch_size, 0
    for start in range(0, len(texts), window):
        batches += len(window_batches(texts, tokenise, config, range(start, min(start + window, len(texts)))))
    if not batches:
        raise ValueError(NOTHING_FITS.format(texts=len(texts), tokens=tokenise.target_limit))
    return math.ceil(epochs * batches)


def indexed_batches(batches: Sequence[dict]):
    """A Grain dataset of batches that can be made from their number alone."""
    import grain

    return _in_background(
        grain.MapDataset.source(batches).to_iter_dataset(grain.ReadOptions(1, PREFETCHED)), flat=False
    )


def cut_window(examples: Sequence[Example], config: DataConfig, *, pad_id: int, together: bool = False) -> list[dict]:
    """Full batches of examples of one source bucket each; the last of a kind is filled with empty rows.

    Within a bucket examples with many targets go together, so that few rows are padded to the largest number. Where
    `batch_target_tokens` bounds the target positions, rows of one target bucket go together too, and a text whose
    targets, padded, would take more than one row's share is cut by their lengths: one long target makes no others long.
    `together`: a text's targets stay in one row (S+ and S-).
    """
    rows = [part for example in examples if example.targets for part in split_targets(example, config.max_targets)]
    bounded = bool(config.batch_target_tokens)
    if bounded and not together:
        rows = [part for row in rows for part in within_share(row, config)]
    groups: dict[tuple[int, int], list[Example]] = {}
    for row in rows:
        source = bucket(len(row.source), config.source_buckets)
        groups.setdefault((source, _target(row, config) if bounded else 0), []).append(row)
    batches = []
    for (source, _), group in sorted(groups.items()):
        group = sorted(group, key=lambda row: (len(row.targets), max(map(len, row.targets))), reverse=bounded)
        start = 0
        while start < len(group):
            # Of a bounded group the first row has the most targets, and decides how many rows there is room for.
            size = batch_rows(source, config, _pair(group[start], config) * _target(group[start], config))
            chosen = group[start : start + size]
            pair, target = max(_pair(row, config) for row in chosen), max(_target(row, config) for row in chosen)
            shape = {"rows": size, "source": source, "pair": pair, "target": target}
            batches.append({"rows": stack(chosen, **shape, with_types=bool(config.borrowed), pad_id=pad_id)})
            start += size
    return batches


def batch_rows(source: int, config: DataConfig, targets: int = 0) -> int:
    """Rows of a batch whose sources have this many tokens, and whose rows so many target positions."""
    rows = config.batch_size
    if config.batch_tokens:
        rows = min(rows, config.batch_tokens // source)
    if config.batch_target_tokens and targets:
        rows = min(rows, config.batch_target_tokens // targets)
    return max(1, rows)


def within_share(row: Example, config: DataConfig) -> list[Example]:
    """The row, or, if its targets take more than a row's share of `batch_target_tokens`, several: a row of targets of each
    bucket, none of which is beyond the bound."""
    share = config.batch_target_tokens // batch_rows(bucket(len(row.source), config.source_buckets), config)
    if _pair(row, config) * _target(row, config) <= share:
        return [row]
    by_length: dict[int, list[int]] = {}
    for place, ids in enumerate(row.targets):
        by_length.setdefault(bucket(len(ids), config.target_buckets), []).append(place)
    parts = []
    for target, places in sorted(by_length.items()):
        most = max((size for size in _pairs(config) if size * target <= share), default=1)
        parts += [_chosen(row, places[start : start + most]) for start in range(0, len(places), most)]
    return parts


def _chosen(row: Example, places: Sequence[int]) -> Example:
    types, prompts = (tuple(values[place] for place in places) if values else () for values in (row.types, row.prompts))
    return Example(row.source, tuple(row.targets[place] for place in places), types, prompts)


def _pairs(config: DataConfig) -> list[int]:
    return [size for size in config.pair_buckets if size < config.max_targets] + [config.max_targets]


def _pair(row: Example, config: DataConfig) -> int:
    return bucket(len(row.targets), _pairs(config))


def _target(row: Example, config: DataConfig) -> int:
    return bucket(max(map(len, row.targets)), config.target_buckets)


def _in_background(dataset, *, flat: bool):
    """The dataset made ahead in a thread. `flat`: its elements are lists of batches."""
    from grain.experimental import FlatMapIterDataset, FlatMapTransform, ThreadPrefetchIterDataset

    class Batches(FlatMapTransform):
        max_fan_out = 2**20

        def flat_map(self, element):
            return element

    dataset = FlatMapIterDataset(dataset, Batches()) if flat else dataset
    return ThreadPrefetchIterDataset(dataset, prefetch_buffer_size=PREFETCHED)
