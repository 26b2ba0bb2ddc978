"""Reads PyTorch's `.pt` and `.bin` files without PyTorch, and without running anything that they ask for (`unpickler`).

Sizes are checked against the file before memory is taken.
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np

from quals_jax.checkpoints.errors import CheckpointError, naming, shown
from quals_jax.checkpoints.unpickler import Record, unpickle

__all__ = ["Record", "load"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


def load(path: str | Path) -> object:
    """The contents of a file: dicts, lists, numbers, texts, NumPy arrays, and `Record`s.

    Raises:
        CheckpointError: naming the file and what is wrong with it: a forbidden name, a truncation, sizes that do not add up.
    """
    path = Path(path)
    with naming(path):
        if zipfile.is_zipfile(path):
            return _load_zip(path)
        with path.open("rb") as file:
            return _load_legacy(file, path.stat().st_size)


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
            raise CheckpointError(f"has byte order {shown(order)}; only little-endian files can be read")
        storages: dict[str, np.ndarray] = {}

        def storage(dtype: np.dtype, key: str, length: int) -> np.ndarray:
            if key not in storages:
                storages[key] = np.frombuffer(archive.read(f"{root}data/{key}"), np.uint8)
            data = storages[key]
            if length < 0 or data.size < length * dtype.itemsize:
                raise CheckpointError(f"storage {key} has {data.size} bytes, not {length * dtype.itemsize}")
            return data[: length * dtype.itemsize].view(dtype)

        return unpickle(io.BytesIO(archive.read(pickles[0])), storage)


def _load_legacy(file: BinaryIO, size: int) -> object:
    """Before torch 1.6: a stream of pickles, the storages' keys, and behind them their numbers."""
    if unpickle(file, None) != LEGACY_MAGIC:
        raise CheckpointError("is no PyTorch file")
    protocol = unpickle(file, None)
    if protocol != LEGACY_PROTOCOL:
        raise CheckpointError(f"has protocol {shown(protocol)}, not {LEGACY_PROTOCOL}")
    system = unpickle(file, None)
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

    contents = unpickle(file, storage)
    keys = unpickle(file, None)
    if not isinstance(keys, list) or any(not isinstance(key, str | int) for key in keys):
        raise CheckpointError("lists no storages")
    if sorted(map(str, keys)) != sorted(storages):
        raise CheckpointError("lists other storages than its tensors use")
    for key in keys:
        array = storages[str(key)]
        (length,) = struct.unpack("<q", file.read(8))
        data = file.read(array.nbytes)
        if length != array.size or len(data) != array.nbytes:
            raise CheckpointError(f"storage {key} is truncated")
        array.view(np.uint8)[:] = np.frombuffer(data, np.uint8)
    return contents
