"""BART's weights in Hugging Face's layout, in and out: one table says which tensor is which parameter."""

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
from quals_jax.checkpoints.names import plain_names
from quals_jax.models.bart import Bart, BartConfig

# Last part of a parameter's path -> (last part of the tensor's name, whether the matrix is stored transposed).
LEAVES = {
    "kernel": ("weight", True),
    "bias": ("bias", False),
    "scale": ("weight", False),
    "embedding": ("weight", False),
}
# Other names of the one embedding table: absent, or equal to it.
TIED = ("model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight")
SHARED = "model.shared.weight"
LOGITS_BIAS = "final_logits_bias"
DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
PART = re.compile(r"[\w.-]+\.(safetensors|bin)")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def tensor_name(path: tuple) -> tuple[str, bool]:
    """The tensor that holds the parameter at a path of the module, and whether it is stored transposed."""
    if path[0] == LOGITS_BIAS:
        return LOGITS_BIAS, False
    leaf, transposed = LEAVES[path[-1]]
    return "model." + ".".join(map(str, path[:-1])) + "." + leaf, transposed


def export(model: Bart) -> dict[str, np.ndarray]:
    """Every tensor of the model under its Hugging Face name, float32."""
    tensors = {}
    for path, variable in nnx.to_flat_state(nnx.state(model)):
        name, transposed = tensor_name(path)
        array = np.asarray(variable[...], np.float32)
        tensors[name] = np.ascontiguousarray(array.T) if transposed else array
    tensors[LOGITS_BIAS] = tensors[LOGITS_BIAS][None]  # [1, vocab] there
    return tensors


def fill(config: BartConfig, tensors: dict[str, np.ndarray], *, dtype=jnp.float32, remat: bool = False) -> Bart:
    """A model of this configuration that holds these tensors; nothing is allocated twice.

    Raises:
        CheckpointError: listing every tensor that is missing, of the wrong shape, or not one of BART's.
    """
    if config.encoder_layers + config.decoder_layers > len(tensors):  # each has many; a model of millions takes forever
        layers = f"{config.encoder_layers} + {config.decoder_layers}"
        raise CheckpointError(f"the configuration has {layers} layers, and there are only {len(tensors)} tensors")
    model = nnx.eval_shape(lambda: Bart(config, rngs=_OneKey(), dtype=dtype, remat=remat))
    graph, state = nnx.split(model)
    left, problems = _one_table(_prefixed(tensors))
    filled = []
    for path, variable in nnx.to_flat_state(state):
        name, transposed = tensor_name(path)
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
    problems += [f"{name} does not belong to a BART of this configuration" for name in left]
    if problems:
        raise CheckpointError("the weights do not fit the configuration", problems)
    return nnx.merge(graph, nnx.from_flat_state(filled))


class _OneKey:
    """Random keys where no number is ever drawn: `nnx.Rngs` counts, and under `eval_shape` that takes quadratic time."""

    def params(self):
        return jax.random.key(0)


def misfits(config: BartConfig, tensors: dict[str, np.ndarray]) -> list[str]:
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


def _prefixed(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Names with `model.` in front, as BartForConditionalGeneration has them and a bare BartModel has not."""
    bare = ("encoder.", "decoder.", "shared.")
    return {("model." + name if name.startswith(bare) else name): array for name, array in tensors.items()}


def _one_table(tensors: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The tensors with the embedding under one name; and which of its names hold something else, which this model cannot."""
    tables = {name: tensors.pop(name) for name in (SHARED, *TIED) if name in tensors}
    if not tables:
        return tensors, []
    first = next(iter(tables))
    differing = [name for name in tables if not np.array_equal(tables[name], tables[first])]
    problems = [f"{name} differs from {first}, to which BART ties it" for name in differing]
    return tensors | {SHARED: tables[first]}, problems


def load_huggingface(folder: Path) -> tuple[BartConfig, dict[str, np.ndarray], dict]:
    """Configuration, tensors as stored, and the whole `config.json` of a folder.

    Raises:
        CheckpointError: naming the file that is missing, unreadable or not of a BART.
    """
    path = folder / "config.json"
    extra = read_json(path)
    with naming(path):
        if extra.get("model_type", "bart") != "bart":
            raise CheckpointError(f"model_type is {shown(extra['model_type'])}; only bart can be loaded")
        try:
            config = BartConfig.from_dict(extra)
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
    config: BartConfig,
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
    described = {
        "architectures": ["BartForConditionalGeneration"],
        "model_type": "bart",
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "forced_eos_token_id": config.eos_token_id,
        "torch_dtype": dtype,
        **config.to_dict(),
        **(extra or {}),
    }
    _write_json(folder / "config.json", described)
    generation = ("bos_token_id", "decoder_start_token_id", "eos_token_id", "forced_eos_token_id", "pad_token_id")
    _write_json(folder / "generation_config.json", {name: described[name] for name in generation})
    stored = {name: np.ascontiguousarray(array.astype(DTYPES[dtype])) for name, array in tensors.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
