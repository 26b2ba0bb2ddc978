"""Training a BERT from a configuration: a reader (kind "reader") or FactCC's classifier (kind "factcc")."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from quals_jax import checkpoints
from quals_jax.checkpoints.bert import load_bert
from quals_jax.data import loader
from quals_jax.data.claims import claim_examples
from quals_jax.data.encoder_batching import PairExample, ShuffledBatches, in_order
from quals_jax.data.gazette_claims import ClaimBatches, CopyBatches
from quals_jax.data.reading import ReaderBatches, squad_examples
from quals_jax.models.bert import Bert, BertConfig
from quals_jax.training.config import TrainConfig
from quals_jax.training.encoder_init import compare_init, encoder_of
from quals_jax.training.encoder_losses import Losses, label_losses, marked_label_losses, span_losses
from quals_jax.wordpiece import PairTokenizer

HEADS = {"reader": "span", "factcc": "labels"}
LOSSES: dict[str, Losses] = {"reader": span_losses, "factcc": marked_label_losses}
EVALUATED: dict[str, Losses] = {"reader": span_losses, "factcc": label_losses}
GAZETTE = {"reader": {"gazette": ReaderBatches}, "factcc": {"gazette": ClaimBatches, "gazette-copies": CopyBatches}}
GAZETTE_VALIDATION_BATCHES = 16
GAZETTE_VALIDATION_SEED = 0
STRIDE = 128  # between windows of a text, in pieces


def prepare_model(config: TrainConfig) -> tuple[Bert, PairTokenizer]:
    """The BERT to start from, and its tokenizer: a folder with one, or with a BART, whose encoder it then begins as.

    Raises:
        ValueError: for a folder of neither, or none.
    """
    wanted, head = config.model, HEADS[config.kind]
    if not wanted.initial:
        raise ValueError(f"model.initial is empty; a {config.kind} starts from a BERT, or from a BART's encoder")
    if _kind_of(wanted.initial) == "bert":
        found = load_bert(
            wanted.initial, head=head, tokenizer=wanted.tokenizer or None, dtype=wanted.dtype, new_head_seed=config.seed
        )
        model, pieces = found.model, found.tokenizer
    else:
        bart = checkpoints.load_checkpoint(wanted.initial, tokenizer=wanted.tokenizer or None, dtype=wanted.dtype)
        model = encoder_of(bart.model, head=head, seed=config.seed, dtype=bart.model.dtype)
        pieces = PairTokenizer.from_pretrained(wanted.tokenizer or bart.folder)
    if wanted.copy_init:
        compare_init(model, seed=config.seed)
    rates = {"hidden_dropout_prob": wanted.dropout, "attention_probs_dropout_prob": wanted.attention_dropout}
    model.config = dataclasses.replace(model.config, **{name: rate for name, rate in rates.items() if rate != -1})
    return model, pieces


def prepare_data(config: TrainConfig, sizes: BertConfig, tokenizer: PairTokenizer):
    """Batches to learn from, and those to evaluate on."""
    data = config.data
    if batches := GAZETTE[config.kind].get(data.train.partition(":")[0]):
        split, rows = data.train.partition(":")[2] or "train", data.batch_size
        held_out = data.validation.partition(":")[2] or "validation"
        training = batches(tokenizer, seed=config.seed, split=split, count=config.steps, rows=rows)
        validation = batches(
            tokenizer, seed=GAZETTE_VALIDATION_SEED, split=held_out, count=GAZETTE_VALIDATION_BATCHES, rows=rows
        )
        return loader.indexed_batches(training), list(validation)
    length = min(sizes.max_positions, data.source_buckets[-1])
    shape = {"rows": data.batch_size, "lengths": data.source_buckets, "pad_id": tokenizer.pad_id}
    examples = _examples(config, data.train, tokenizer, length)
    training = ShuffledBatches(examples, seed=config.seed, count=config.steps, **shape)
    held_out = _examples(config, data.validation, tokenizer, length) if data.validation else []
    return loader.indexed_batches(training), in_order(held_out[: data.validation_rows or len(held_out)], **shape)


def _examples(config: TrainConfig, words: str, tokenizer: PairTokenizer, length: int) -> list:
    read: Callable = squad_words if config.kind == "reader" else claim_words
    examples = [own for word in words.split() for own in read(word, tokenizer, length, config.seed)]
    if not examples:
        raise ValueError(f"the data {words!r} hold nothing to learn")
    return examples


def squad_words(word: str, tokenizer: PairTokenizer, length: int, seed: int) -> Iterator[PairExample]:
    form, _, place = word.partition(":")
    if form != "squad" or not place:
        raise ValueError(f"{word!r} is no source for a reader; it must be squad:FILE or gazette:SPLIT")
    return squad_examples(tokenizer, place, length=length, stride=STRIDE)


def claim_words(word: str, tokenizer: PairTokenizer, length: int, seed: int) -> Iterator[PairExample]:
    form, _, place = word.partition(":")
    if form not in ("claims", "synthetic") or not place:
        raise ValueError(
            f"{word!r} is no source for factcc; it must be claims:FILE, synthetic:FILE (both JSONL), gazette:SPLIT or gazette-copies:SPLIT"
        )
    return claim_examples(tokenizer, place, synthetic=form == "synthetic", length=length, seed=seed)


def _kind_of(initial: str) -> str:
    """What sort of model a folder or hub id holds: "bert" or something else, which the loader of BARTs speaks of."""
    path = checkpoints.locate(initial)
    described = path / "config.json" if path.is_dir() else Path()
    if not described.is_file():
        return "bart"
    values = json.loads(described.read_text(encoding="utf-8"))
    return values.get("model_type", "bert" if "hidden_size" in values else "bart")
