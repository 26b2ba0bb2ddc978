"""An unpickler that runs nothing a pickle asks for.

A pickle is a program. This unpickler knows a short list of names; each stands for a tensor, a plain container, or an inert record
of what the file held. Any other name is refused. What a pickle is given to call cannot be changed by it either (`BUILD` on a
function or a class), and what only hostile files hold is refused where it would take forever, all memory or the whole stack.
"""

from __future__ import annotations

import collections
import math
import pickle
import re
from typing import BinaryIO

import ml_dtypes
import numpy as np

from quals_jax.checkpoints.errors import CheckpointError, shown

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
# Names that real fairseq files hold and nothing here needs: they become records.
INERT = re.compile(
    r"argparse\.Namespace|omegaconf\.dictconfig\.DictConfig|omegaconf\.listconfig\.ListConfig|typing\.Any"
    r"|omegaconf\.base\.(Metadata|ContainerMetadata)|omegaconf\.nodes\.\w+"
    r"|fairseq\.meters\.\w+|fairseq\.data(\.\w+)*\.\w+|fairseq\.dataclass(\.\w+)*\.\w+"
)
NEEDLESS = (
    pickle.FROZENSET, pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER, pickle.EXT1, pickle.EXT2, pickle.EXT4,
)  # fmt: skip
MOST_AXES, LARGEST = 32, 2**48  # of tensors; beyond, the product of sizes alone could take forever


class _Sealed(type):
    """The type of a class that a pickle may be handed: nothing can be set on it."""

    def __setattr__(cls, name, value):
        raise pickle.UnpicklingError("the file tries to change a class")


class Record(metaclass=_Sealed):
    """What stands for an object of another program: how it was made, and the state it was given. It does nothing."""

    def __new__(cls, *arguments, **named):  # and not __init__, which a pickle need not call
        record = super().__new__(cls)
        record.__dict__.update(arguments=arguments, named=named, state={}, items=[])
        return record

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


class OrderedDict(dict, metaclass=_Sealed):
    """An ordered dict without attributes: PyTorch sets `_metadata`, and a hostile file would set `items`."""

    __slots__ = ()

    def __setstate__(self, state):
        pass


class _Tuple(tuple):
    """A tuple that can be a key if it holds no other: hashing nested ones takes exponential time, or overflows the stack."""

    __slots__ = ()

    def __hash__(self):
        if any(isinstance(item, tuple) for item in self):
            raise pickle.UnpicklingError("the file has a tuple of tuples as a key")
        return super().__hash__()


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


def unpickle(file: BinaryIO, storage) -> object:
    """The next pickle of a stream. `storage(dtype, key, length)` provides the numbers of tensors; without it there may be none."""
    return _Unpickler(file, storage).load()


def _refuse(unpickler):
    raise CheckpointError("uses an operation that no checkpoint needs; refused")


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler in Python: the one in C does not let its tuples be replaced, and takes memory for its memo unasked."""

    dispatch = pickle._Unpickler.dispatch | {
        pickle.TUPLE[0]: lambda self: self.push_tuple(self.pop_mark()),
        pickle.TUPLE1[0]: lambda self: self.push_tuple(self.pop(1)),
        pickle.TUPLE2[0]: lambda self: self.push_tuple(self.pop(2)),
        pickle.TUPLE3[0]: lambda self: self.push_tuple(self.pop(3)),
        **{operation[0]: _refuse for operation in NEEDLESS},
    }

    def __init__(self, file: BinaryIO, storage):
        super().__init__(file, encoding="utf-8")
        self._storage = storage

    def pop(self, count: int) -> list:
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def push_tuple(self, items: list) -> None:
        self.stack.append(_Tuple(items))

    def find_class(self, module: str, name: str):
        known = CONTAINERS.get((module, name)) or FUNCTIONS.get((module, name))
        if known is not None:
            return known
        if module == "torch" and name in STORAGES:
            return _StorageType(STORAGES[name])
        if "." not in name and INERT.fullmatch(f"{module}.{name}"):
            return _Sealed(name, (Record,), {})
        raise CheckpointError(f"asks for {shown(f'{module}.{name}')}, which no checkpoint needs; refused")

    def persistent_load(self, identity):
        if self._storage is None or not isinstance(identity, tuple) or len(identity) < 5 or identity[0] != "storage":
            raise CheckpointError("refers to something other than a storage")
        _, kind, key, _, length = identity[:5]
        if not isinstance(kind, _StorageType) or not isinstance(key, str | int) or type(length) is not int:
            raise CheckpointError("describes a storage in an unknown way")
        if len(identity) > 5 and identity[5] is not None:
            raise CheckpointError("uses views of storages, which no file of fairseq does")
        if not re.fullmatch(r"\w+", str(key)):
            raise CheckpointError(f"has a storage named {shown(key)}")
        return self._storage(kind.dtype, str(key), length)


def _tensor(storage, offset, size, stride, *_) -> np.ndarray:
    """A tensor as a view of its storage, which may be filled only later."""
    numbers = (offset, *size, *stride)
    whole = all(type(number) is int and 0 <= number < LARGEST for number in numbers)
    if not isinstance(storage, np.ndarray) or storage.ndim != 1 or not whole or len(size) > MOST_AXES:
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
    code = dtype.arguments[0] if isinstance(dtype, _Dtype) and dtype.arguments else None
    if not isinstance(code, str) or not re.fullmatch(r"[biuf][1248]", code):
        raise CheckpointError("holds a NumPy scalar that is no number")
    if isinstance(data, str):
        data = data.encode("latin1")
    return np.frombuffer(data, np.dtype("<" + code), count=1)[0].item()


def _encode(text, encoding="latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CheckpointError("encodes something other than text")
    return text.encode("latin1")


CONTAINERS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    ("__builtin__", "dict"): dict,
    ("builtins", "dict"): dict,
}
FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor"): _Function(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(_parameter),
    ("numpy.core.multiarray", "scalar"): _Function(_scalar),
    ("numpy._core.multiarray", "scalar"): _Function(_scalar),
    ("numpy", "dtype"): _Function(lambda *arguments: _Dtype(*arguments)),
    ("_codecs", "encode"): _Function(_encode),
}
