"""BART as fairseq saves it: the architecture from `args` or `cfg`, the tensors under Hugging Face's names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from quals_jax.checkpoints import torch_pickle
from quals_jax.checkpoints.errors import PLAIN, CheckpointError, naming, shown
from quals_jax.checkpoints.huggingface import misfits, state_dict
from quals_jax.checkpoints.layouts import SHARED
from quals_jax.checkpoints.names import plain_names
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
    r"(en|de)coder\.embed_positions\._float_tensor|classification_heads\..*|decoder\.output_projection\.bias"
)
TIED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "decoder.output_projection.weight")


def load_fairseq(path: Path, *, dictionary_size: int | None = None) -> tuple[BartConfig, dict[str, np.ndarray]]:
    """Configuration and tensors of a fairseq file.

    fairseq: a pretrained BART has a row more than its dictionary (`<mask>`), and the released code drops it: with a dictionary one
    entry smaller than the table, or 50,265 rows of which no dictionary knows, so do we.

    Raises:
        CheckpointError: if the file holds no BART that this model can be; all that is wrong with it at once.
    """
    with naming(path):
        contents = torch_pickle.load(path)
        if not isinstance(contents, dict) or not isinstance(contents.get("model"), dict):
            raise CheckpointError("holds no 'model'; a fairseq checkpoint does")
        described = _architecture(contents)
        if described is None:
            raise CheckpointError("says nothing of its architecture (neither 'args' nor 'cfg')")
        tensors, problems = _renamed(plain_names(state_dict(contents["model"]), path))
        rows = tensors[SHARED].shape[0]
        if rows - 1 == dictionary_size or (rows == PRETRAINED_ROWS != dictionary_size):
            tensors[SHARED] = tensors[SHARED][:-1]
        values = _with_sizes(described)
        problems = _unlike_bart(values) + problems
        try:
            config = _config(values, tensors[SHARED].shape[0])
        except ValueError as error:
            raise CheckpointError("is no BART that can be loaded", [*problems, str(error)]) from None
        if problems:
            raise CheckpointError("is no BART that can be loaded", problems + misfits(config, tensors))
        return config, tensors


def _architecture(contents: dict) -> dict | None:
    """What the file says of its model: an argparse Namespace, or (newer) an omegaconf tree; or None.

    Names and plain values only: of anything else, which may be a tangle of lists that hold each other, its kind is left.
    """
    model = contents.get("args")
    if not isinstance(model, Record):
        tree = _inside(contents.get("cfg"))
        model = _inside(tree.get("model")) if isinstance(tree, dict) else None
    values = _inside(model)
    if not isinstance(values, dict):
        return None
    leaves = {name: _inside(value) for name, value in values.items() if type(name) is str}
    return {name: value if type(value) in PLAIN else shown(value) for name, value in leaves.items()}


def _inside(node):
    """What a Namespace or an omegaconf node holds (a dict of nodes, or a value); anything else is itself."""
    if not isinstance(node, Record):
        return node
    state = node.state
    return (
        next((state[name] for name in ("_val", "_content") if name in state), state)
        if isinstance(state, dict)
        else None
    )


def _with_sizes(described: dict) -> dict:
    """What the file says, with the sizes that its architecture implies."""
    base = ARCHITECTURES.get(described.get("arch") or described.get("_name"), {})
    values = {}
    for side in ("encoder", "decoder") if base else ():
        values |= {f"{side}_layers": base["layers"], f"{side}_attention_heads": base["heads"]}
    values |= {name: size for name, size in base.items() if name not in ("layers", "heads")}
    return values | {name: value for name, value in described.items() if value is not None}


def _unlike_bart(values: dict) -> list[str]:
    """What the file says that is not so of this BART."""
    problems = [
        f"{name} is {shown(values[name])}; this BART has {wanted!r}"
        for name, wanted in REQUIRED.items()
        if values.get(name) is not None and values[name] != wanted
    ]
    for first, second in (("encoder_embed_dim", "decoder_embed_dim"), ("max_source_positions", "max_target_positions")):
        one, other = values.get(first), values.get(second)
        if None not in (one, other) and one != other:
            problems.append(f"{first} is {shown(one)} and {second} {shown(other)}; they must be equal")
    return problems


def _config(values: dict, vocab_size: int) -> BartConfig:
    found = {ours: values[theirs] for ours, theirs in FIELDS.items() if theirs in values}
    found["activation_dropout"] = values.get("activation_dropout") or values.get("relu_dropout") or 0.0
    found["scale_embedding"] = not values.get("no_scale_embedding", True)
    return BartConfig.from_dict(found | {"vocab_size": vocab_size})


def _renamed(state: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors under Hugging Face's names, as float32, the embedding once; and what is wrong with them.

    Raises:
        CheckpointError: if there is no embedding.
    """
    tables = {name: state[name] for name in TIED if name in state and state[name].ndim == 2}
    if not tables:
        raise CheckpointError("holds no embedding (encoder.embed_tokens.weight, a matrix)")
    first = next(iter(tables))
    differing = [name for name in TIED if name in state and not np.array_equal(state[name], state[first])]
    problems = [f"{name} differs from {first}, to which BART ties it" for name in differing]
    tensors = {SHARED: np.asarray(tables[first], np.float32)}
    for name, array in state.items():
        if name in TIED or IGNORED.fullmatch(name):
            continue
        array = np.asarray(array, np.float32)
        joined = re.fullmatch(r"(.*)\.in_proj_(weight|bias)", name)  # older files: query, key and value in one
        if not joined:
            tensors[f"model.{name}"] = array
        elif array.ndim == 0 or len(array) % 3:
            problems.append(
                f"{name} has shape {list(array.shape)}; its first axis must be three times the model's width"
            )
        else:
            for part, slice in zip("qkv", np.split(array, 3), strict=True):
                tensors[f"model.{joined[1]}.{part}_proj.{joined[2]}"] = slice
    return tensors, problems
