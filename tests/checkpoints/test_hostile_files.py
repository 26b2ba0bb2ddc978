"""Files made to hang, overflow or confuse the reader, and folders with something broken: one error that names the file."""

import json
import random
import shutil
import signal
import struct
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest

from quals_jax.checkpoints import CheckpointError, fill, load_checkpoint, torch_pickle
from quals_jax.checkpoints.fairseq import load_fairseq
from quals_jax.checkpoints.huggingface import load_huggingface

SIZES = dict(
    encoder_embed_dim=4, decoder_embed_dim=4, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
    encoder_ffn_embed_dim=4, decoder_ffn_embed_dim=4, max_source_positions=16, max_target_positions=16,
)  # fmt: skip
MOST_SECONDS = 10
EMBEDDING = "encoder.embed_tokens.weight"


@contextmanager
def in_time():
    """A hang is a failure, and not one of the errors that a reader may raise."""

    def give_up(*_):
        pytest.fail(f"took longer than {MOST_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Pickles written by hand, as no pickler would write them.
def code(value) -> bytes:
    """Opcodes that push a value; bytes are opcodes already."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value)) + value.encode()
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    return b"}(" + b"".join(code(name) + code(item) for name, item in value.items()) + b"u"


SPACE = b"cargparse\nNamespace\n)\x81"


def space(values) -> bytes:
    return SPACE + code(values) + b"b"


def tensor(*shape: int) -> bytes:
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
    storage = b"(" + code("storage") + b"ctorch\nFloatStorage\n" + code("0") + code("cpu") + code(64) + b"tQ"
    axes = [b"(" + b"".join(map(code, numbers)) + b"t" for numbers in (shape, strides)]
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + code(0) + axes[0] + axes[1] + b"\x89}tR"


def tangle(kind: str, depth: int = 40) -> bytes:
    """A list, dict or tuple of ten times the same, of ten times the same, and so on: ten to the fortieth when written out."""
    if kind == "tuple":
        return b")" + b"2\x86" * depth
    levels = b"]" if kind == "list" else b"}"
    for _ in range(depth):  # the memo's place 99 is always the innermost so far
        again = [b"h\x63" if kind == "list" else code(str(place)) + b"h\x63" for place in range(10)]
        start, end = (b"]", b"e") if kind == "list" else (b"}", b"u")
        levels += b"q\x63" + b"0" + start + b"(" + b"".join(again) + end
    return levels


def write(path, contents, name="data.pkl"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"m/{name}", b"\x80\x02" + code(contents) + b".")
        archive.writestr("m/data/0", np.zeros(64, np.float32).tobytes())
    return path


def refused(path, match="."):
    """Reading the fairseq file fails, in time, with one line that names it."""
    with in_time(), pytest.raises(CheckpointError, match=match) as caught:
        load_fairseq(path, dictionary_size=6)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def read_but_not_filled(path):
    """There is one tensor; what is tested is that nothing else went wrong before that shows."""
    with in_time(), pytest.raises(CheckpointError, match="layers, and there are only 1 tensors"):
        fill(*load_fairseq(path, dictionary_size=6))


def described(tmp_path, **changes):
    """A file with an embedding and such a description."""
    return write(tmp_path / "a.pt", {"args": space(SIZES | changes), "model": {EMBEDDING: tensor(6, 4)}})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("encoder_attention_heads", 0, "encoder_attention_heads is 0; it must be a whole number from 1"),
        ("encoder_layers", "2", "encoder_layers is '2'; it must be a whole number"),
        ("encoder_layers", 2.0, "encoder_layers is 2.0; it must be a whole number"),
        ("encoder_layers", 10**9, "encoder_layers is 1000000000; it must be a whole number"),
        ("max_source_positions", "16", "max_source_positions is '16' and"),
        ("encoder_ffn_embed_dim", "x", "encoder_ffn_dim is 'x'"),
        ("activation_fn", tangle("list"), "activation_function is 'a list'; it must be one of gelu"),
        ("encoder_layers", tangle("dict"), "encoder_layers is 'a dict'"),
        ("encoder_normalize_before", tangle("list"), "encoder_normalize_before is 'a list'; this BART has False"),
        ("encoder_embed_dim", tangle("tuple"), "encoder_embed_dim is 'a _Tuple' and decoder_embed_dim 4"),
        ("encoder_layers", SPACE, "encoder_layers is 'a dict'"),
    ],
)
def test_impossible_descriptions_name_the_field(tmp_path, field, value, message):
    refused(described(tmp_path, **{field: value}), message)


@pytest.mark.parametrize("size", [-4, 4.0, 10**8])
def test_impossible_widths(tmp_path, size):
    refused(described(tmp_path, encoder_embed_dim=size, decoder_embed_dim=size), "d_model is")


def test_architectures_that_are_no_names(tmp_path):
    for arch in (tangle("list"), tangle("dict"), SPACE):
        read_but_not_filled(described(tmp_path, arch=arch))
    refused(write(tmp_path / "a.pt", {"args": SPACE, "model": {EMBEDDING: tensor(6, 4)}}), "lacks d_model")


def test_positions_said_of_one_side_only(tmp_path):
    sizes = {name: size for name, size in SIZES.items() if name != "max_source_positions"}
    read_but_not_filled(write(tmp_path / "a.pt", {"args": space(sizes), "model": {EMBEDDING: tensor(6, 4)}}))


def test_a_configuration_of_dicts_that_hold_each_other(tmp_path):
    model = {EMBEDDING: tensor(6, 4)}
    for cfg in (tangle("dict"), code({"model": tangle("dict")}), code({"model": {"x": tangle("dict")}})):
        refused(write(tmp_path / "a.pt", {"cfg": cfg, "model": model}))


@pytest.mark.parametrize("key", [tangle("tuple", 60), b")" + b"\x85" * 300_000], ids=["wide", "deep"])
def test_tuples_of_tuples_are_no_keys(tmp_path, key):
    """Hashing the one takes 2 ** 60 steps; hashing the other overflows the stack and kills the process."""
    refused(write(tmp_path / "a.pt", b"}" + key + b"K\x01s"), "tuple of tuples")


def test_headers_of_lists_that_hold_each_other(tmp_path):
    """Of the old format: in the place of the protocol, and of the list of storages."""
    magic, protocol, system = (
        b"\x80\x02" + part + b"." for part in (b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19", b"M\xe9\x03", b"}")
    )
    many = b"\x80\x02" + tangle("list") + b"."
    for header in ((magic, many), (magic, protocol, system, b"\x80\x02}.", many)):
        (tmp_path / "a.pt").write_bytes(b"".join(header))
        refused(tmp_path / "a.pt")


def test_numpy_scalars_of_a_type_that_is_no_text(tmp_path):
    dtype = b"cnumpy\ndtype\n(" + tangle("list") + b"tR"
    refused(write(tmp_path / "a.pt", b"cnumpy.core.multiarray\nscalar\n(" + dtype + b"tR"), "no number")


def test_sizes_of_too_many_digits(tmp_path):
    huge = b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000
    axes = b"(" + huge + b"q\x01" + b"h\x01" * 2_000 + b"t"
    storage = b"(" + code("storage") + b"ctorch\nFloatStorage\n" + code("0") + code("cpu") + code(64) + b"tQ"
    called = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + code(0) + axes + axes + b"\x89}tR"
    refused(write(tmp_path / "a.pt", called), "tensor in an unknown way")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({5: tensor(6, 4), EMBEDDING: tensor(6, 4)}, "5 is no tensor with a name"),
        ({EMBEDDING: tensor()}, "no embedding"),
        ({EMBEDDING: tensor(6, 4), "decoder.embed_tokens.weight": tensor()}, "decoder.embed_tokens.weight differs"),
        ({EMBEDDING: tensor(6, 4), "encoder.layers.0.self_attn.in_proj_bias": tensor()}, r"in_proj_bias has shape \[\]"),
        ({EMBEDDING: tensor(6, 4), "encoder.layers.0.self_attn.in_proj_bias": tensor(4)}, r"in_proj_bias has shape \[4\]"),
        ({EMBEDDING: tensor(6, 4), "line\nbreak": 1}, "no tensor with a name"),
        (b"ccollections\nOrderedDict\n)R" + code({"items": 1}) + b"b", "no embedding"),
    ],
    ids=["number as name", "0-d embedding", "0-d copy", "0-d in_proj", "in_proj of 4", "line break", "items"],
)  # fmt: skip
def test_state_dicts_that_are_none(tmp_path, model, message):
    refused(write(tmp_path / "a.pt", {"args": space(SIZES), "model": model}), message)


def test_an_encrypted_archive(tmp_path):
    path = write(tmp_path / "a.pt", {})
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    data[data.find(b"PK\x03\x04") + 6] |= 1
    path.write_bytes(bytes(data))
    refused(path, "encrypted")


def test_what_nobody_foresaw_names_the_file_and_keeps_its_cause(tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(torch_pickle, "unpickle", broken)
    with pytest.raises(CheckpointError, match=r"a\.pt: .*\(surprise\)") as caught:
        load_fairseq(write(tmp_path / "a.pt", {}))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


# Hugging Face folders.
@pytest.fixture
def folder(golden, tmp_path):
    for name in ("config.json", "model.safetensors"):
        shutil.copy(golden / "tiny_bart_hf" / name, tmp_path / name)
        (tmp_path / name).chmod(0o644)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(chr(1000 + id) for id in range(4, 50264))]
    (tmp_path / "vocab.json").write_text(json.dumps({piece: id for id, piece in enumerate(pieces)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    return tmp_path


def with_fields(folder, **fields):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | fields))
    return folder


@pytest.mark.parametrize(
    "fields",
    [
        {"quals_jax": None}, {"quals_jax": [1]}, {"quals_jax": "x"}, {"quals_jax": {"max_source_tokens": "x"}},
        {"quals_jax": {"max_source_tokens": 0}}, {"quals_jax": {"max_source_tokens": -5}}, {"quals_jax": {"source_bos": "yes"}},
        {"quals_jax": {"connector": ""}}, {"quals_jax": {"connector": 5}}, {"quals_jax": {"connector_id": 10**6}},
        {"quals_jax": {"connector_id": None}}, {"quals_jax": {"unknown": 1}}, {"vocab_size": "50264"}, {"vocab_size": 10**9},
        {"encoder_layers": "2"}, {"decoder_layers": 10**9}, {"d_model": None}, {"d_model": [1]}, {"d_model": True},
        {"decoder_attention_heads": 0}, {"max_position_embeddings": "9"}, {"max_position_embeddings": 0}, {"pad_token_id": 10**6},
        {"eos_token_id": [2]}, {"dropout": "x"}, {"init_std": "x"}, {"scale_embedding": "no"}, {"activation_function": ["gelu"]},
    ],
    ids=str,
)  # fmt: skip
def test_broken_configurations_name_the_file_and_the_field(folder, fields):
    ((field, value),) = fields.items()
    named = next(iter(value)) if isinstance(value, dict) else field
    with in_time(), pytest.raises(CheckpointError, match=rf"config\.json: .*{named}"):
        load_checkpoint(with_fields(folder, **fields))


def test_optional_fields_may_be_null_and_others_unknown(folder):
    optional = (
        "forced_bos_token_id",
        "init_std",
        "dropout",
        "pad_token_id",
        "max_position_embeddings",
        "scale_embedding",
    )
    found = load_checkpoint(
        with_fields(folder, **dict.fromkeys(optional), id2label={"0": "A"}, task_specific_params={})
    )
    assert found.config.pad_token_id == 1 and found.config.max_position_embeddings == 1024
    assert (
        found.settings.connector_id == 50259
    )  # the default may lie beyond a small vocabulary; one that is stated may not


@pytest.mark.parametrize("weight_map", [[], None, {}, {"a": ["b"]}, {"a": 1, "b": "x.bin"}, {"a": "../x.bin"}], ids=str)
def test_broken_indices_of_shards(folder, weight_map):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=r"index\.json: weight_map"):
        load_huggingface(folder)


def test_state_dicts_of_a_bin_file_that_are_none(folder):
    (folder / "model.safetensors").unlink()
    for contents in ({5: tensor(6, 4)}, {"a": 1}, b"]"):
        write(folder / "pytorch_model.bin", contents)
        with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: holds"):
            load_huggingface(folder)


def test_more_layers_than_tensors_take_no_time(folder):
    with in_time(), pytest.raises(CheckpointError, match=r"200 \+ 200 layers"):
        load_checkpoint(with_fields(folder, encoder_layers=200, decoder_layers=200))


# Golden files with a few bytes changed. The parts of a zip that hold numbers are left as they are: its checksums see to them.
MUTANTS = 300
OPERATIONS = b".(0120}])tRbuseaNhqKMJX\x81\x85\x86\x87Q"
LEGACY_HEADER = 20_000  # bytes of the golden's pickles


def mutant(data: bytes, generator: random.Random) -> bytes:
    data = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 4))):
        place, kind = generator.randrange(min(len(data), LEGACY_HEADER)), generator.random()
        if kind < 0.5:
            data[place] = generator.randrange(256)
        elif kind < 0.75:
            data[place] = generator.choice(OPERATIONS)
        elif kind < 0.9:
            del data[place : place + generator.randrange(1, 6)]
        else:
            start = generator.randrange(min(len(data), LEGACY_HEADER))
            data[place:place] = data[start : start + generator.randrange(1, 20)]
    return bytes(data)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["model.pt", "model_legacy_fp16.pt", "model_omegaconf_fp16.pt"])
def test_files_with_bytes_changed_load_or_are_refused(shared, tmp_path, name):
    source, path, generator = (
        shared / "golden" / "tiny_bart_fairseq" / name,
        tmp_path / "mutant.pt",
        random.Random(name),
    )
    usual, entries = load_fairseq(source)[0], {}
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            entries = {entry: archive.read(entry) for entry in archive.namelist()}
    whole = source.read_bytes()
    loaded = 0
    for _ in range(MUTANTS // 3):
        path.write_bytes(b"" if entries else mutant(whole, generator))
        if entries:
            with zipfile.ZipFile(path, "w") as archive:
                for entry, data in entries.items():
                    archive.writestr(entry, mutant(data, generator) if entry.endswith("data.pkl") else data)
        with in_time():
            try:
                config, tensors = load_fairseq(path, dictionary_size=50264)
                if config != usual:
                    fill(config, tensors)
                loaded += 1
            except ValueError as error:
                assert "\n" not in str(error)
    assert 0 < loaded < MUTANTS // 3
