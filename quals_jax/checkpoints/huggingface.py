"""Weights in Hugging Face's layout, in and out (`layouts.py` says which tensor is which parameter)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx

from quals_jax.checkpoints.errors import CheckpointError, naming, shown
from quals_jax.checkpoints.layouts import LOGITS_BIAS, layout_named, layout_of
from quals_jax.checkpoints.modes import follow_umask
from quals_jax.checkpoints.names import plain_names
from quals_jax.models.bart import BartConfig
from quals_jax.models.layers import with_layers
from quals_jax.models.t5 import T5Config

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
PART = re.compile(r"[\w.-]+\.(safetensors|bin)")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def export(model: nnx.Module) -> dict[str, np.ndarray]:
    """Every tensor of the model under its Hugging Face name, float32."""
    tensors, layout = {}, layout_of(model.config)
    for path, variable in nnx.to_flat_state(nnx.state(with_layers(model, as_one=()))):
        name, transposed = layout.tensor_name(model.config, path)
        array = np.asarray(variable[...], np.float32)
        tensors[name] = np.ascontiguousarray(array.T) if transposed else array
    if LOGITS_BIAS in tensors:
        tensors[LOGITS_BIAS] = tensors[LOGITS_BIAS][None]  # [1, vocab] there
    return tensors


def fill(config, tensors: dict[str, np.ndarray], *, dtype=jnp.float32, remat: bool = False) -> nnx.Module:
    """A model of this configuration that holds these tensors; nothing is allocated twice.

    Raises:
        CheckpointError: listing every tensor that is missing, of the wrong shape, or not one of such a model's.
    """
    layout = layout_of(config)
    sides = [
        getattr(config, name)
        for name in ("encoder_layers", "num_layers", "decoder_layers", "num_decoder_layers")
        if hasattr(config, name)
    ]
    if sum(sides) > len(tensors):  # each has many; a model of millions takes forever
        layers = " + ".join(map(str, sides))
        raise CheckpointError(f"the configuration has {layers} layers, and there are only {len(tensors)} tensors")
    config, left, problems = layout.one_table(config, tensors)
    model = nnx.eval_shape(lambda: layout.model(config, rngs=_OneKey(), dtype=dtype, remat=remat))
    graph, state = nnx.split(model)
    filled = []
    for path, variable in nnx.to_flat_state(state):
        name, transposed = layout.tensor_name(config, path)
        shape, kind = variable.shape, variable.dtype
        array = left.pop(name, np.zeros(shape, np.float32) if name == LOGITS_BIAS else None)
        if array is None:
            problems.append(f"{name} is missing")
            continue
        array = array.reshape(-1) if name == LOGITS_BIAS and array.shape == (1, *shape) else array
        array = array.T if transposed and array.ndim == 2 else array
        if array.shape != shape:
            found, wanted = (values[::-1] if transposed else values for values in (array.shape, shape))
            problems.append(f"{name} has shape {list(found)}, not {list(wanted)}")
            continue
        filled.append((path, variable.replace(jnp.asarray(np.asarray(array, np.float32), kind))))
    problems += [f"{name} does not belong to a {layout.name} of this configuration" for name in left]
    if problems:
        raise CheckpointError("the weights do not fit the configuration", problems)
    return nnx.merge(graph, nnx.from_flat_state(filled))


class _OneKey:
    """Random keys where no number is ever drawn: `nnx.Rngs` counts, and under `eval_shape` that takes quadratic time."""

    def params(self):
        return jax.random.key(0)


def misfits(config, tensors: dict[str, np.ndarray]) -> list[str]:
    """What is wrong with the tensors, for a file that cannot be used anyway."""
    try:
        fill(config, tensors)
    except CheckpointError as error:
        return error.problems
    return []


def state_dict(values) -> dict[str, np.ndarray]:
    """What a PyTorch file holds, if it is tensors by name.

    Raises:
        CheckpointError: if it is anything else.
    """
    if not isinstance(values, dict):
        raise CheckpointError("holds no state dict")
    strangers = [
        f"{shown(name)} is no tensor with a name"
        for name, array in values.items()
        if type(name) is not str or not isinstance(array, np.ndarray)
    ]
    if strangers:
        raise CheckpointError("holds other things than tensors", strangers)
    return dict(values)


def load_huggingface(folder: Path) -> tuple[BartConfig | T5Config, dict[str, np.ndarray], dict]:
    """Configuration, tensors as stored, and the whole `config.json` of a folder.

    Raises:
        CheckpointError: naming the file that is missing, unreadable or of another architecture.
    """
    path = folder / "config.json"
    extra = read_json(path)
    with naming(path):
        layout = layout_named(extra.get("model_type", "bart"))
        try:
            config = layout.config.from_dict(extra)
        except ValueError as error:
            raise CheckpointError(str(error)) from None
    tensors = read_weights(folder)
    with naming(folder):
        tensors = plain_names(tensors, folder)
    return config, tensors, extra


def read_json(path: Path) -> dict:
    """The object in a JSON file.

    Raises:
        CheckpointError: if there is none.
    """
    with naming(path):
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise CheckpointError("there is no such file") from None
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"cannot be read as JSON ({error})") from None
        if not isinstance(values, dict):
            raise CheckpointError("holds no JSON object")
    return values


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """The tensors of a folder, in one file or in parts.

    Raises:
        CheckpointError: naming the folder if it holds none, or the file that is missing or unreadable.
    """
    for name in WEIGHTS:
        path = folder / name
        if not path.exists():
            continue
        if name.endswith(".index.json"):
            weights = read_json(path).get("weight_map")
            parts = list(weights.values()) if isinstance(weights, dict) else []
            if not parts or any(not isinstance(part, str) or not PART.fullmatch(part) for part in parts):
                raise CheckpointError(
                    f"{path}: weight_map names no weights beside it; it must give every tensor's file"
                )
            tensors: dict[str, np.ndarray] = {}
            for part in sorted(set(parts)):
                tensors |= read_tensors(folder / part)
            return tensors
        return read_tensors(path)
    raise CheckpointError(f"{folder}: holds none of {', '.join(WEIGHTS)}")


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of one `.safetensors` or `.bin` file.

    Raises:
        CheckpointError: naming the file, if it is truncated or not what it should be.
    """
    with naming(path):
        if path.suffix != ".safetensors":
            from quals_jax.checkpoints import torch_pickle

            return state_dict(torch_pickle.load(path))
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except (OSError, SafetensorError, ValueError, KeyError) as error:
            raise CheckpointError(f"cannot be read as safetensors ({error})") from None


def save_huggingface(
    folder: Path,
    config: BartConfig | T5Config,
    tensors: dict[str, np.ndarray],
    *,
    extra: dict | None = None,
    dtype: str = "float32",
) -> None:
    """Writes `config.json`, `generation_config.json` and `model.safetensors` as `transformers` reads them.

    `extra` are further entries of `config.json`, such as the `quals_jax` block. Floating-point tensors are stored as `dtype`.

    Raises:
        ValueError: for an unknown dtype.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; it must be one of {', '.join(DTYPES)}")
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    layout = layout_of(config)
    described = {
        "is_encoder_decoder": True,
        "torch_dtype": dtype,
        **layout.described(config),
        **config.to_dict(),
        **(extra or {}),
    }
    described["architectures"] = [layout.architectures[described["model_type"]]]
    _write_json(folder / "config.json", described)
    generation = ("bos_token_id", "decoder_start_token_id", "eos_token_id", "forced_eos_token_id", "pad_token_id")
    _write_json(folder / "generation_config.json", {name: described[name] for name in generation if name in described})
    stored = {name: np.ascontiguousarray(array.astype(DTYPES[dtype])) for name, array in tensors.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    follow_umask(folder / "model.safetensors")


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
