"""A byte-level BPE learnt from texts, with BART's special tokens, the connector of QAGens, and (for pretraining) a `<mask>`."""

from __future__ import annotations

import json
from collections.abc import Iterable

from quals_jax.tokenizer import CONNECTOR, Tokenizer
from quals_jax.tokenizer_files import MASK, SPECIAL_TOKENS, AddedToken


def train_bpe(texts: Iterable[str], size: int, *, positions: int, mask: bool = False) -> Tokenizer:
    """The tokenizer: four special tokens, 256 bytes, what was merged, the connector and, with `mask`, `<mask>` as the last, as in BART's
    vocabulary. No text is ever cut into the connector or the mask.

    Args:
        size: entries at the most; fewer where the texts have nothing more to merge.
        positions: of the models it is for; sources are cut one token before.

    Raises:
        ValueError: if `size` leaves no room for merges.
    """
    from tokenizers import Tokenizer as Pieces
    from tokenizers import models, pre_tokenizers, trainers

    last = ["Ġ" + CONNECTOR.strip(), *([MASK] if mask else [])]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    least = len(SPECIAL_TOKENS) + len(alphabet) + len(last)
    if size <= least:
        raise ValueError(f"a vocabulary of {size} has no room for merges; it must be more than {least}")
    learner = Pieces(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    connector = CONNECTOR.strip()
    learner.train_from_iterator(
        (text.replace(connector, " ") for text in texts),  # were it in them often, merges would make it
        trainers.BpeTrainer(
            vocab_size=size - len(last),
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    learned = json.loads(learner.to_str())["model"]
    entries = dict(learned["vocab"])
    entries |= {piece: len(learned["vocab"]) + place for place, piece in enumerate(last)}
    return Tokenizer(
        entries,
        [tuple(merge) for merge in learned["merges"]],
        connector_id=entries[last[0]],
        max_source_tokens=positions - 1,
        added=(AddedToken(MASK, special=True, normalized=False),) if mask else (),
    )
