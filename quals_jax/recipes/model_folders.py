"""Models in and out: the one that a run starts from, and the folder that it writes."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import jax
from flax import nnx

from quals_jax import checkpoints, parallel
from quals_jax.checkpoints import huggingface
from quals_jax.checkpoints.bert import export_bert, save_bert
from quals_jax.checkpoints.generation import document_prefix
from quals_jax.data import gazette as gazette_data
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.models.bert import Bert
from quals_jax.models.t5 import T5Config
from quals_jax.pair_formats import source_prefix
from quals_jax.precision import Precision
from quals_jax.qagen import format_of, prefix_of
from quals_jax.recipes import encoders
from quals_jax.tokenizer import CONNECTOR, Tokenizer
from quals_jax.training.config import ModelConfig, TrainConfig
from quals_jax.training.copy_init import copy_init
from quals_jax.training.state import take_apart
from quals_jax.wordpiece import PairTokenizer


def prepare_model(config: TrainConfig) -> tuple[Bart, Tokenizer] | tuple[Bert, PairTokenizer]:
    """The model to start from, and its tokenizer."""
    if config.kind in encoders.HEADS:
        return encoders.prepare_model(config)
    wanted = config.model
    if wanted.initial:
        found = checkpoints.load_checkpoint(
            wanted.initial, tokenizer=wanted.tokenizer or None, dtype=wanted.dtype, remat=wanted.remat
        )
        found.model.config = _with_dropout(found.config, wanted)
        if config.kind == "qagen":
            format = format_of(found, wanted.pair_format or None)
            known = found.settings.pair_format == format.name  # or the folder's prefix is another task's
            found.tokenizer.prefix = prefix_of(found, format) if known else source_prefix(format, found.extra)
            found.tokenizer.pair_format = format.name
        elif config.kind == "mle":  # a T5 that does not say what it expects before a document learns to expect nothing
            found.tokenizer.prefix = document_prefix(found.extra, found.folder / "config.json") or ""
        return found.model, found.tokenizer
    tokenizer = Tokenizer.from_pretrained(wanted.tokenizer, max_source_tokens=min(1023, wanted.max_positions - 1))
    tokenizer.connector_id = _connector_id(tokenizer)
    sizes = BartConfig(
        vocab_size=tokenizer.size,
        d_model=wanted.d_model,
        encoder_layers=wanted.layers,
        decoder_layers=wanted.layers,
        encoder_attention_heads=wanted.heads,
        decoder_attention_heads=wanted.heads,
        encoder_ffn_dim=wanted.ffn_dim,
        decoder_ffn_dim=wanted.ffn_dim,
        max_position_embeddings=wanted.max_positions,
    )
    model = Bart(
        _with_dropout(sizes, wanted),
        rngs=nnx.Rngs(config.seed),
        dtype=Precision.of(wanted.dtype).compute,
        remat=wanted.remat,
    )
    if wanted.copy_init:
        copy_init(model, seed=config.seed, twins=gazette_data.twins(tokenizer))
    return model, tokenizer


def export(
    params: dict[str, jax.Array], model: Bart | Bert, tokenizer: Tokenizer | PairTokenizer, folder: Path, *, dtype: str, unknown: str = ""
) -> Path:  # fmt: skip
    """Writes model and tokenizer where none was, or in place of the one there; the folder. `unknown`: the answer that the model learnt for
    what a text does not tell."""
    if parallel.is_first_process():
        trained = take_apart(model)[0].bart(params)
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(trained, Bert):
            save_bert(partial, trained, export_bert(trained), dtype=dtype)
        else:
            tensors, said = huggingface.export(trained), {"unknown": unknown} if unknown else {}
            huggingface.save_huggingface(
                partial, model.config, tensors, extra={"quals_jax": _block(trained, tokenizer) | said}, dtype=dtype
            )
        tokenizer.save(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    parallel.wait_for_all("exported")
    return folder


def _block(model, tokenizer) -> dict:
    """What the folder says of itself (`ModelSettings`)."""
    said = {"max_source_tokens": tokenizer.max_source_tokens}
    if not isinstance(model, Bart):
        own = {"pair_format": tokenizer.pair_format} if hasattr(tokenizer, "pair_format") else {}
        return said | own | {"prefix": tokenizer.prefix}
    own = {name: getattr(tokenizer, name) for name in ("source_bos", "connector", "connector_id")}
    return said | own | ({"prefix": tokenizer.prefix} if tokenizer.prefix else {})


def _with_dropout(sizes: BartConfig, wanted: ModelConfig) -> BartConfig:
    rates = {"dropout": wanted.dropout, "attention_dropout": wanted.attention_dropout}
    if isinstance(sizes, T5Config):
        rates = {"dropout_rate": wanted.dropout}
    return dataclasses.replace(sizes, **{name: rate for name, rate in rates.items() if rate != -1})


def _connector_id(tokenizer: Tokenizer) -> int:
    for number in range(tokenizer.size - 1, -1, -1):
        if tokenizer.decode([number]) == CONNECTOR:
            return number
    raise ValueError(
        f"{tokenizer.folder}: the tokenizer has no entry {CONNECTOR!r} to stand between question and answer"
    )
