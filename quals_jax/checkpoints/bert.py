"""BERT's weights in Hugging Face's layout, in and out, with the tokenizer beside them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from quals_jax import checkpoints
from quals_jax.checkpoints.errors import CheckpointError, naming, shown
from quals_jax.checkpoints.huggingface import DTYPES, read_json, read_weights
from quals_jax.checkpoints.layouts import LEAVES
from quals_jax.checkpoints.modes import follow_umask
from quals_jax.checkpoints.names import plain_names
from quals_jax.models.bert import Bert, BertConfig
from quals_jax.models.layers import with_layers
from quals_jax.precision import Precision
from quals_jax.wordpiece import PairTokenizer

# Of the model's parts, and of a layer's, how they are called in the files.
PARTS = {
    "words": "bert.embeddings.word_embeddings",
    "positions": "bert.embeddings.position_embeddings",
    "segments": "bert.embeddings.token_type_embeddings",
    "embedding_norm": "bert.embeddings.LayerNorm",
    "pooler": "bert.pooler.dense",
    "span": "qa_outputs",
    "classifier": "classifier",
}
LAYER_PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mixed": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}
ARCHITECTURES = {"none": "BertModel", "span": "BertForQuestionAnswering", "labels": "BertForSequenceClassification"}
# What files hold beside the encoder and the head asked for: the pre-training's heads, other tasks' heads (FactCCX has four that point),
# and a buffer of numbers from 0 on.
OTHERS = re.compile(
    r"cls\..*|bert\.embeddings\.position_ids|(bert\.pooler|qa_outputs|classifier|(ext|aug)_(start|end)_classifier)\..*"
)


@dataclass(frozen=True, eq=False)
class BertCheckpoint:
    """A model with its tokenizer. `extra` is the whole `config.json`; `fingerprint` a hash of the weights."""

    model: Bert
    tokenizer: PairTokenizer
    name: str
    fingerprint: str
    folder: Path
    extra: dict = field(default_factory=dict)


def load_bert(
    path: str | Path, *, head: str, tokenizer: str | Path | None = None, dtype: str = "float32", new_head_seed: int | None = None
) -> BertCheckpoint:  # fmt: skip
    """The BERT in a Hugging Face folder (or of a hub id) with one of its heads; the layout of FactCC's release is one of them.

    Args:
        head: "span", "labels" or "none".
        tokenizer: the folder of the tokenizer's files, where the checkpoint has none beside it.
        new_head_seed: draws a head where the files have none, to be trained; without it that is an error.

    Raises:
        ValueError: naming what is wrong with the path, the weights, the tokenizer or the dtype (`CheckpointError` lists all bad tensors).
    """
    precision = Precision.of(dtype)
    precision.prepare()
    folder = checkpoints.locate(path)
    if not folder.is_dir():
        raise ValueError(f"{folder}: is a file; name the folder of a Hugging Face model")
    extra = read_json(folder / "config.json")
    with naming(folder / "config.json"):
        if extra.get("model_type", "bert") != "bert":
            raise CheckpointError(f"model_type is {shown(extra['model_type'])}; only bert can be loaded here")
        try:
            config = BertConfig.from_dict(extra)
        except ValueError as error:
            raise CheckpointError(str(error)) from None
    tensors = read_weights(folder)
    with naming(folder):
        tensors = plain_names(tensors, folder)
        model = fill_bert(config, tensors, head=head, dtype=precision.compute, new_head_seed=new_head_seed)
    pieces = PairTokenizer.from_pretrained(tokenizer or folder)
    if pieces.size > config.vocab_size:
        raise CheckpointError(
            f"{pieces.folder}: the tokenizer has {pieces.size} entries, the model {config.vocab_size}: they do not belong together"
        )
    name = checkpoints.name_of(path, folder)
    return BertCheckpoint(model, pieces, name, checkpoints.fingerprint(tensors), folder, extra)


def fill_bert(
    config: BertConfig, tensors: dict[str, np.ndarray], *, head: str, dtype=jnp.float32, new_head_seed: int | None = None
) -> Bert:  # fmt: skip
    """A model of this configuration that holds these tensors.

    Raises:
        CheckpointError: listing every tensor that is missing, of the wrong shape, or not one of BERT's.
    """
    if config.num_hidden_layers > len(tensors):  # each has many; a model of millions takes forever
        raise CheckpointError(
            f"the configuration has {config.num_hidden_layers} layers, and there are only {len(tensors)} tensors"
        )
    model = nnx.eval_shape(lambda: Bert(config, head=head, rngs=nnx.Rngs(0), dtype=dtype))
    graph, state = nnx.split(model)
    left, problems, filled = _current_names(tensors), [], []
    for path, variable in nnx.to_flat_state(state):
        name, transposed = tensor_name(path)
        array, shape = left.pop(name, None), variable.shape
        if array is None and path[0] in ("span", "pooler", "classifier") and new_head_seed is not None:
            array = _drawn(config, shape, transposed, new_head_seed, name)
        if array is None:
            problems.append(f"{name} is missing")
            continue
        array = array.T if transposed and array.ndim == 2 else array
        if array.shape != shape:
            found, wanted = (values[::-1] if transposed else values for values in (array.shape, shape))
            problems.append(f"{name} has shape {list(found)}, not {list(wanted)}")
            continue
        filled.append((path, variable.replace(jnp.asarray(np.asarray(array, np.float32), variable.dtype))))
    problems += [
        f"{name} does not belong to a BERT of this configuration" for name in left if not OTHERS.fullmatch(name)
    ]
    if problems:
        raise CheckpointError("the weights do not fit the configuration", problems)
    return nnx.merge(graph, nnx.from_flat_state(filled))


def tensor_name(path: tuple) -> tuple[str, bool]:
    """The tensor that holds the parameter at a path of the module, and whether it is stored transposed."""
    leaf, transposed = LEAVES[path[-1]]
    if path[0] == "layers":
        return f"bert.encoder.layer.{path[1]}.{LAYER_PARTS[path[2]]}.{leaf}", transposed
    return f"{PARTS[path[0]]}.{leaf}", transposed


def export_bert(model: Bert) -> dict[str, np.ndarray]:
    """Every tensor of the model under its Hugging Face name, float32."""
    tensors = {}
    for path, variable in nnx.to_flat_state(nnx.state(with_layers(model, as_one=()))):
        name, transposed = tensor_name(path)
        array = np.asarray(variable[...], np.float32)
        tensors[name] = np.ascontiguousarray(array.T) if transposed else array
    return tensors


def save_bert(
    folder: Path, model: Bert, tensors: dict[str, np.ndarray], *, extra: dict | None = None, dtype: str = "float32"
) -> None:
    """Writes `config.json` and `model.safetensors` as `transformers` reads them. `extra` are further entries of `config.json`."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "architectures": [ARCHITECTURES[model.head]], "model_type": "bert", "torch_dtype": dtype,
        **model.config.to_dict(), **(extra or {}),
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    stored = {name: np.ascontiguousarray(array.astype(DTYPES[dtype])) for name, array in tensors.items()}
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    follow_umask(folder / "model.safetensors")


def _current_names(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Names as they are written today: a bare BertModel has no `bert.` in front, the oldest files call a norm's arrays gamma and beta,
    and FactCCX its classifier `label_classifier`."""

    def current(name: str) -> str:
        name = "bert." + name if name.startswith(("embeddings.", "encoder.", "pooler.")) else name
        name = re.sub(r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name))
        return re.sub(r"^label_classifier\.", "classifier.", name)

    return {current(name): array for name, array in tensors.items()}


def _drawn(config: BertConfig, shape: tuple, transposed: bool, seed: int, name: str) -> np.ndarray:
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    generator = np.random.default_rng([seed, *name.encode()])
    array = generator.normal(0, config.initializer_range, shape).astype(np.float32)
    return array.T if transposed else array
