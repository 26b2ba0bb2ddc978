"""T5 summarizers: what they expect before a document is followed wherever one is read, or asked for."""

import json

import jax
import numpy as np
import pytest
from tiny_t5 import make_tiny_t5

from quals_jax import QAGen
from quals_jax.checkpoints.generation import document_prefix
from quals_jax.decoding.diverse_beam import SearchConfig
from quals_jax.decoding.sampling import SamplingConfig
from quals_jax.metrics.likelihood import Likelihood
from quals_jax.recipes import model_folders, training_data
from quals_jax.sentencepiece import SentencePieceTokenizer
from quals_jax.summarizer import Summarizer
from quals_jax.training.config import DataConfig, ModelConfig, OptimizerConfig, TrainConfig

# As google-t5/t5-small has them, whose generation_config.json names ids alone.
TASK = {
    "early_stopping": True, "length_penalty": 2.0, "max_length": 200, "min_length": 30, "no_repeat_ngram_size": 3, "num_beams": 4,
    "prefix": "summarize: ",
}  # fmt: skip
PARAMS = {"task_specific_params": {"summarization": TASK, "translation_en_to_de": {"prefix": "translate: "}}}
DOCUMENT = "the mayor spoke to the bridge"
SAMPLING = SamplingConfig(k=20, min_length=2, max_length=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_t5(tmp_path_factory.mktemp("t5") / "t5-small", kind="none", **PARAMS)


def load(folder, **settings):
    return Summarizer.from_pretrained(folder, batch_size=1, devices=jax.devices()[:1], **settings)


def test_prefix_and_search_are_what_the_folder_says_of_summarization(folder):
    found = load(folder)
    ids = SentencePieceTokenizer.from_pretrained(folder).encode(f"summarize: {DOCUMENT}")
    assert found._sources([DOCUMENT]) == [ids]
    assert found.search == SearchConfig(4, 1, min_length=29, max_length=198, length_penalty=2.0, no_repeat_ngram_size=3)


def test_the_same_text_with_the_prefix_written_out(folder):
    said, none = load(folder), load(folder, prefix="")
    assert none._sources([f"summarize: {DOCUMENT}"]) == said._sources([DOCUMENT])
    search = {"num_beams": 2, "min_length": 2, "max_length": 6}
    for own in (said, none):
        own.use(SearchConfig(num_groups=1, **search))
    texts, written = [DOCUMENT], [f"summarize: {DOCUMENT}"]
    assert said.summarize(texts) == none.summarize(written)
    assert said.sample(texts, 3, SAMPLING) == none.sample(written, 3, SAMPLING)
    (with_it,), (alone,) = said.logprobs(texts, ["a mayor"]), none.logprobs(texts, ["a mayor"])
    np.testing.assert_allclose(with_it, none.logprobs(written, ["a mayor"])[0], atol=1e-5)
    assert np.abs(with_it - alone).max() > 1e-3
    assert "| prefix:'summarize: ' |" in Likelihood(said).signature and "prefix" not in Likelihood(none).signature
    assert said.identity != none.identity == none.fingerprint


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "t5", **PARAMS}, "summarize: "),
        ({"model_type": "t5", "prefix": "tl;dr: "}, "tl;dr: "),
        ({"model_type": "t5", "prefix": "tl;dr: ", **PARAMS}, "summarize: "),
        ({"model_type": "t5", "quals_jax": {"prefix": ""}, **PARAMS}, ""),
        ({"model_type": "t5", "quals_jax": {"prefix": "ask: ", "pair_format": "qag"}}, None),
        ({"model_type": "t5", "task_specific_params": None}, None),
        ({"model_type": "t5"}, None),
        ({"model_type": "mt5"}, ""),
        ({"model_type": "mt5", "prefix": "summarize: "}, "summarize: "),
        ({"model_type": "bart", "prefix": " "}, ""),
    ],
)
def test_where_a_folder_says_it(config, expected, tmp_path):
    assert document_prefix(config, tmp_path) == expected


def test_a_t5_that_does_not_say_is_refused_and_can_be_told(tmp_path):
    folder = make_tiny_t5(tmp_path / "model", kind="none")
    cure = r'config.json: does not say what this t5 model expects before a document; put "quals_jax": {"prefix": "summarize: "} into it'
    with pytest.raises(ValueError, match=cure):
        load(folder)
    assert load(folder, prefix="").tokenizer.prefix == ""
    path = folder / "config.json"
    for values, match in (
        ({"task_specific_params": 3}, "task_specific_params is 3; it must be an object"),
        ({"task_specific_params": {"summarization": []}}, "summarization is a list; it must be an object"),
        ({"task_specific_params": {"summarization": {"prefix": 3}}}, "prefix is 3; it must be a text"),
        (
            {"task_specific_params": {"summarization": {"num_beams": "4"}}},
            "summarization: num_beams is '4'; it must be",
        ),
    ):
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        with pytest.raises(ValueError, match=match):
            load(folder)
    block = {"task_specific_params": None, "quals_jax": {"prefix": "summarize: "}}
    path.write_text(json.dumps(json.loads(path.read_text()) | block))
    assert load(folder).tokenizer.prefix == "summarize: "


def test_one_that_is_trained_here_says_it_and_is_no_qagen(folder, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"document": DOCUMENT, "summary": "a mayor"}) + "\n")
    config = TrainConfig(
        kind="mle", steps=2, eval_every=0, export="last", checkpoint_every=2, checkpoint_minutes=0,
        data=DataConfig(train=f"jsonl:{rows}", batch_size=1, source_buckets=(32,), target_buckets=(16,)),
        model=ModelConfig(initial=str(folder)), optimizer=OptimizerConfig(learning_rate=1e-3),
    )  # fmt: skip
    model, tokenizer = model_folders.prepare_model(config)
    (batch,) = training_data.prepare_data(config, model.config, tokenizer).sample().batches
    source = batch["rows"]["source_ids"][0]
    assert tokenizer.decode(source[source != 0]) == f"summarize: {DOCUMENT}"
    assert model_folders._block(model, tokenizer) == {"max_source_tokens": 512, "prefix": "summarize: "}
    with pytest.raises(
        ValueError, match=r"it is not known how this t5 model writes questions.*\(a summarizer does not\)"
    ):
        QAGen.from_pretrained(folder)
