"""Whole checkpoints: every layout gives the same weights, and everything wrong with one is said at once."""

import json
import shutil

import numpy as np
import pytest

from quals_jax.checkpoints import CheckpointError, export, fill, load_checkpoint, save_huggingface
from quals_jax.checkpoints.huggingface import load_huggingface
from quals_jax.tokenizer import FAIRSEQ_FILES


@pytest.fixture(scope="module")
def tensors(golden):
    return load_huggingface(golden / "tiny_bart_hf")


@pytest.mark.golden
@pytest.mark.parametrize("name", ["model.pt", "model_legacy_fp16.pt", "model_omegaconf_fp16.pt"])
def test_fairseq_files_of_every_layout(shared, bpe, tensors, name):
    config, expected, _ = tensors
    found = load_checkpoint(shared / "golden" / "tiny_bart_fairseq" / name, tokenizer=bpe)
    assert found.config == config
    weights = export(found.model)
    for key, array in expected.items():
        wanted = array if name == "model.pt" else array.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(weights[key], wanted.astype(np.float32))
    assert found.tokenizer.size == config.vocab_size and found.settings.connector_id == 50259


@pytest.mark.golden
def test_a_folder_with_a_model_pt_and_its_embedding_row_too_many(shared, bpe, monkeypatch):
    found = load_checkpoint(shared / "golden" / "tiny_bart_fairseq", tokenizer=bpe)
    from quals_jax.checkpoints import fairseq, torch_pickle

    contents = torch_pickle.load(shared / "golden" / "tiny_bart_fairseq" / "model.pt")
    for name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
        contents["model"][name] = np.concatenate([contents["model"][name], np.full((1, 32), 9, np.float32)])
    monkeypatch.setattr(torch_pickle, "load", lambda path: contents)
    for size in (None, 50264):
        config, tensors = fairseq.load_fairseq("model.pt", dictionary_size=size)
        assert config == found.config and tensors["model.shared.weight"].shape == (50264, 32)


@pytest.mark.golden
def test_another_architecture_is_refused_with_all_reasons(shared, monkeypatch):
    from quals_jax.checkpoints import fairseq, torch_pickle

    contents = torch_pickle.load(shared / "golden" / "tiny_bart_fairseq" / "model.pt")
    contents["args"].state["encoder_normalize_before"] = True
    contents["args"].state["decoder_embed_dim"] = 64
    monkeypatch.setattr(torch_pickle, "load", lambda path: contents)
    with pytest.raises(CheckpointError, match="2 problems") as caught:
        fairseq.load_fairseq("model.pt")
    assert len(caught.value.problems) == 2
    # And with what is wrong with the tensors.
    del contents["model"]["encoder.layers.0.fc1.bias"]
    contents["model"]["decoder.embed_tokens.weight"] = np.zeros((50264, 32), np.float32)
    contents["model"]["encoder.layers.0.fc2.bias"] = np.zeros(3, np.float32)
    with pytest.raises(CheckpointError, match=r"model\.pt: .*5 problems.*and 2 more") as caught:
        fairseq.load_fairseq("model.pt")
    for part in (
        "encoder_normalize_before",
        "decoder_embed_dim",
        "decoder.embed_tokens",
        "fc1.bias is missing",
        "fc2.bias has",
    ):
        assert sum(part in problem for problem in caught.value.problems) == 1


def write_hub_tokenizer(folder, bpe):
    """The one of facebook/bart-large: fairseq's ids in vocab.json, with `madeupword`s and `<mask>` as entry 50,264."""
    names = {str(number): piece for piece, number in json.loads((bpe / "encoder.json").read_text()).items()}
    lines = [line.split(" ")[0] for line in (bpe / "dict.txt").read_text().splitlines()]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(names.get(line, line) for line in lines), "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({piece: id for id, piece in enumerate(pieces)}))
    shutil.copy(bpe / "vocab.bpe", folder / "merges.txt")
    return folder


@pytest.mark.golden
def test_the_hub_s_tokenizer_fits_models_with_and_without_a_row_for_its_mask(shared, bpe, tmp_path, monkeypatch):
    """One rule for Hugging Face folders, `QAGen`, and fairseq files of 50,264 and 50,265 rows."""
    import jax

    from quals_jax import QAGen
    from quals_jax.checkpoints import torch_pickle

    hub, golden = write_hub_tokenizer(tmp_path, bpe), shared / "golden"
    found = QAGen.from_pretrained(golden / "tiny_bart_hf", tokenizer=hub, devices=jax.devices()[:1])
    assert found.tokenizer.size == found.config.vocab_size == 50264
    assert found.tokenizer.decode([50261, 50264, 2]) == ""
    text = "The police said </s> <mask> on Monday, madeupword0000"
    path = golden / "tiny_bart_fairseq" / "model.pt"
    usual = load_checkpoint(path, tokenizer=bpe)
    assert found.tokenizer.encode(text) == usual.tokenizer.encode(text)
    contents = torch_pickle.load(path)
    for name in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
        contents["model"][name] = np.concatenate([contents["model"][name], np.full((1, 32), 9, np.float32)])
    monkeypatch.setattr(torch_pickle, "load", lambda path: contents)
    for tokenizer in (hub, bpe):
        dropped = load_checkpoint(path, tokenizer=tokenizer)
        assert dropped.tokenizer.size == dropped.config.vocab_size == 50264
        assert dropped.fingerprint == usual.fingerprint


@pytest.mark.golden
def test_a_dictionary_that_is_not_the_model_s_is_refused(shared, bpe, tmp_path):
    for name in FAIRSEQ_FILES:
        shutil.copyfile(bpe / name, tmp_path / name)
    lines = (bpe / "dict.txt").read_text().splitlines(keepends=True)
    for count in (1000, len(lines) - 2):
        (tmp_path / "dict.txt").write_text("".join(lines[:count]))
        for model in ("tiny_bart_fairseq", "tiny_bart_hf"):
            with pytest.raises(CheckpointError, match=rf"dict\.txt has {count + 4} entries, and the model 50264"):
                load_checkpoint(shared / "golden" / model, tokenizer=tmp_path)


@pytest.mark.golden
def test_fairseq_files_win_beside_a_fairseq_checkpoint(shared, bpe, tmp_path):
    for name in FAIRSEQ_FILES:
        shutil.copyfile(bpe / name, tmp_path / name)
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"a": 4}, "merges": []}}')
    assert load_checkpoint(shared / "golden" / "tiny_bart_fairseq", tokenizer=tmp_path).tokenizer.size == 50264
    assert load_checkpoint(shared / "golden" / "tiny_bart_hf", tokenizer=tmp_path).tokenizer.size == 5


def test_a_mask_that_the_model_has_no_row_for(tensors, tmp_path):
    """As in facebook/bart-large-xsum and -cnn: 50,264 rows, and `<mask>` as entry 50,264 of vocab.json."""
    config, arrays, _ = tensors
    save_huggingface(tmp_path, config, arrays)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(chr(1000 + id) for id in range(4, config.vocab_size)), "<mask>"]
    for last in ("<mask>", "word"):
        vocabulary = {piece: id for id, piece in enumerate([*pieces[:-1], last])}
        (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
        (tmp_path / "merges.txt").write_text("#version: 0.2\n")
        assert load_checkpoint(tmp_path).tokenizer.size == config.vocab_size + (last == "word")


def test_everything_wrong_with_the_tensors_is_found_at_once(tensors):
    config, arrays, _ = tensors
    broken = dict(arrays)
    for name in ("model.encoder.layers.0.fc1.bias", "model.encoder.layers.1.fc1.bias"):
        del broken[name]
    broken["model.decoder.layers.0.fc1.weight"] = np.zeros((3, 3), np.float32)
    broken["model.stranger"] = np.zeros(1, np.float32)
    with pytest.raises(CheckpointError, match=r"4 problems.*and 1 more") as caught:
        fill(config, broken)
    assert len(caught.value.problems) == 4
    assert "model.decoder.layers.0.fc1.weight has shape [3, 3], not [64, 32]" in caught.value.problems


def test_tied_embeddings_may_be_stored_again_but_not_differ(tensors):
    config, arrays, _ = tensors
    table = arrays["model.shared.weight"]
    fill(config, {**arrays, "lm_head.weight": table})
    with pytest.raises(CheckpointError, match="lm_head.weight differs"):
        fill(config, {**arrays, "lm_head.weight": table + 1})


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_written_weights_read_back_bit_for_bit(tensors, tmp_path, dtype):
    import ml_dtypes

    config, arrays, _ = tensors
    save_huggingface(tmp_path, config, arrays, dtype=dtype, extra={"quals_jax": {"connector_id": 7}})
    again, found, extra = load_huggingface(tmp_path)
    assert again == config and extra["quals_jax"] == {"connector_id": 7}
    stored = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}.get(dtype, np.float32)
    for name, array in arrays.items():
        assert found[name].dtype == stored
        np.testing.assert_array_equal(found[name], array.astype(stored))
    weights = export(fill(again, found))
    np.testing.assert_array_equal(
        weights["model.shared.weight"], arrays["model.shared.weight"].astype(stored).astype(np.float32)
    )


def test_transformers_reads_what_is_written(tensors, tmp_path):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    config, arrays, _ = tensors
    save_huggingface(tmp_path, config, arrays)
    theirs = transformers.BartForConditionalGeneration.from_pretrained(tmp_path).state_dict()
    for name, array in arrays.items():
        np.testing.assert_array_equal(theirs[name].numpy(), array)


def test_sharded_files(tensors, tmp_path):
    from safetensors.numpy import save_file

    config, arrays, _ = tensors
    save_huggingface(tmp_path, config, {})
    (tmp_path / "model.safetensors").unlink()
    names = sorted(arrays)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for part, own in parts.items():
        save_file({name: arrays[name] for name in own}, tmp_path / part)
    index = {"weight_map": {name: part for part, own in parts.items() for name in own}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    _, found, _ = load_huggingface(tmp_path)
    assert set(found) == set(arrays)


def test_paths_that_lead_nowhere_say_so(tmp_path, monkeypatch):
    for path in ("./none", str(tmp_path / "none.pt"), "a/b/c"):
        with pytest.raises(ValueError, match="there is no such file or folder"):
            load_checkpoint(path)
    for path in ("~nosuchuser/x", "/" + "x" * 5000):
        with pytest.raises(ValueError, match="there is no such file or folder"):
            load_checkpoint(path)
    with pytest.raises(ValueError, match="neither a config.json"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "led"}')
    with pytest.raises(CheckpointError, match="model_type is 'led'; only bart, t5, mt5 can be loaded"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read as JSON"):
        load_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="dtype is 'int8'"):
        load_checkpoint(tmp_path, dtype="int8")


def test_a_truncated_safetensors_file_is_named(tensors, golden, tmp_path):
    config, arrays, _ = tensors
    save_huggingface(tmp_path, config, {"model.shared.weight": arrays["model.shared.weight"]})
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        load_huggingface(tmp_path)


@pytest.mark.parametrize("bare", [False, True], ids=["model.", "bare"])
@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.", "module._orig_mod."])
def test_names_as_wrappers_and_old_versions_wrote_them(tensors, tmp_path, recwarn, bare, wrapper):
    """`encoder.version` was in the hub's bart-large; DataParallel and torch.compile put their own name in front of all."""
    from safetensors.numpy import save_file

    config, arrays, _ = tensors
    save_huggingface(tmp_path, config, {})
    named = {name.removeprefix("model.") if bare else name: array for name, array in arrays.items()}
    named |= {
        f"{'' if bare else 'model.'}{side}.version": np.full(1, 3.0, np.float32) for side in ("encoder", "decoder")
    }
    save_file({wrapper + name: array for name, array in named.items()}, tmp_path / "model.safetensors")
    _, found, _ = load_huggingface(tmp_path)
    weights = export(fill(config, found))
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights[name], array.astype(np.float32))
    said = [str(warning.message) for warning in recwarn if "every tensor's name" in str(warning.message)]
    assert len(said) == bool(wrapper) and all(f"begins with '{wrapper}'" in text for text in said)


def test_a_prefix_that_not_all_names_have_is_no_wrapper(tensors, tmp_path):
    from safetensors.numpy import save_file

    config, arrays, _ = tensors
    save_huggingface(tmp_path, config, {})
    names = sorted(arrays)
    save_file(
        {("module." if name != names[0] else "") + name: arrays[name] for name in names}, tmp_path / "model.safetensors"
    )
    _, found, _ = load_huggingface(tmp_path)
    with pytest.raises(CheckpointError, match="the weights do not fit"):
        fill(config, found)


@pytest.mark.golden
def test_a_fairseq_file_of_a_wrapped_model(shared, bpe, monkeypatch):
    from quals_jax.checkpoints import torch_pickle

    path = shared / "golden" / "tiny_bart_fairseq" / "model.pt"
    usual = load_checkpoint(path, tokenizer=bpe)
    contents = torch_pickle.load(path)
    contents["model"] = {f"module.{name}": array for name, array in contents["model"].items()}
    monkeypatch.setattr(torch_pickle, "load", lambda path: contents)
    with pytest.warns(UserWarning, match=r"model\.pt: every tensor's name begins with 'module\.'"):
        assert load_checkpoint(path, tokenizer=bpe).fingerprint == usual.fingerprint


def test_configurations_may_begin_with_a_byte_order_mark(tensors, golden, tmp_path):
    config, arrays, _ = tensors
    save_huggingface(tmp_path, config, arrays)
    path = tmp_path / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_huggingface(tmp_path)[0] == config


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("num_beams", "4", "a whole number from 1 to 1000"),
        ("num_beams", 0, "a whole number from 1"),
        ("num_beams", True, "a whole number"),
        ("max_length", 62.0, "a whole number from 3"),
        ("max_length", 2, "a whole number from 3"),
        ("min_length", -1, "a whole number from 0"),
        ("max_new_tokens", [60], "a whole number from 2"),
        ("no_repeat_ngram_size", "3", "a whole number"),
        ("length_penalty", "2.0", "a number"),
        ("length_penalty", float("nan"), "a number"),
        ("forced_bos_token_id", 50264, "an id, a whole number from 0 to 50263"),
        ("forced_bos_token_id", "<s>", "an id"),
        ("bos_token_id", 0.0, "an id"),
        ("force_bos_token_to_be_generated", 1, "true or false"),
    ],
)
@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_fields_of_the_search_are_checked(tmp_path, file, name, value, wanted):
    from quals_jax.checkpoints.generation import check_generation

    with pytest.raises(CheckpointError) as caught:
        check_generation({name: value}, tmp_path / file, 50264)
    assert str(caught.value).startswith(f"{tmp_path / file}: {name} is ") and wanted in str(caught.value)


def test_what_a_search_cannot_follow_is_said(tmp_path, recwarn):
    from quals_jax.checkpoints.generation import check_generation

    followed = {
        "num_beams": 4,
        "do_sample": False,
        "repetition_penalty": 1.0,
        "num_beam_groups": 1,
        "bad_words_ids": None,
    }
    check_generation(followed, tmp_path, 10)
    assert not recwarn.list
    check_generation({"repetition_penalty": 1.2, "do_sample": True}, tmp_path / "generation_config.json", 10)
    (warning,) = recwarn.list
    assert "generation_config.json: do_sample, repetition_penalty is not followed here" in str(warning.message)
