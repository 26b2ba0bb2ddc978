"""A model's distribution belongs to its weights, and a damaged one is named."""

import json
import shutil

import jax
import pytest
from tiny_qagen import make_tiny_qagen

from quals_jax.distribution import FILE, read_distribution, same_weights, write_distribution
from quals_jax.qagen import EMBEDDED, QAGen


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_tiny_qagen(tmp_path_factory.mktemp("tiny"))


def load(folder):
    return QAGen.from_pretrained(folder, devices=jax.devices()[:1])


def test_what_is_written_is_read_for_the_same_weights_alone(tmp_path, recwarn):
    path = write_distribution(tmp_path, "three", "model:m@aaaaaaaa | groups:60", "a" * 64, [-0.1, -0.30004, -0.2])
    assert path == tmp_path / FILE
    found = read_distribution(tmp_path, "a" * 64)
    assert found["quals"] == [-0.3, -0.2, -0.1] and found["what"] == "three" and not recwarn.list
    with pytest.warns(UserWarning, match=r"quals_distribution\.json: was made with other weights"):
        assert read_distribution(tmp_path, "a" * 63 + "b") is None
    assert read_distribution(tmp_path / "none", "a" * 64) is None


def test_files_of_the_first_version_name_their_weights_in_the_signature():
    signature = "model:some/gazette_qagen@4b483bc6 | groups:60 | version:0.1.0"
    assert same_weights("4b483bc6" + "0" * 56, None, signature)
    assert not same_weights("4b483bc7" + "0" * 56, None, signature)
    assert not same_weights("4b483bc6", None, "model:gazette_qagen | groups:60")
    assert not same_weights("b" * 64, "a" * 64, "model:m@bbbbbbbb")


def test_the_embedded_one_is_of_the_embedded_weights(model, tmp_path):
    assert len(load(EMBEDDED).distribution["quals"]) == 400
    folder = shutil.copytree(model, tmp_path / "model")
    shutil.copy(EMBEDDED / FILE, folder)
    with pytest.warns(UserWarning, match="other weights"):
        assert load(folder).distribution is None


@pytest.mark.parametrize(
    "values",
    [
        "", "{", "[]", "5", '{"quals": [1.0]}', '{"signature": "s", "quals": []}', '{"signature": "s", "quals": ["a"]}',
        '{"signature": "s", "quals": [-0.1, -0.2]}', '{"signature": 5, "quals": [-0.1]}', '{"signature": "s", "quals": [NaN]}',
        '{"signature": "s", "quals": 7}', '{"signature": "s", "quals": [true]}', "[" * 100_000, b"\xff\xfe\x00",
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_damaged_one_is_one_line_that_names_the_file(model, tmp_path, values):
    folder = shutil.copytree(model, tmp_path / "model")
    (folder / FILE).write_bytes(values if isinstance(values, bytes) else values.encode())
    with pytest.raises(ValueError, match=r"quals_distribution\.json: is damaged; write it again with") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_damage(tmp_path):
    values = {"signature": "model:m@aaaaaaaa", "quals": [-0.2, -0.1]}
    (tmp_path / FILE).write_bytes(b"\xef\xbb\xbf" + json.dumps(values).encode())
    assert read_distribution(tmp_path, "a" * 64)["quals"] == [-0.2, -0.1]
