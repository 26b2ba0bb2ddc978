"""How the weights of each architecture lie in Hugging Face's files: which tensor is which parameter, and which tensors are one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quals_jax.checkpoints.errors import CheckpointError, shown
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.models.t5 import T5, T5Config

Tensors = dict[str, np.ndarray]

# Last part of a parameter's path -> (last part of the tensor's name, whether the matrix is stored transposed).
LEAVES = {
    "kernel": ("weight", True),
    "bias": ("bias", False),
    "scale": ("weight", False),
    "embedding": ("weight", False),
}
# Other names of the one embedding table: absent, or equal to it.
BART_TIED = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
SHARED = "model.shared.weight"
LOGITS_BIAS = "final_logits_bias"

T5_TIED = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
T5_SHARED, T5_OUTPUT = "shared.weight", "lm_head.weight"
T5_UNUSED = (
    "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"  # of early files; no model reads it
)
# A block's layers have numbers in the files: self-attention, (in the decoder) cross-attention, the network.
T5_PARTS = {
    "self_attention": "layer.0.SelfAttention",
    "self_attention_norm": "layer.0.layer_norm",
    "cross_attention": "layer.1.EncDecAttention",
    "cross_attention_norm": "layer.1.layer_norm",
    "feed_forward": "layer.{last}.DenseReluDense",
    "feed_forward_norm": "layer.{last}.layer_norm",
}
T5_GATED = {"gate": "wi_0", "wi": "wi_1"}


@dataclass(frozen=True)
class Layout:
    """One architecture in files. architectures: the class that `transformers` loads, for every `model_type`.

    tensor_name: from a parameter's path in a module of that configuration to its tensor, and whether that is stored transposed.
    one_table: tensors under one name each, the configuration that they are of, and what is wrong with them. described: what else
    `config.json` must say for `transformers`.
    """

    name: str
    model: type
    config: type
    architectures: dict[str, str]
    tensor_name: Callable[[object, tuple], tuple[str, bool]]
    one_table: Callable[[object, Tensors], tuple[object, Tensors, list[str]]]
    described: Callable[[object], dict]


def layout_of(config) -> Layout:
    """The layout of a configuration's architecture."""
    return next(layout for layout in LAYOUTS if isinstance(config, layout.config))


def layout_named(model_type) -> Layout:
    """The layout of a `model_type`.

    Raises:
        CheckpointError: if there is none.
    """
    found = [layout for layout in LAYOUTS if isinstance(model_type, str) and model_type in layout.architectures]
    if not found:
        known = ", ".join(name for layout in LAYOUTS for name in layout.architectures)
        raise CheckpointError(f"model_type is {shown(model_type)}; only {known} can be loaded")
    return found[0]


def bart_tensor(config: BartConfig, path: tuple) -> tuple[str, bool]:
    if path[0] == LOGITS_BIAS:
        return LOGITS_BIAS, False
    leaf, transposed = LEAVES[path[-1]]
    return "model." + ".".join(map(str, path[:-1])) + "." + leaf, transposed


def bart_table(config: BartConfig, tensors: Tensors) -> tuple[BartConfig, Tensors, list[str]]:
    """Names with `model.` in front, as BartForConditionalGeneration has them and a bare BartModel has not; the embedding under one."""
    bare = ("encoder.", "decoder.", "shared.")
    tensors = {("model." + name if name.startswith(bare) else name): array for name, array in tensors.items()}
    tensors, problems = _as_one(tensors, (SHARED, *BART_TIED), "BART")
    return config, tensors, problems


def t5_tensor(config: T5Config, path: tuple) -> tuple[str, bool]:
    leaf, transposed = LEAVES[path[-1]]
    if path[0] in ("shared", "lm_head"):
        return f"{path[0]}.{leaf}", transposed
    side, part = path[:2]
    if part == "relative_attention_bias":  # the first block's, and all use it
        return f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.{leaf}", transposed
    if part == "final_norm":
        return f"{side}.final_layer_norm.{leaf}", transposed
    number, name, *rest = path[2:-1]
    rest = [T5_GATED.get(one, one) if config.gated else one for one in rest]
    place = T5_PARTS[name].format(last=1 if side == "encoder" else 2)
    return ".".join([side, "block", str(number), place, *rest, leaf]), transposed


def t5_table(config: T5Config, tensors: Tensors) -> tuple[T5Config, Tensors, list[str]]:
    """The embedding under one name. The output has a table of its own if the files hold another `lm_head.weight`: as `transformers`
    does, and whatever the configuration says of it."""
    tensors = {name: array for name, array in tensors.items() if name != T5_UNUSED}
    output = tensors.pop(T5_OUTPUT, None)
    tensors, problems = _as_one(tensors, (T5_SHARED, *T5_TIED), "T5")
    own = output is not None and not np.array_equal(output, tensors.get(T5_SHARED))
    if own:
        tensors[T5_OUTPUT] = output
    return dataclasses.replace(config, own_output=own), tensors, problems


def _as_one(tensors: Tensors, names: tuple[str, ...], owner: str) -> tuple[Tensors, list[str]]:
    """The tensors with the table that has these names under the first; and which of them hold something else."""
    tensors = dict(tensors)
    tables = {name: tensors.pop(name) for name in names if name in tensors}
    if not tables:
        return tensors, []
    first = next(iter(tables))
    differing = [name for name in tables if not np.array_equal(tables[name], tables[first])]
    problems = [f"{name} differs from {first}, to which {owner} ties it" for name in differing]
    return tensors | {names[0]: tables[first]}, problems


BART = Layout(
    "BART", Bart, BartConfig, {"bart": "BartForConditionalGeneration"}, bart_tensor, bart_table,
    lambda config: {"model_type": "bart", "tie_word_embeddings": True, "forced_eos_token_id": config.eos_token_id},
)  # fmt: skip
# `transformers` reads off `tie_word_embeddings` whether the states are scaled, and ties only what has no tensor of its own.
T5_LAYOUT = Layout(
    "T5", T5, T5Config, {"t5": "T5ForConditionalGeneration", "mt5": "MT5ForConditionalGeneration"}, t5_tensor, t5_table,
    lambda config: {"tie_word_embeddings": config.scale_decoder_outputs},
)  # fmt: skip
LAYOUTS = (BART, T5_LAYOUT)
