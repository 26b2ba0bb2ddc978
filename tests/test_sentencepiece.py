"""SentencePiece tokenizers: the same ids and texts as `transformers`' T5 tokenizers."""

import json
import shutil

import pytest
from tiny_t5 import PIECES, make_tiny_t5

from quals_jax.sentencepiece import SentencePieceTokenizer

TEXTS = [
    "The mayor of Velmora spoke about the new bridge on 14 March, didn't she?",
    "¿Quién ganó la copa? La señora Núñez.", "Où se trouve la mairie ? L'élève est là.", "Straße, Müller, 3,5 %",
    "市長は新しい橋について話した。誰が橋を建てたのか。", "시장은 새 다리에 대해 말했다.", "Мэр рассказал о мосте.", "市长谈到了新桥。",
    "emoji 🙂 and 👩‍👩‍👧 here", "  odd \t spaces \n\n and\u3000wide\u00a0ones  ", "ﬁne １２３ ① ㌔ Å", "a|b | c", "", " ", "x" * 300,
    "1234567890 3.14 1,000,000", "zero\u200bwidth\ufeff",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_t5(tmp_path_factory.mktemp("t5") / "model", kind="sep")


@pytest.fixture(scope="module")
def theirs(folder):
    transformers = pytest.importorskip("transformers")
    return transformers.T5TokenizerFast.from_pretrained(folder)


@pytest.fixture(scope="module")
def ours(folder):
    return SentencePieceTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_and_texts_are_those_of_transformers(ours, theirs, text):
    expected = theirs(text)["input_ids"]
    assert ours.encode_batch([text]) == [(expected, False)]
    assert ours.decode(expected) == theirs.decode(expected, skip_special_tokens=True)


def test_added_tokens_of_other_files(ours, theirs):
    assert (ours.sep_token, ours.sep_id) == ("<sep>", 900) and theirs.convert_tokens_to_ids("<sep>") == 900
    ids = [*ours.encode_pieces(["Who won?"])[0], 900, *ours.encode_pieces(["Ann"])[0], 1]
    assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)
    assert ours.decode(ids, special=True).split("<sep>") == theirs.decode(ids[:-1]).split("<sep>")
    assert ours.decode([910, 920]) == ""  # rows of the model's table that have no text
    assert (ours.pad_id, ours.eos_id, ours.unk_id) == (0, 1, 2)


def test_special_tokens_written_in_a_text_are_text(ours):
    for text in ("a </s> b", "<sep>", "<extra_id_3> x", "<pad>"):
        assert not {0, 1, 900, *range(800, 900)} & {*ours.encode_pieces([text])[0]}


def test_a_text_is_cut_with_its_prefix_and_end(folder):
    tokenizer = SentencePieceTokenizer.from_pretrained(folder, max_source_tokens=10, prefix="generate question: ")
    whole = tokenizer.encode_pieces(["generate question: the bridge in the city of the mayor of the town"])[0]
    ((ids, truncated),) = tokenizer.encode_batch(["the bridge in the city of the mayor of the town"])
    assert truncated and ids == [*whole[:9], 1]


def test_what_is_written_reads_the_same_here_and_there(ours, theirs, tmp_path):
    ours.save(tmp_path)
    (tmp_path / "spiece.model").unlink()  # through tokenizer.json alone
    again = SentencePieceTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        assert again.encode_pieces([text]) == ours.encode_pieces([text])
        ids = ours.encode(text)
        assert again.decode(ids) == ours.decode(ids)
    assert again.sep_id == 900
    loaded = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(tmp_path)
    assert all(loaded(text)["input_ids"] == theirs(text)["input_ids"] for text in TEXTS)


def test_spaces_are_cleaned_where_the_folder_says_so(folder, tmp_path, ours):
    shutil.copytree(folder, tmp_path / "model")
    path = tmp_path / "model" / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"clean_up_tokenization_spaces": True}))
    theirs = pytest.importorskip("transformers").T5TokenizerFast.from_pretrained(tmp_path / "model")
    text = "do n't go , she 's here ! or ' not ' . ?"
    ids = ours.encode(text)
    found = SentencePieceTokenizer.from_pretrained(tmp_path / "model").decode(ids)
    assert found == theirs.decode(ids, skip_special_tokens=True) != ours.decode(ids)


def test_files_that_are_no_tokenizer(tmp_path):
    with pytest.raises(ValueError, match=r"holds no tokenizer \(tokenizer.json or spiece.model\)"):
        SentencePieceTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(ValueError, match=r"tokenizer.json: is damaged"):
        SentencePieceTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    shutil.copy(PIECES, tmp_path / "spiece.model")
    (tmp_path / "added_tokens.json").write_text('{"<sep>": 950}')
    with pytest.raises(ValueError, match="'<sep>' has id 950, which is not the next"):
        SentencePieceTokenizer.from_pretrained(tmp_path)


def test_mt5_gets_no_extra_ids(tmp_path):
    shutil.copy(PIECES, tmp_path / "spiece.model")
    assert SentencePieceTokenizer.from_pretrained(tmp_path).size == 900
    assert SentencePieceTokenizer.from_pretrained(tmp_path, extra_ids=0).size == 800
