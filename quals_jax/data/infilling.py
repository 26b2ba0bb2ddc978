"""Text infilling, what BART is pretrained on: spans of words are each replaced by one mask, and the model writes the whole text.

Source: Lewis et al. 2020 (ACL), section 2.2: spans of Poisson(3) lengths, also of length 0, 30% of the words, and (for BART-large)
sentences in random order. Whole words are masked, as in the released model. Unlike there, spans neither overlap nor touch, so that the
share of masked words is exact.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from quals_jax.data.batching import Example
from quals_jax.data.texts import Text
from quals_jax.sentences import sentences
from quals_jax.tokenizer import BOS


def span_lengths(words: int, share: float, mean: float, generator: np.random.Generator) -> list[int]:
    """Lengths in words, each from Poisson(`mean`), drawn until they make `share` of the words (rounded up); the last is cut to make it
    exactly that. Lengths of 0 are masks that stand for nothing."""
    wanted, lengths = int(np.ceil(round(share * words, 6))), []
    while wanted > 0:
        length = min(int(generator.poisson(mean)), wanted)
        lengths.append(length)
        wanted -= length
    return lengths


def infill(
    ids: Int[np.ndarray, "token"],
    starts: Bool[np.ndarray, "token"],
    lengths: Sequence[int],
    mask_id: int,
    generator: np.random.Generator,
) -> Int[np.ndarray, "noised"]:
    """The ids with a mask in the place of each span.

    Before, between and after the words that stay are as many places plus one; each span goes to another one, all choices alike likely. More
    spans than places: the shortest are left out (a span of 0 words is not missed), the words of the others stay.

    Args:
        starts: where a word begins; the first token always does.
        lengths: of the spans in words, in the order of the text.
    """
    edges = np.append(np.flatnonzero(starts), len(ids))
    edges[0] = 0
    stay = len(edges) - 1 - sum(lengths)
    if len(lengths) > stay + 1:
        chosen = sorted(np.argsort(lengths, kind="stable")[-1 - max(stay, 0) :])
        return infill(ids, starts, [lengths[place] for place in chosen], mask_id, generator)
    places = np.sort(generator.choice(stay + 1, len(lengths), replace=False))
    parts, word, seen = [], 0, 0
    for place, length in zip(places.tolist(), lengths, strict=True):
        parts += [ids[edges[word] : edges[word + place - seen]], np.array([mask_id], ids.dtype)]
        word, seen = word + place - seen + length, place
    return np.concatenate([*parts, ids[edges[word] :]])


class Infilling:
    """`Infilling(...)(texts, generator)` are their examples: the damaged text as the source, the text as the only target. Without a
    generator the damage is that of the text alone, always the same (validation). `counts` says how many texts there were and were cut.

    A text longer than either limit (tokens, the end of sentence included) is cut before it is damaged.
    """

    together, noisy = True, True

    def __init__(
        self, tokenizer, *, source_limit: int, target_limit: int, share: float, mean_length: float, shuffle: bool = False
    ):  # fmt: skip
        if getattr(tokenizer, "mask_id", None) is None:  # SentencePiece has none
            raise ValueError(
                f"{tokenizer.folder}: the tokenizer has no <mask>; python -m quals_jax train_tokenizer makes one that has"
            )
        self.tokenizer, self.pad_id = tokenizer, tokenizer.pad_id
        self.source_limit, self.target_limit = source_limit, target_limit
        self.share, self.mean_length, self.shuffle = share, mean_length, shuffle
        self.counts: Counter[str] = Counter()
        self._begins = np.array([tokenizer.decode([id])[:1].isspace() for id in range(tokenizer.size)])

    def __call__(self, texts: Sequence[Text], generator: np.random.Generator | None = None) -> list[Example]:
        generators = [generator or np.random.default_rng(zlib.crc32(text.source.encode())) for text in texts]
        strings = [text.source for text in texts]
        wholes = self.tokenizer.encode_pieces(strings)
        if self.shuffle:
            orders = map(shuffled, strings, generators)
            return list(map(self._example, wholes, self.tokenizer.encode_pieces(list(orders)), generators))
        return list(map(self._example, wholes, wholes, generators))

    def _example(self, whole: list[int], given: list[int], generator: np.random.Generator) -> Example:
        start = [BOS] if self.tokenizer.source_bos else []
        room = min(self.target_limit, self.source_limit) - 1 - len(start)
        ids = np.array(given[:room], np.int32)
        source = ids
        if len(ids):
            starts = self._begins[ids]
            starts[0] = True
            lengths = span_lengths(int(starts.sum()), self.share, self.mean_length, generator)
            source = infill(ids, starts, lengths, self.tokenizer.mask_id, generator)
        self.counts["texts"] += 1
        self.counts["texts_cut"] += len(whole) > room
        # Masks for nothing can make a short text longer.
        source = source[: self.source_limit - 1 - len(start)].tolist()
        return Example([*start, *source, self.tokenizer.eos_id], ([*whole[:room], self.tokenizer.eos_id],))


def shuffled(text: str, generator: np.random.Generator) -> str:
    """The sentences of a text in random order."""
    found = sentences(text)
    return " ".join(found[place] for place in generator.permutation(len(found)))
