"""Checkpoints: Hugging Face folders, hub ids and fairseq files, without PyTorch."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from quals_jax.checkpoints.errors import CheckpointError, naming, shown
from quals_jax.checkpoints.fairseq import load_fairseq
from quals_jax.checkpoints.huggingface import export, fill, load_huggingface, save_huggingface
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.models.t5 import T5, T5Config
from quals_jax.pair_formats import FORMATS, known_format
from quals_jax.precision import Precision
from quals_jax.remote import as_url, fetch_model, is_url
from quals_jax.sentencepiece import MAX_SOURCE_TOKENS as T5_SOURCE_TOKENS
from quals_jax.sentencepiece import SentencePieceTokenizer
from quals_jax.shipped import shipped
from quals_jax.tokenizer import CONNECTOR, CONNECTOR_ID, MAX_SOURCE_TOKENS, Tokenizer

__all__ = ["Checkpoint", "CheckpointError", "ModelSettings", "export", "fill", "load_checkpoint", "save_huggingface"]

HUB_FILES = ("*.json", "*.txt", "*.safetensors", "pytorch_model*.bin", "*.model")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")


@dataclass(frozen=True)
class ModelSettings:
    """What a model folder does not say of itself: the `quals_jax` block of its `config.json`, or these defaults of a QAGen.

    pair_format: a name in `pair_formats`; None: what the model is known for, and a BART's is the reference's. prefix: what is put before
    every text; None: the format's own. unknown: what the model was taught to answer where the text has no answer; empty: nothing.
    window_tokens: of the windows that long documents are read in; None: as many as the model reads. tokenizer: of an embedded model, the one
    beside it that has its tokenizer (`shipped.py`).
    """

    source_bos: bool = False
    connector: str = CONNECTOR
    connector_id: int = CONNECTOR_ID
    max_source_tokens: int = MAX_SOURCE_TOKENS
    pair_format: str | None = None
    prefix: str | None = None
    unknown: str = ""
    window_tokens: int | None = None
    tokenizer: str | None = None

    def __post_init__(self):
        whole = [type(value) is int for value in (self.connector_id, self.max_source_tokens)]
        self._require("source_bos", isinstance(self.source_bos, bool), "true or false")
        self._require("connector", isinstance(self.connector, str) and self.connector != "", "a text that is not empty")
        self._require("connector_id", whole[0] and self.connector_id >= 0, "an id, a whole number")
        known = self.pair_format is None or (isinstance(self.pair_format, str) and self.pair_format in FORMATS)
        self._require("pair_format", known, f"one of {', '.join(FORMATS)}")
        self._require("unknown", isinstance(self.unknown, str), "a text")
        self._require("tokenizer", self.tokenizer is None or isinstance(self.tokenizer, str), "a folder's name")
        self._require("prefix", self.prefix is None or isinstance(self.prefix, str), "a text")
        window = self.window_tokens
        self._require(
            "window_tokens", window is None or (type(window) is int and window >= 2), "a whole number, at least 2"
        )
        self._require("max_source_tokens", whole[1] and self.max_source_tokens >= 2, "a whole number, at least 2")

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise CheckpointError(f"{name} of the quals_jax block is {shown(getattr(self, name))}; it must be {wanted}")

    @classmethod
    def from_dict(cls, values: dict, *, vocab_size: int | None = None, **defaults) -> ModelSettings:
        """The settings in a `quals_jax` block, for a model with so many rows; `defaults` stand for what is not said.

        Raises:
            CheckpointError: naming the field that is unknown or cannot be.
        """
        if not isinstance(values, dict):
            raise CheckpointError(
                f"quals_jax is {shown(values)}; it must be an object with {', '.join(cls.__dataclass_fields__)}"
            )
        unknown = [name for name in values if name not in cls.__dataclass_fields__]
        if unknown:
            raise CheckpointError(f"the quals_jax block has unknown fields: {', '.join(unknown)}")
        settings = cls(**{**defaults, **values})
        if "connector_id" in values and vocab_size is not None:
            settings._require("connector_id", settings.connector_id < vocab_size, f"less than vocab_size, {vocab_size}")
        return settings

    def to_dict(self) -> dict:
        """The block; what was not said is not in it."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model with its tokenizer. `extra` is the whole `config.json` (empty for fairseq); `fingerprint` a hash of the weights."""

    model: Bart | T5
    tokenizer: Tokenizer | SentencePieceTokenizer
    settings: ModelSettings
    name: str
    fingerprint: str
    folder: Path
    extra: dict = field(default_factory=dict)

    @property
    def config(self) -> BartConfig | T5Config:
        return self.model.config


def load_checkpoint(
    path: str | Path, *, tokenizer: str | Path | None = None, dtype: str = "float32", settings: ModelSettings | None = None, remat: bool = False,
    revision: str | None = None,
) -> Checkpoint:  # fmt: skip
    """The checkpoint at a path: a Hugging Face folder, a fairseq `.pt` (or the folder's only one), or a hub id.

    A path that exists never touches the network. `revision` is the branch, tag or commit of a hub id.
    `settings` replace those that the folder states; dtype "float64" switches x64 on.

    Raises:
        ValueError: naming what is wrong with the path, weights, tokenizer or dtype (`CheckpointError` lists all bad tensors).
    """
    precision = Precision.of(dtype)
    precision.prepare()
    found = locate(path, revision)
    fairseq_file = _fairseq_file(found)
    folder = found if found.is_dir() else found.parent
    tokenizer_folder = (fetch_model(str(tokenizer)) if is_url(tokenizer) else Path(tokenizer)) if tokenizer else folder
    if tokenizer and not tokenizer_folder.is_dir():
        raise ValueError(f"{tokenizer_folder}: is no folder with a tokenizer")
    extra: dict = {}
    if fairseq_file:
        settings = settings or ModelSettings(pair_format="connector")
        pieces = _tokenizer(tokenizer_folder, settings, fairseq_first=True)
        config, tensors = load_fairseq(fairseq_file, dictionary_size=pieces.dictionary_size)
    else:
        config, tensors, extra = load_huggingface(folder)
        with naming(folder / "config.json"):
            settings = settings or ModelSettings.from_dict(
                extra.get("quals_jax", {}), vocab_size=config.vocab_size, **_defaults(config, extra, (str(path), found))
            )
        pieces = _tokenizer(tokenizer_folder, settings, config)
    try:
        model = fill(config, tensors, dtype=precision.compute, remat=remat)
    except CheckpointError as error:
        raise error.of(fairseq_file or folder) from None
    _fit(pieces, config.vocab_size, tokenizer_folder)
    # A smaller model reads less than BART: texts are cut, and flagged, at what it has positions for.
    room = config.max_positions - settings.source_bos
    settings = replace(settings, max_source_tokens=min(settings.max_source_tokens, room))
    pieces.max_source_tokens = settings.max_source_tokens
    return Checkpoint(model, pieces, settings, name_of(path, found), fingerprint(tensors), folder, extra)


def fingerprint(tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 of the tensors: names, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.view(np.uint8).reshape(-1).data)
    return digest.hexdigest()


def _defaults(config, extra: dict, names: tuple) -> dict:
    """What a T5 without a block of its own reads and writes, as far as that is known."""
    if not isinstance(config, T5Config):
        return {"pair_format": "connector"}
    positions = extra.get("n_positions")
    longest = max(positions, T5_SOURCE_TOKENS) if type(positions) is int else T5_SOURCE_TOKENS
    named = extra.get("_name_or_path")
    return {
        "max_source_tokens": longest,
        "pair_format": known_format(*names, *([named] if isinstance(named, str) else [])),
    }


def _tokenizer(folder: Path, settings: ModelSettings, config=None, **which) -> Tokenizer | SentencePieceTokenizer:
    if isinstance(config, T5Config):
        extra_ids = 0 if config.model_type == "mt5" else None
        return SentencePieceTokenizer.from_pretrained(
            folder, extra_ids=extra_ids, max_source_tokens=settings.max_source_tokens
        )
    values = {
        name: getattr(settings, name) for name in ("source_bos", "connector", "connector_id", "max_source_tokens")
    }
    return Tokenizer.from_pretrained(folder, **which, **values)


def _fit(pieces: Tokenizer, rows: int, folder: Path) -> None:
    """Leaves out the tokenizer's `<mask>` where the model has no row for it, as in the hub's bart-large-xsum and -cnn.

    Raises:
        CheckpointError: if fairseq's dictionary is another than the model's, such as the beginning of it.
    """
    entries = pieces.dictionary_size
    if rows == entries:
        pieces.size = rows
    if pieces.exact and rows not in (entries, entries + 1):
        raise CheckpointError(
            f"{folder}: dict.txt has {entries} entries, and the model {rows}; they do not belong together"
        )


def locate(path: str | Path, revision: str | None = None) -> Path:
    """The path itself, or where the hub's files of that id (and revision) lie, or the local copy of a URL."""
    if not str(path).strip():
        raise ValueError("the model's name is empty; it must be a folder, a file or a hub id")
    if revision is not None and (is_url(path) or Path(path).exists()):
        raise ValueError(f"{path}: is no hub id, of which --revision {revision} could be one")
    if is_url(path):
        return fetch_model(str(path))
    local = Path(path)
    try:
        local = shipped(local.expanduser())
        if local.exists():
            return local
    except (OSError, RuntimeError, ValueError):
        pass  # no path at all: too long, or of a user who does not exist
    text = str(path)
    if (
        text.startswith((".", "/", "~"))
        or local.suffix in (".pt", ".bin")
        or not HUB_ID.fullmatch(text)
        or (local.parent != Path(".") and local.parent.exists())
    ):
        raise ValueError(f"{text}: there is no such file or folder")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(text, revision=revision, allow_patterns=list(HUB_FILES)))
    except RevisionNotFoundError:
        raise ValueError(f"{text}: has no revision {revision} on the hub") from None
    except RepositoryNotFoundError:
        raise ValueError(f"{text}: there is neither a file or folder nor a model on the hub of that name") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError, ConnectionError) as error:
        reason = str(error).split("\n")[0][:120]
        raise ValueError(
            f"{text}: there is no such file or folder, and the hub cannot be reached ({reason}); where it can be, `hf download {text}"
            " --local-dir FOLDER` writes a folder to bring here and to name"
        ) from None


def _fairseq_file(found: Path) -> Path | None:
    """The fairseq file that is meant, or None for a Hugging Face folder."""
    if found.is_file():
        if found.suffix == ".pt":
            return found
        raise ValueError(f"{found}: is a file but no fairseq .pt; name the folder of a Hugging Face model")
    if (found / "config.json").exists():
        return None
    files = sorted(found.glob("*.pt"))
    if found / "model.pt" in files:
        return found / "model.pt"
    if len(files) == 1:
        return files[0]
    if files:
        raise ValueError(f"{found}: holds {len(files)} .pt files and no model.pt; name the one that is meant")
    raise ValueError(f"{found}: holds neither a config.json (Hugging Face) nor a .pt file (fairseq)")


def name_of(path: str | Path, found: Path) -> str:
    """What a model is called in signatures, of the path that was given and the one that was found."""
    if is_url(path):
        return as_url(path)
    if not Path(path).expanduser().exists():
        return str(path)
    found = found.resolve()
    return f"{found.parent.name}/{found.name}" if found.is_file() else found.name
