"""Batches through Grain: shuffled, of static shapes, able to go on where they stopped."""

from __future__ import annotations

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
        batches = cut_window(tokenise(window), config)
        empty = 0 if batches else empty + 1
        if empty > -(-len(texts) // texts_at_once):
            raise ValueError(NOTHING_FITS.format(texts=len(texts), tokens=config.target_buckets[-1]))
        return [batches[index] for index in generator.permutation(len(batches))]

    return _in_background(windows.random_map(cut).to_iter_dataset(grain.ReadOptions(1, 2)), flat=True)


def evaluation_batches(texts: Sequence[Text], tokenise: Tokenise, config: DataConfig) -> list[dict]:
    """All of the texts once, in batches {"rows": part}."""
    examples = tokenise([texts[index] for index in range(len(texts))])
    return cut_window(examples, config)


def indexed_batches(batches: Sequence[dict]):
    """A Grain dataset of batches that can be made from their number alone."""
    import grain

    return _in_background(
        grain.MapDataset.source(batches).to_iter_dataset(grain.ReadOptions(1, PREFETCHED)), flat=False
    )


def cut_window(examples: Sequence[Example], config: DataConfig) -> list[dict]:
    """Full batches of examples of one source bucket each; the last of a bucket is filled with empty rows.

    Within a bucket examples with many targets go together, so that few rows are padded to the largest number.
    """
    rows = [part for example in examples if example.targets for part in split_targets(example, config.max_targets)]
    pairs = [size for size in config.pair_buckets if size < config.max_targets] + [config.max_targets]
    by_length: dict[int, list[Example]] = {}
    for row in rows:
        by_length.setdefault(bucket(len(row.source), config.source_buckets), []).append(row)
    batches = []
    for source, group in sorted(by_length.items()):
        group = sorted(group, key=lambda row: (len(row.targets), max(map(len, row.targets))))
        size = batch_rows(source, config)
        for start in range(0, len(group), size):
            chosen = group[start : start + size]
            pair = bucket(max(len(row.targets) for row in chosen), pairs)
            target = bucket(max(len(ids) for row in chosen for ids in row.targets), config.target_buckets)
            part = stack(chosen, rows=size, source=source, pair=pair, target=target)
            batches.append({"rows": part})
    return batches


def batch_rows(source: int, config: DataConfig) -> int:
    """Rows of a batch whose sources have this many tokens."""
    if not config.batch_tokens:
        return config.batch_size
    return max(1, min(config.batch_size, config.batch_tokens // source))


def _in_background(dataset, *, flat: bool):
    """The dataset made ahead in a thread. `flat`: its elements are lists of batches."""
    from grain.experimental import FlatMapIterDataset, FlatMapTransform, ThreadPrefetchIterDataset

    class Batches(FlatMapTransform):
        max_fan_out = 2**20

        def flat_map(self, element):
            return element

    dataset = FlatMapIterDataset(dataset, Batches()) if flat else dataset
    return ThreadPrefetchIterDataset(dataset, prefetch_buffer_size=PREFETCHED)
