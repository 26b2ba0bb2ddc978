"""The safe reader: it reads what PyTorch writes, and nothing that a file asks for is ever run."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from quals_jax.checkpoints import torch_pickle
from quals_jax.checkpoints.errors import CheckpointError

# Classes and functions under the names that torch's pickles use; `pickle` writes a reference to module and name.
FLOAT = type("FloatStorage", (), {"__module__": "torch"})


class _Writer(pickle._Pickler):
    """Writes references by name alone, whether or not there is such a thing here; storages as persistent ids."""

    def save_global(self, obj, name=None):
        self.write(f"c{obj.__module__}\n{obj.__qualname__ if name is None else name}\n".encode())

    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, _Storage) else None


class _Storage:
    def __init__(self, key, numbers, *, length=None):
        self.numbers = np.asarray(numbers, np.float32)
        self.key = key
        self.identity = ("storage", FLOAT, key, "cpu", len(self.numbers) if length is None else length)


class _Named:
    """Something that pickles as a call of `module.name(*arguments)`."""

    def __init__(self, module, name, *arguments, state=None):
        function = type("function", (), {})
        function.__module__, function.__qualname__ = module, name
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


class _Function:
    def __init__(self, module, name):
        self.__module__, self.__qualname__ = module, name


def _tensor(storage, size, stride, offset=0):
    return _Called("torch._utils", "_rebuild_tensor_v2", storage, offset, size, stride, False, OrderedDict())


def _pickled(value, protocol=2):
    buffer = io.BytesIO()
    _Writer(buffer, protocol).dump(value)
    return buffer.getvalue()


class _Called:
    """`_Named`, written with the opcodes themselves, since pickle insists on callables."""

    def __init__(self, module, name, *arguments):
        self.module, self.name, self.arguments = module, name, arguments


def _save_called(self, obj):
    self.write(f"c{obj.module}\n{obj.name}\n".encode())
    self.save(tuple(obj.arguments))
    self.write(b"R")


_Writer.dispatch = dict(pickle._Pickler.dispatch)
_Writer.dispatch[_Called] = _save_called


def _save_type(self, obj):
    self.write(f"c{obj.__module__}\n{obj.__qualname__}\n".encode())


_Writer.dispatch[type] = _save_type


def zip_file(path, value, storages=(), **settings):
    data = value if isinstance(value, bytes) else _pickled(value)
    with zipfile.ZipFile(path, "w", settings.get("compression", zipfile.ZIP_STORED)) as archive:
        archive.writestr("model/data.pkl", data)
        archive.writestr("model/byteorder", settings.get("byteorder", "little"))
        for storage in storages:
            archive.writestr(f"model/data/{storage.key}", storage.numbers.tobytes())
    return path


def legacy_file(path, value, storages=(), keys=None):
    with open(path, "wb") as file:
        for part in (torch_pickle.LEGACY_MAGIC, torch_pickle.LEGACY_PROTOCOL, {"little_endian": True}):
            pickle.dump(part, file, protocol=2)
        file.write(value if isinstance(value, bytes) else _pickled(value))
        pickle.dump([storage.key for storage in storages] if keys is None else keys, file, protocol=2)
        for storage in storages:
            file.write(struct.pack("<q", len(storage.numbers)) + storage.numbers.tobytes())
    return path


@pytest.fixture(params=[zip_file, legacy_file], ids=["zip", "legacy"])
def write(request, tmp_path):
    return lambda *arguments, **named: request.param(tmp_path / "model.pt", *arguments, **named)


def test_tensors_come_back_with_their_strides(write):
    storage = _Storage("0", range(12))
    path = write(
        {
            "a": _tensor(storage, (3, 4), (4, 1)),
            "t": _tensor(storage, (4, 3), (1, 4)),
            "s": _tensor(storage, (2,), (1,), 5),
        },
        [storage],
    )
    found = torch_pickle.load(path)
    np.testing.assert_array_equal(found["a"], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(found["t"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(found["s"], [5, 6])


MARK = "quals_jax_test_was_here"
ATTACKS = {
    "os.system": _Called("os", "system", f"touch {MARK}"),
    "posix.system": _Called("posix", "system", f"touch {MARK}"),
    "eval": _Called("builtins", "eval", f"open('{MARK}', 'w')"),
    "exec in python 2's name": _Called("__builtin__", "exec", f"open('{MARK}', 'w')"),
    "getattr": _Called("builtins", "getattr", "", "join"),
    "import": _Called("importlib", "import_module", "antigravity"),
    "subprocess": _Called("subprocess", "Popen", ["touch", MARK]),
    "a dotted way through a known module": _Called("collections", "OrderedDict.__init__.__globals__", "x"),
    "through fairseq": _Called("fairseq.meters", "os.system", f"touch {MARK}"),
    "through numpy": _Called("numpy", "load", MARK),
    "numpy's own rebuilding": _Called("numpy.core.multiarray", "_reconstruct", "x"),
    "numpy objects": _Called(
        "numpy.core.multiarray", "scalar", _Called("numpy", "dtype", "O8", False, True), b"12345678"
    ),
    "a storage class": _Called("torch", "FloatStorage", 10),
    "torch.load": _Called("torch", "load", MARK),
    "codecs": _Called("_codecs", "decode", b"x", "rot13"),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_no_other_name_is_ever_called(write, attack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        torch_pickle.load(write({"model": attack}))
    assert not os.path.exists(MARK)


# Hand-written opcodes: a global and BUILD with attributes to set on it.
CHANGES = {
    "a function": b"ctorch._utils\n_rebuild_tensor_v2\n",
    "a record's class": b"cargparse\nNamespace\n",
    "a storage class": b"ctorch\nFloatStorage\n",
    "the ordered dict": b"ccollections\nOrderedDict\n",
}


@pytest.mark.parametrize("name", CHANGES.values(), ids=CHANGES.keys())
def test_what_a_pickle_is_given_cannot_be_changed_by_it(write, name):
    state = b"N}X\x08\x00\x00\x00__code__N}X\x01\x00\x00\x00xK\x01s\x86b"
    attack = b"\x80\x02" + name + b"(NX\x09\x00\x00\x00__class__K\x01d" + b"\x86b."
    for code in (
        attack,
        b"\x80\x02" + name + b"}X\x0b\x00\x00\x00__defaults__K\x01sb.",
        b"\x80\x02" + name + state + b".",
    ):
        with pytest.raises(CheckpointError):
            torch_pickle.load(write(code))


def test_records_hold_state_and_do_nothing(write):
    space = b"\x80\x02cargparse\nNamespace\n)\x81}X\x04\x00\x00\x00archX\x0a\x00\x00\x00bart_largesb."
    found = torch_pickle.load(write(space))
    assert isinstance(found, torch_pickle.Record) and found.state == {"arch": "bart_large"}


def test_a_memo_index_out_of_proportion_takes_no_memory(write):
    import tracemalloc

    path = write(b"\x80\x02}r\xff\xff\xff\x7f.")
    tracemalloc.start()
    assert torch_pickle.load(path) == {}
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((4, 4), (4, 1), 0), ((3,), (1,), 10), ((2,), (100,), 0), ((2,), (-1,), 4), ((10**9,), (0,), 0)],
    ids=["too large", "offset", "stride", "negative", "expanded"],
)
def test_tensors_beyond_their_storage_are_refused(write, size, stride, offset):
    storage = _Storage("0", range(12))
    with pytest.raises(CheckpointError):
        torch_pickle.load(write({"a": _tensor(storage, size, stride, offset)}, [storage]))


def test_a_storage_that_claims_more_than_the_file_has_is_refused(write):
    storage = _Storage("0", range(12), length=10**12)
    with pytest.raises(CheckpointError, match="storage 0"):
        torch_pickle.load(write({"a": _tensor(storage, (3,), (1,))}, [storage]))


def test_compressed_archives_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="compressed"):
        torch_pickle.load(zip_file(tmp_path / "bomb.pt", {}, compression=zipfile.ZIP_DEFLATED))


def test_every_truncation_is_an_error_that_names_the_file(write):
    storage = _Storage("0", range(64))
    path = write({"a": _tensor(storage, (8, 8), (8, 1))}, [storage])
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"model\.pt"):
            torch_pickle.load(path)


def test_other_files_are_no_checkpoints(tmp_path):
    path = tmp_path / "x.pt"
    for contents in (b"", b"hello", pickle.dumps({"a": 1}), b"\x80\x02."):
        path.write_bytes(contents)
        with pytest.raises(CheckpointError, match=r"x\.pt"):
            torch_pickle.load(path)
    with pytest.raises(CheckpointError, match="No such file"):
        torch_pickle.load(tmp_path / "none.pt")
