"""Whole checkpoints: every layout gives the same weights, and everything wrong with one is said at once."""

import json

import numpy as np
import pytest

from quals_jax.checkpoints import CheckpointError, export, fill, load_checkpoint, save_huggingface
from quals_jax.checkpoints.huggingface import load_huggingface


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
    with pytest.raises(ValueError, match="neither a config.json"):
        load_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(CheckpointError, match="model_type is 't5'"):
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
