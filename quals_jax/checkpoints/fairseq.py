"""BART as fairseq saves it: the architecture from `args` or `cfg`, the tensors under Hugging Face's names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from quals_jax.checkpoints import torch_pickle
from quals_jax.checkpoints.errors import CheckpointError
from quals_jax.checkpoints.huggingface import SHARED
from quals_jax.checkpoints.torch_pickle import Record
from quals_jax.models.bart import BartConfig

PRETRAINED_ROWS = 50265  # of published files; the dictionary has one less (no <mask>)
FIELDS = {
    "d_model": "encoder_embed_dim",
    "encoder_layers": "encoder_layers",
    "decoder_layers": "decoder_layers",
    "encoder_attention_heads": "encoder_attention_heads",
    "decoder_attention_heads": "decoder_attention_heads",
    "encoder_ffn_dim": "encoder_ffn_embed_dim",
    "decoder_ffn_dim": "decoder_ffn_embed_dim",
    "max_position_embeddings": "max_source_positions",
    "activation_function": "activation_fn",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
}
ARCHITECTURES = {  # sizes that a file need not spell out
    "bart_large": dict(
        encoder_embed_dim=1024, encoder_ffn_embed_dim=4096, decoder_ffn_embed_dim=4096, layers=12, heads=16
    ),
    "bart_base": dict(
        encoder_embed_dim=768, encoder_ffn_embed_dim=3072, decoder_ffn_embed_dim=3072, layers=6, heads=12
    ),
}
# What a BART says of itself, if it says anything; any other value is another model.
REQUIRED = {
    "encoder_normalize_before": False,
    "decoder_normalize_before": False,
    "encoder_learned_pos": True,
    "decoder_learned_pos": True,
    "layernorm_embedding": True,
    "share_all_embeddings": True,
    "no_token_positional_embeddings": False,
    "no_cross_attention": False,
    "cross_self_attention": False,
    "layer_wise_attention": False,
    "adaptive_input": False,
    "adaptive_softmax_cutoff": None,
}
IGNORED = re.compile(
    r"(en|de)coder\.version|(en|de)coder\.embed_positions\._float_tensor|classification_heads\..*|decoder\.output_projection\.bias"
)
TIED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "decoder.output_projection.weight")


def load_fairseq(path: Path, *, dictionary_size: int | None = None) -> tuple[BartConfig, dict[str, np.ndarray]]:
    """Configuration and tensors of a fairseq file.

    fairseq: a pretrained BART has a row more than its dictionary (`<mask>`), and the released code drops it: with a dictionary one
    entry smaller than the table, or without a dictionary and 50,265 rows, so do we.

    Raises:
        CheckpointError: if the file holds no BART that this model can be; all that is wrong with it at once.
    """
    contents = torch_pickle.load(path)
    state = contents.get("model") if isinstance(contents, dict) else None
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds no 'model'; a fairseq checkpoint does")
    described = _architecture(contents)
    if described is None:
        raise CheckpointError(f"{path}: says nothing of its architecture (neither 'args' nor 'cfg')")
    try:
        tensors = _renamed(state)
        rows = tensors[SHARED].shape[0]
        if rows - 1 == dictionary_size or (dictionary_size is None and rows == PRETRAINED_ROWS):
            tensors[SHARED] = tensors[SHARED][:-1]
        return _config(described, tensors[SHARED].shape[0]), tensors
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}", None if len(error.problems) < 2 else error.problems) from None


def _architecture(contents: dict) -> dict | None:
    """What the file says of its model: an argparse Namespace, or (newer) an omegaconf tree."""
    args = contents.get("args")
    if isinstance(args, Record) and isinstance(args.state, dict):
        return args.state
    cfg = contents.get("cfg")
    model = _plain(cfg)
    model = model.get("model") if isinstance(model, dict) else None
    if isinstance(model, Record):
        model = model.state
    return model if isinstance(model, dict) else None


def _plain(value, depth: int = 0):
    """An omegaconf node as plain values; what is nested too deep to be a configuration stays as it is."""
    if depth > 20:
        return value
    if isinstance(value, Record) and isinstance(value.state, dict):
        if "_val" in value.state:
            return value.state["_val"]
        if "_content" in value.state:
            return _plain(value.state["_content"], depth + 1)
        return value
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    return value


def _config(described: dict, vocab_size: int) -> BartConfig:
    base = next(
        (
            sizes
            for name, sizes in ARCHITECTURES.items()
            if str(described.get("arch") or described.get("_name")) == name
        ),
        {},
    )
    values = {}
    for side in ("encoder", "decoder") if base else ():
        values |= {f"{side}_layers": base["layers"], f"{side}_attention_heads": base["heads"]}
    values |= {name: size for name, size in base.items() if name not in ("layers", "heads")}
    values |= {name: value for name, value in described.items() if value is not None}
    problems = [
        f"{name} is {values[name]!r}; this BART has {wanted!r}"
        for name, wanted in REQUIRED.items()
        if values.get(name) is not None and values[name] != wanted
    ]
    for first, second in (("encoder_embed_dim", "decoder_embed_dim"), ("max_source_positions", "max_target_positions")):
        if values.get(first) != values.get(second, values.get(first)):
            problems.append(f"{first} is {values[first]!r} and {second} {values[second]!r}; they must be equal")
    if problems:
        raise CheckpointError("is no BART that can be loaded", problems)
    found = {ours: values[theirs] for ours, theirs in FIELDS.items() if theirs in values}
    found["activation_dropout"] = values.get("activation_dropout") or values.get("relu_dropout") or 0.0
    found["scale_embedding"] = not values.get("no_scale_embedding", True)
    try:
        return BartConfig.from_dict(found | {"vocab_size": vocab_size})
    except (ValueError, TypeError) as error:
        raise CheckpointError(str(error)) from None


def _renamed(state: dict) -> dict[str, np.ndarray]:
    """The tensors under Hugging Face's names, as float32, the embedding once."""
    strangers = [f"{name} is no tensor" for name, array in state.items() if not isinstance(array, np.ndarray)]
    if strangers:
        raise CheckpointError("holds other things than tensors", strangers)
    tables = {name: state[name] for name in TIED if name in state}
    if not tables:
        raise CheckpointError("holds no embedding (encoder.embed_tokens.weight)")
    first = next(iter(tables))
    differing = [f"{name} differs from {first}" for name in tables if not np.array_equal(tables[name], tables[first])]
    if differing:
        raise CheckpointError("embeddings that BART ties differ", differing)
    tensors = {SHARED: np.asarray(tables[first], np.float32)}
    for name, array in state.items():
        if name in TIED or IGNORED.fullmatch(name):
            continue
        array = np.asarray(array, np.float32)
        if joined := re.fullmatch(r"(.*)\.in_proj_(weight|bias)", name):  # older files: query, key and value in one
            for part, slice in zip("qkv", np.split(array, 3), strict=True):
                tensors[f"model.{joined[1]}.{part}_proj.{joined[2]}"] = slice
        else:
            tensors[f"model.{name}"] = array
    return tensors
