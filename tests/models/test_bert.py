"""BERT against what transformers' PyTorch models compute (tests/golden/make_bert.py), in every layout of files."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from quals_jax.checkpoints import CheckpointError
from quals_jax.checkpoints.bert import export_bert, fill_bert, load_bert, save_bert
from quals_jax.checkpoints.huggingface import read_weights
from quals_jax.encoder import Encoder
from quals_jax.models.bert import Bert, BertConfig

PAIRS = [
    ("Who won the title?", "Marlen Tolvik of Velmora took the belt on 14 March."),
    ("who of Velmora?", "the márlen, ZZZ."),
]


@pytest.fixture(scope="module")
def folder(golden):
    return golden / "bert"


@pytest.fixture(scope="module")
def outputs(folder):
    return dict(np.load(folder / "outputs.npz"))


@pytest.fixture(scope="module")
def span(folder):
    return load_bert(folder / "span", head="span")


def _inputs(outputs):
    return jnp.asarray(outputs["input_ids"]), jnp.asarray(outputs["token_type_ids"])


def _close(ours, theirs, outputs, tolerance):
    assert np.abs(np.asarray(ours) - theirs)[outputs["attention_mask"] == 1].max() <= tolerance


def test_word_pieces_and_segments_are_those_of_transformers(span, outputs):
    for row, (first, second) in enumerate(PAIRS):
        pieces = span.tokenizer.encode([first, second])
        ids, segments = span.tokenizer.pair(pieces[0].ids, pieces[1].ids)
        there = outputs["attention_mask"][row] == 1
        assert ids == outputs["input_ids"][row][there].tolist()
        assert segments == outputs["token_type_ids"][row][there].tolist()


def test_pieces_know_where_they_stand_in_the_text(span):
    text = PAIRS[1][1]
    (pieces,) = span.tokenizer.encode([text])
    assert [text[start:end] for start, end in pieces.spans] == ["the", "már", "len", ",", "ZZZ", "."]


def test_a_special_token_in_a_text_is_text(span):
    (pieces,) = span.tokenizer.encode(["a [SEP] b"])
    assert span.tokenizer.sep_id not in pieces.ids


def test_hidden_states_layer_by_layer(span, outputs):
    ids, segments = _inputs(outputs)
    model, numbers = span.model, range(span.model.config.num_hidden_layers + 1)
    states = model.embedding_norm(
        model.words(ids) + model.positions(jnp.arange(ids.shape[1])) + model.segments(segments)
    )
    for number in numbers:
        if number:
            states = model.layers[number - 1](states, ids != 0, model.config, None)
        _close(states, outputs[f"span_hidden_{number}"], outputs, 1e-4)
    _close(model.encode(ids, segments), states, outputs, 1e-5)


def test_span_logits(span, outputs):
    logits = span.model.span_logits(span.model.encode(*_inputs(outputs)))
    _close(logits[..., 0], outputs["start_logits"], outputs, 1e-4)
    _close(logits[..., 1], outputs["end_logits"], outputs, 1e-4)


def test_label_logits_of_a_bin_file_with_another_activation(folder, span, outputs):
    found = load_bert(folder / "labels", head="labels", tokenizer=folder / "span")
    states = found.model.encode(*_inputs(outputs))
    _close(states, outputs["labels_hidden"], outputs, 1e-4)
    np.testing.assert_allclose(found.model.label_logits(states), outputs["label_logits"], atol=1e-4)


def test_the_encoder_gives_every_source_what_it_gets_alone(span, outputs):
    encoder = Encoder(span.model, batch_size=1)
    sources = []
    for row in (0, 1, 0):
        there = outputs["attention_mask"][row] == 1
        sources.append((outputs["input_ids"][row][there].tolist(), outputs["token_type_ids"][row][there].tolist()))
    found = encoder.spans(sources)
    assert [len(rows) for rows in found] == [len(ids) for ids, _ in sources]
    for row, logits in zip((0, 1, 0), found, strict=True):
        wanted = np.stack([outputs["start_logits"][row], outputs["end_logits"][row]], -1)[: len(logits)]
        np.testing.assert_allclose(logits, wanted, atol=1e-4)
    with pytest.raises(ValueError, match="source 0 has 33 ids; the model reads 1 to 32"):
        encoder.spans([([5] * 33, [0] * 33)])


@pytest.mark.parametrize("layout", ["sharded", "bare", "gamma", "wrapped"])
def test_other_layouts_of_the_same_weights(folder, span, tmp_path, layout):
    tensors = load_file(folder / "span" / "model.safetensors")
    shutil.copytree(folder / "span", tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    if layout == "sharded":
        names = sorted(tensors)
        parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
        for part, own in parts.items():
            save_file({name: tensors[name] for name in own}, tmp_path / "model" / part)
        index = {"weight_map": {name: part for part, own in parts.items() for name in own}}
        (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps(index))
    else:
        if layout == "bare":  # a bare encoder's names, beside heads and buffers of other tasks
            tensors = {name.removeprefix("bert."): array for name, array in tensors.items()}
            tensors |= {
                "cls.predictions.bias": np.zeros(26, np.float32),
                "embeddings.position_ids": np.arange(32)[None],
            }
        elif layout == "gamma":
            old = (("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta"))
            for new_name, old_name in old:
                tensors = {name.replace(new_name, old_name): array for name, array in tensors.items()}
        else:
            tensors = {"module." + name: array for name, array in tensors.items()}
        save_file(tensors, tmp_path / "model" / "model.safetensors")
    with pytest.warns(UserWarning, match="module") if layout == "wrapped" else _nothing():
        found = load_bert(tmp_path / "model", head="span")
    for ours, theirs in zip(_arrays(found.model), _arrays(span.model), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_layout_of_factccx(folder, outputs, tmp_path):
    """No model_type, the number of labels as a number, the classifier under another name, and four heads that point."""
    tensors = {
        name.replace("classifier", "label_classifier"): array for name, array in read_weights(folder / "labels").items()
    }
    for name in ("ext_start", "ext_end", "aug_start", "aug_end"):
        tensors[f"{name}_classifier.weight"] = np.zeros((1, 24), np.float32)
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, tmp_path / "model.safetensors")
    config = json.loads((folder / "labels" / "config.json").read_text())
    config = {name: value for name, value in config.items() if name not in ("model_type", "id2label", "label2id")}
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_labels": 3, "finetuning_task": "factcc_annotated"}))
    model = load_bert(tmp_path, head="labels", tokenizer=folder / "span").model
    np.testing.assert_allclose(model.label_logits(model.encode(*_inputs(outputs))), outputs["label_logits"], atol=1e-4)


def test_what_is_saved_loads_again(span, tmp_path):
    save_bert(tmp_path, span.model, export_bert(span.model))
    span.tokenizer.save(tmp_path)
    found = load_bert(tmp_path, head="span")
    for ours, theirs in zip(_arrays(found.model), _arrays(span.model), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert found.tokenizer.encode([PAIRS[1][1]]) == span.tokenizer.encode([PAIRS[1][1]])


def test_errors_name_the_place_and_what_is_wrong(folder, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"span: the weights do not fit.*\(4 problems\): classifier.bias is missing"
    ):
        load_bert(folder / "span", head="labels")
    head = load_bert(folder / "span", head="labels", new_head_seed=1).model.classifier
    assert np.std(np.asarray(head.kernel[...])) > 0.1
    shutil.copytree(folder / "span", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    for change, message in (
        ({"model_type": "roberta"}, "model_type is 'roberta'; only bert"),
        ({"hidden_size": 25}, "hidden_size is 25; it must be a multiple of num_attention_heads, 4"),
        ({"num_hidden_layers": None}, "lacks num_hidden_layers"),
        (
            {"intermediate_size": 41},
            r"bert.encoder.layer.0.intermediate.dense.weight has shape \[40, 24\], not \[41, 24\]",
        ),
    ):
        (tmp_path / "model" / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(CheckpointError, match=message):
            load_bert(tmp_path / "model", head="span")
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "model" / "vocab.txt").unlink()
    with pytest.raises(ValueError, match="holds neither tokenizer.json nor vocab.txt"):
        load_bert(tmp_path / "model", head="span")


def test_dropout_needs_a_key_and_changes_states(span, outputs):
    import jax

    ids, segments = _inputs(outputs)
    first, second = (span.model.encode(ids, segments, dropout_key=jax.random.key(seed)) for seed in (0, 1))
    assert np.abs(np.asarray(first - second)).max() > 0.1
    np.testing.assert_array_equal(first, span.model.encode(ids, segments, dropout_key=jax.random.key(0)))


def test_live_against_torch(tmp_path):
    """Sizes of other proportions, where torch is installed."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    sizes = {
        "vocab_size": 50,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    theirs = transformers.BertForQuestionAnswering(transformers.BertConfig(**sizes)).eval()
    theirs.save_pretrained(tmp_path)
    ours = fill_bert(BertConfig(**sizes), read_weights(tmp_path), head="span")
    ids = np.random.default_rng(0).integers(1, 50, (2, 40))
    with torch.no_grad():
        found = theirs(torch.tensor(ids), token_type_ids=torch.ones(2, 40, dtype=torch.int64))
    logits = ours.span_logits(ours.encode(jnp.asarray(ids), jnp.ones((2, 40), jnp.int32)))
    np.testing.assert_allclose(logits[..., 0], found.start_logits.numpy(), atol=1e-4)


def test_bfloat16_keeps_logits_wide():
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    model = Bert(config, head="labels", rngs=nnx.Rngs(0), dtype=jnp.bfloat16)
    states = model.encode(jnp.ones((1, 4), jnp.int32), jnp.zeros((1, 4), jnp.int32))
    assert states.dtype == jnp.bfloat16
    assert model.label_logits(states).dtype == jnp.float32


def _arrays(model):
    return [np.asarray(variable[...]) for _, variable in nnx.to_flat_state(nnx.state(model))]


def _nothing():
    import contextlib

    return contextlib.nullcontext()
