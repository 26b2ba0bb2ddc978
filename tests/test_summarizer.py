"""The summarizer: how it reads folders of others, and that a document's samples are its own."""

import json

import jax
import numpy as np
import pytest
from tiny_qagen import make_tiny_qagen

from quals_jax.decoding.diverse_beam import SearchConfig
from quals_jax.decoding.sampling import SamplingConfig
from quals_jax.seq2seq import source_number
from quals_jax.summarizer import Summarizer, conventions, described

SEARCH = SearchConfig(num_beams=2, num_groups=1, min_length=2, max_length=6)
SAMPLING = SamplingConfig(k=20, min_length=2, max_length=6)
DOCUMENTS = [
    "A storm hit the coast.",
    "The mayor lost.",
    "Rain. " * 30,
    "x",
    "A club signed a striker, and paid.",
    "No.",
]

# As facebook/bart-large-xsum and bart-large-cnn have them.
XSUM_CONFIG = {"bos_token_id": 0, "force_bos_token_to_be_generated": False, "task_specific_params": {}}
XSUM_GENERATION = {
    "bos_token_id": 0, "decoder_start_token_id": 2, "early_stopping": True, "eos_token_id": 2, "forced_eos_token_id": 2,
    "max_length": 62, "min_length": 11, "no_repeat_ngram_size": 3, "num_beams": 6, "pad_token_id": 1,
}  # fmt: skip
CNN_GENERATION = XSUM_GENERATION | {
    "forced_bos_token_id": 0, "length_penalty": 2.0, "max_length": 142, "min_length": 56, "num_beams": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_qagen(tmp_path_factory.mktemp("summarizer"))


@pytest.fixture(scope="module")
def one_device(folder):
    return Summarizer.from_pretrained(folder, search=SEARCH, batch_size=2, devices=jax.devices()[:1])


@pytest.fixture(scope="module")
def samples(one_device):
    return one_device.sample(DOCUMENTS, 3, SAMPLING, seed=5)


def test_hub_folders_are_read_by_their_own_conventions():
    """Their lengths, 62 with the start token and the end and 11 with the start token alone, are the paper's 10 to 60."""
    found = conventions(XSUM_CONFIG, XSUM_GENERATION)
    assert found.source_bos and found.forced_first_id is None
    assert found.search == SearchConfig(6, 1, min_length=10, max_length=60, length_penalty=1.0, no_repeat_ngram_size=3)
    found = conventions(XSUM_CONFIG, CNN_GENERATION)
    assert found.source_bos and found.forced_first_id == 0
    assert found.search == SearchConfig(4, 1, min_length=55, max_length=140, length_penalty=2.0, no_repeat_ngram_size=3)
    assert conventions({"bos_token_id": 0, "force_bos_token_to_be_generated": True}, {}).forced_first_id == 0


@pytest.mark.parametrize("generation", [XSUM_GENERATION, CNN_GENERATION])
def test_conventions_are_written_as_they_are_read(generation):
    own = conventions(XSUM_CONFIG, generation)
    written = described(own)
    assert {
        name: generation.get(name, 1.0) for name in written if name != "forced_bos_token_id"
    }.items() <= written.items()
    assert conventions(XSUM_CONFIG, written) == own


def test_generation_config_wins_over_config():
    found = conventions({"num_beams": 4, "forced_bos_token_id": 0}, {"num_beams": 6, "length_penalty": 2.0})
    assert (found.search.num_beams, found.search.length_penalty, found.forced_first_id) == (6, 2.0, 0)


def test_own_folders_and_fairseq_files_follow_fairseq():
    assert conventions({}, {}).source_bos is False
    own = conventions({"quals_jax": {"source_bos": False}, "d_model": 16}, {"forced_eos_token_id": 2})
    assert own.source_bos is False and own.forced_first_id is None and own.search.max_length == 60


@pytest.fixture(scope="module")
def hub(folder, tmp_path_factory):
    """The model as a folder of others: without this project's block, with conventions of its own."""
    hub = tmp_path_factory.mktemp("hub")
    for file in folder.iterdir():
        (hub / file.name).write_bytes(file.read_bytes())
    config = json.loads((hub / "config.json").read_text())
    del config["quals_jax"]
    (hub / "config.json").write_text(json.dumps(config | {"forced_bos_token_id": 0}))
    (hub / "generation_config.json").write_text(json.dumps({"num_beams": 2, "min_length": 3, "max_length": 8}))
    return hub


@pytest.fixture(scope="module")
def from_hub(hub):
    return Summarizer.from_pretrained(hub, batch_size=2, devices=jax.devices()[:1])


def test_hub_folder_forces_its_first_token(from_hub):
    assert from_hub.tokenizer.encode("x")[0] == 0 and from_hub.forced_first_id == 0
    sources = [from_hub.tokenizer.encode("A storm."), from_hub.tokenizer.encode("A flood?")]
    found = [hypotheses.tokens for _, hypotheses in from_hub.runner.search(sources, from_hub.search)]
    assert (np.array(found)[:, :, 0] == 0).all()
    texts = from_hub.summarize(["A storm.", "A flood?"])
    assert texts == [text.strip() for text in texts]


def test_hub_folder_of_a_small_model_reads_long_documents(from_hub):
    """`<s>` in front takes one of its 128 positions: 126 pieces, `</s>` and `<s>`."""
    assert len(from_hub.tokenizer.encode("Rain. " * 100)) == 128
    assert len(from_hub.summarize(["Rain. " * 100])) == 1


def test_a_search_may_be_changed_in_part(hub):
    changed = Summarizer.from_pretrained(hub, search={"num_beams": 3}, devices=jax.devices()[:1]).search
    assert changed == SearchConfig(3, 1, min_length=2, max_length=6)
    with pytest.raises(ValueError, match="num_beams is 0"):
        Summarizer.from_pretrained(hub, search={"num_beams": 0})


def test_samples_are_the_document_s_own(one_device, samples):
    assert [len(own) for own in samples] == [3] * len(DOCUMENTS)
    backwards = one_device.sample(DOCUMENTS[::-1], 3, SAMPLING, seed=5)[::-1]
    alone = [one_device.sample([document], 3, SAMPLING, seed=5)[0] for document in DOCUMENTS[:2]]
    assert backwards == samples and alone == samples[:2]


def test_samples_do_not_depend_on_the_devices(folder, samples):
    several = Summarizer.from_pretrained(folder, search=SEARCH, batch_size=1, devices=jax.devices()[:4])
    assert several.sample(DOCUMENTS, 3, SAMPLING, seed=5) == samples


def test_another_seed_gives_other_samples(one_device, samples):
    assert one_device.sample(DOCUMENTS, 3, SAMPLING, seed=6) != samples
    assert len({text for own in samples for text in own}) > len(DOCUMENTS)


def test_beams_come_best_first_and_the_best_is_the_summary(one_device):
    beams = one_device.beams(DOCUMENTS)
    assert [own[0] for own in beams] == one_device.summarize(DOCUMENTS)
    assert all(len(own) == SEARCH.num_beams for own in beams)


def test_numbers_of_documents_differ():
    numbers = {source_number([number, 2], seed) for number in range(500) for seed in range(2)}
    assert len(numbers) == 1000 and all(0 <= number < 2**31 for number in numbers)


def test_what_cannot_be_is_refused(folder, one_device):
    with pytest.raises(ValueError, match="num_samples is 0"):
        one_device.sample(["x"], 0)
    with pytest.raises(ValueError, match="max_length is 200; the model has positions for 127"):
        one_device.use(SearchConfig(num_beams=2, max_length=200))
    with pytest.raises(ValueError, match="batch_size is 0"):
        Summarizer.from_pretrained(folder, batch_size=0)


def test_new_tokens_are_followed_before_lengths():
    """`transformers` adds the decoder's one start token to them, and takes them where both are said."""
    for new, old in (
        ({"max_new_tokens": 61, "min_new_tokens": 10}, {"max_length": 62, "min_length": 11}),
        ({"max_new_tokens": 61, "max_length": 20, "min_length": 11}, {"max_length": 62, "min_length": 11}),
    ):
        assert conventions(XSUM_CONFIG, new).search == conventions(XSUM_CONFIG, old).search
    assert conventions(XSUM_CONFIG | {"max_length": 62}, {"max_new_tokens": 30}).search.max_length == 29


@pytest.mark.parametrize(
    ("file", "values", "match"),
    [
        (
            "generation_config.json",
            {"num_beams": "2"},
            r"generation_config\.json: num_beams is '2'; it must be a whole",
        ),
        ("config.json", {"length_penalty": None, "max_length": -8}, r"[^_]config\.json: max_length is -8"),
        ("config.json", {"forced_bos_token_id": 10**5}, r"[^_]config\.json: forced_bos_token_id is 100000"),
        (
            "generation_config.json",
            {"min_length": 50},
            r"generation_config\.json: min_length is 49; it must not exceed",
        ),
    ],
)
def test_a_field_that_cannot_be_names_its_file(hub, tmp_path, file, values, match):
    import shutil

    folder = shutil.copytree(hub, tmp_path / "model")
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(ValueError, match=match):
        Summarizer.from_pretrained(folder)
