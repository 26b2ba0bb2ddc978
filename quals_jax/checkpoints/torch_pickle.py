"""Reads PyTorch's `.pt` and `.bin` files without PyTorch, and without running anything that they ask for.

Such a file is a pickle, and a pickle is a program. The unpickler here knows a short list of names; each stands for a tensor, a plain
container, or an inert record of what the file held. Any other name is refused. What a pickle is given to call cannot be
changed by it either (`BUILD` on a function or a class), and sizes are checked against the file before memory is taken.
"""

from __future__ import annotations

import collections
import math
import pickle
import pickletools
import re
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

import ml_dtypes
import numpy as np

from quals_jax.checkpoints.errors import CheckpointError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
STORAGES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
CONTAINERS = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("__builtin__", "dict"): dict,
    ("builtins", "dict"): dict,
}
# Names that real fairseq files hold and nothing here needs: they become records.
INERT = re.compile(
    r"argparse\.Namespace|omegaconf\.dictconfig\.DictConfig|omegaconf\.listconfig\.ListConfig|typing\.Any"
    r"|omegaconf\.base\.(Metadata|ContainerMetadata)|omegaconf\.nodes\.\w+"
    r"|fairseq\.meters\.\w+|fairseq\.data(\.\w+)*\.\w+|fairseq\.dataclass(\.\w+)*\.\w+"
)
REASONS = (
    pickle.UnpicklingError, zipfile.BadZipFile, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
    MemoryError, UnicodeDecodeError, struct.error, NotImplementedError, RecursionError,
)  # fmt: skip


class _Sealed(type):
    """The type of a class that a pickle may be handed: nothing can be set on it."""

    def __setattr__(cls, name, value):
        raise pickle.UnpicklingError("the file tries to change a class")


class Record(metaclass=_Sealed):
    """What stands for an object of another program: how it was made, and the state it was given. It does nothing."""

    def __init__(self, *arguments, **named):
        self.__dict__.update(arguments=arguments, named=named, state={}, items=[])

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
            state = {**(state[0] or {}), **state[1]}
        self.__dict__["state"] = state

    def __setattr__(self, name, value):
        raise pickle.UnpicklingError("the file tries to change a record")

    def append(self, item):
        self.items.append(item)

    def __setitem__(self, key, value):
        self.items.append((key, value))

    def __hash__(self):
        return id(self)


class _Function:
    """A function that a pickle may call, and do nothing else with."""

    __slots__ = ("_call",)

    def __init__(self, call):
        object.__setattr__(self, "_call", call)

    def __call__(self, *arguments):
        return self._call(*arguments)

    def __setattr__(self, name, value):
        raise pickle.UnpicklingError("the file tries to change a function")

    def __setstate__(self, state):
        raise pickle.UnpicklingError("the file tries to change a function")


class _StorageType(_Function):
    """A storage class, of which a pickle may only speak."""

    __slots__ = ("dtype",)

    def __init__(self, dtype):
        super().__init__(None)
        object.__setattr__(self, "dtype", np.dtype(dtype))

    def __call__(self, *arguments):
        raise pickle.UnpicklingError("the file tries to make a storage itself")


def load(path: str | Path) -> object:
    """The contents of a file: dicts, lists, numbers, texts, NumPy arrays, and `Record`s.

    Raises:
        CheckpointError: naming the file and what is wrong with it: a forbidden name, a truncation, sizes that do not add up.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            return _load_zip(path)
        with path.open("rb") as file:
            return _load_legacy(file, path.stat().st_size)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from None
    except REASONS as error:
        reason = str(error) or type(error).__name__
        raise CheckpointError(f"{path}: is truncated, damaged or no PyTorch file ({reason})") from None


def _load_zip(path: Path) -> object:
    """torch 1.6 and newer: an archive of one pickle and one file of raw numbers for every storage, none of them compressed."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CheckpointError(f"holds {len(pickles)} files data.pkl, not 1")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise CheckpointError("has compressed entries; PyTorch stores them as they are")
        if sum(entry.file_size for entry in entries.values()) > path.stat().st_size:
            raise CheckpointError("claims to hold more bytes than the file has")
        root = pickles[0].removesuffix("data.pkl")
        order = archive.read(root + "byteorder").decode() if root + "byteorder" in entries else "little"
        if order != "little":
            raise CheckpointError(f"has byte order {order!r}; only little-endian files can be read")
        storages: dict[str, np.ndarray] = {}

        def storage(dtype: np.dtype, key: str, length: int) -> np.ndarray:
            if key not in storages:
                storages[key] = np.frombuffer(archive.read(f"{root}data/{key}"), np.uint8)
            data = storages[key]
            if length < 0 or data.size < length * dtype.itemsize:
                raise CheckpointError(f"storage {key} has {data.size} bytes, not {length * dtype.itemsize}")
            return data[: length * dtype.itemsize].view(dtype)

        import io

        return _unpickle(io.BytesIO(archive.read(pickles[0])), storage)


def _load_legacy(file: BinaryIO, size: int) -> object:
    """Before torch 1.6: a stream of pickles, the storages' keys, and behind them their numbers."""
    if _unpickle(file, None) != LEGACY_MAGIC:
        raise CheckpointError("is no PyTorch file")
    protocol = _unpickle(file, None)
    if protocol != LEGACY_PROTOCOL:
        raise CheckpointError(f"has protocol {protocol!r}, not {LEGACY_PROTOCOL}")
    system = _unpickle(file, None)
    if not isinstance(system, dict) or not system.get("little_endian", True):
        raise CheckpointError("was not written by a little-endian machine")
    storages: dict[str, np.ndarray] = {}

    def storage(dtype: np.dtype, key: str, length: int) -> np.ndarray:
        if key not in storages:
            taken = sum(array.nbytes for array in storages.values())
            if length < 0 or taken + length * dtype.itemsize > size:
                raise CheckpointError(f"storage {key} claims more bytes than the file has")
            storages[key] = np.zeros(length, dtype)
        if storages[key].dtype != dtype or storages[key].size < length:
            raise CheckpointError(f"storage {key} is described in two ways")
        return storages[key]

    contents = _unpickle(file, storage)
    keys = _unpickle(file, None)
    if not isinstance(keys, list) or set(map(str, keys)) != set(storages) or len(keys) != len(storages):
        raise CheckpointError("lists other storages than its tensors use")
    for key in keys:
        array = storages[str(key)]
        (length,) = struct.unpack("<q", file.read(8))
        data = file.read(array.nbytes)
        if length != array.size or len(data) != array.nbytes:
            raise CheckpointError(f"storage {key} is truncated")
        array.view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    return contents


def _unpickle(file: BinaryIO, storage) -> object:
    """The next pickle of a stream. `storage(dtype, key, length)` provides the numbers of tensors; without it there may be none."""
    start = file.tell()
    _check_memo(file)
    file.seek(start)
    return _Unpickler(file, storage).load()


def _check_memo(file: BinaryIO) -> None:
    """Refuses a memo index beyond what the pickle can have filled: the unpickler would take memory for all in between."""
    for operations, (operation, argument, _) in enumerate(pickletools.genops(file), 1):
        if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > operations:
            raise CheckpointError("has a memo index out of all proportion")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, storage):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def find_class(self, module: str, name: str):
        known = CONTAINERS.get((module, name)) or FUNCTIONS.get((module, name))
        if known is not None:
            return known
        if module == "torch" and name in STORAGES:
            return _StorageType(STORAGES[name])
        if "." not in name and INERT.fullmatch(f"{module}.{name}"):
            return _Sealed(name, (Record,), {})
        raise CheckpointError(f"asks for {module}.{name}, which no checkpoint needs; refused")

    def persistent_load(self, identity):
        if self._storage is None or not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            raise CheckpointError("refers to something other than a storage")
        _, kind, key, _, length = identity[:5]
        if not isinstance(kind, _StorageType) or not isinstance(key, str | int) or type(length) is not int:
            raise CheckpointError("describes a storage in an unknown way")
        if len(identity) > 5 and identity[5] is not None:
            raise CheckpointError("uses views of storages, which no file of fairseq does")
        if not re.fullmatch(r"\w+", str(key)):
            raise CheckpointError(f"has a storage named {key!r}")
        return self._storage(kind.dtype, str(key), length)


def _tensor(storage, offset, size, stride, *_) -> np.ndarray:
    """A tensor as a view of its storage, which may be filled only later."""
    numbers = (offset, *size, *stride)
    if not isinstance(storage, np.ndarray) or storage.ndim != 1 or any(type(n) is not int or n < 0 for n in numbers):
        raise CheckpointError("describes a tensor in an unknown way")
    if len(size) != len(stride) or math.prod(size) > storage.size:
        raise CheckpointError(f"has a tensor of shape {list(size)} larger than its storage")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= storage.size:
        raise CheckpointError(f"has a tensor of shape {list(size)} that reaches beyond its storage")
    if not math.prod(size):
        return np.zeros(size, storage.dtype)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, [step * storage.itemsize for step in stride])


def _parameter(data, *_) -> np.ndarray:
    if not isinstance(data, np.ndarray):
        raise CheckpointError("describes a parameter in an unknown way")
    return data


class _Dtype(Record):
    """A NumPy dtype, by its code; its byte order comes as state."""


def _scalar(dtype, data=b"") -> object:
    """A NumPy scalar as a Python number."""
    if (
        not isinstance(dtype, _Dtype)
        or not dtype.arguments
        or not re.fullmatch(r"[biuf][1248]", str(dtype.arguments[0]))
    ):
        raise CheckpointError("holds a NumPy scalar that is no number")
    if isinstance(data, str):
        data = data.encode("latin1")
    return np.frombuffer(data, np.dtype("<" + str(dtype.arguments[0])), count=1)[0].item()


def _encode(text, encoding="latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CheckpointError("encodes something other than text")
    return text.encode("latin1")


FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor"): _Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(_parameter),
    ("numpy.core.multiarray", "scalar"): _Function(_scalar),
    ("numpy._core.multiarray", "scalar"): _Function(_scalar),
    ("numpy", "dtype"): _Function(lambda *arguments: _Dtype(*arguments)),
    ("_codecs", "encode"): _Function(_encode),
}
