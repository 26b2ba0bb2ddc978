"""T5s as `transformers` writes them, in every form that its folders have had."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from quals_jax.checkpoints import CheckpointError, export, fill, save_huggingface
from quals_jax.checkpoints.huggingface import load_huggingface
from quals_jax.models.t5 import T5Config


@pytest.fixture(scope="module")
def folder(golden):
    return golden / "t5"


def loaded(folder):
    config, tensors, _ = load_huggingface(folder)
    return fill(config, tensors)


def logits(model, arrays):
    mask = jnp.asarray(arrays["source"] != 0)
    memory = model.memory(model.encode(jnp.asarray(arrays["source"]), mask), mask)
    return np.asarray(model.logits(model.decode(jnp.asarray(arrays["inputs"])[:, None], memory)[0]))[:, 0]


def test_a_file_of_an_older_version_with_every_table_under_every_name(folder):
    found = load_huggingface(folder / "v1_1_bin")[1]
    assert {"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"} <= set(
        found
    )
    model = loaded(folder / "v1_1_bin")
    assert model.config.scale_decoder_outputs is False and model.config.own_output
    arrays = np.load(folder / "v1_1" / "states.npz")
    assert np.abs(logits(model, arrays) - arrays["logits"]).max() <= 1e-4


def test_sharded_weights(folder, tmp_path):
    whole = load_file(folder / "v1_1" / "model.safetensors")
    names, index = sorted(whole), {}
    for part in range(3):
        own = f"model-0000{part + 1}-of-00003.safetensors"
        save_file({name: whole[name] for name in names[part::3]}, tmp_path / own)
        index |= dict.fromkeys(names[part::3], own)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (tmp_path / "config.json").write_text((folder / "v1_1" / "config.json").read_text())
    arrays = np.load(folder / "v1_1" / "states.npz")
    assert np.abs(logits(loaded(tmp_path), arrays) - arrays["logits"]).max() <= 1e-4


def test_an_output_table_equal_to_the_embedding_or_absent_is_no_other(folder):
    config, tensors, _ = load_huggingface(folder / "v1_1")
    absent = {name: array for name, array in tensors.items() if name != "lm_head.weight"}
    equal = tensors | {"lm_head.weight": tensors["shared.weight"].copy()}
    for own in (absent, equal):
        assert fill(config, own).lm_head is None
    assert fill(config, tensors).lm_head is not None


def test_an_early_file_has_a_table_that_no_model_reads(folder):
    config, tensors, _ = load_huggingface(folder / "v1_0")
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    fill(config, tensors | {unused: np.zeros((32, 2), np.float32)})
    with pytest.raises(CheckpointError, match="decoder.block.9.x does not belong to a T5 of this configuration"):
        fill(config, tensors | {"decoder.block.9.x": np.zeros(1)})
    with pytest.raises(
        CheckpointError, match="decoder.embed_tokens.weight differs from shared.weight, to which T5 ties it"
    ):
        fill(config, tensors | {"decoder.embed_tokens.weight": np.zeros((48, 16), np.float32)})


@pytest.mark.parametrize("kind", ["v1_0", "v1_1", "mt5"])
def test_what_is_written_is_what_was_read(folder, tmp_path, kind):
    config, tensors, _ = load_huggingface(folder / kind)
    model = fill(config, tensors)
    written = export(model)
    assert set(written) == set(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(written[name], array)
    save_huggingface(tmp_path, model.config, written)
    again = loaded(tmp_path)
    assert again.config == model.config
    described = json.loads((tmp_path / "config.json").read_text())
    wanted = {"mt5": "MT5ForConditionalGeneration"}.get(kind, "T5ForConditionalGeneration")
    assert described["architectures"] == [wanted]
    # Versions of transformers before 5 read the scale off this, and read nothing else.
    assert described["tie_word_embeddings"] is (kind == "v1_0")


@pytest.mark.parametrize(
    "values,scaled",
    [
        ({}, True),
        ({"tie_word_embeddings": False}, False),
        ({"tie_word_embeddings": True, "scale_decoder_outputs": False}, False),
        ({"tie_word_embeddings": True, "model_type": "mt5"}, False),
    ],
)
def test_how_files_say_that_states_are_scaled(values, scaled):
    sizes = {"vocab_size": 24, "d_model": 12, "d_kv": 5, "d_ff": 16, "num_layers": 2, "num_heads": 2}
    assert T5Config.from_dict(sizes | values).scale_decoder_outputs is scaled
