"""A BPE from texts: its layout is BART's, and what it merges is what counting by hand finds."""

import json

import pytest

from quals_jax.commands import train_tokenizer
from quals_jax.commands.errors import UserError
from quals_jax.tokenizer import Tokenizer
from quals_jax.tokenizer_training import train_bpe

TEXTS = ["abab abab abab xy"] * 2


def test_the_layout_is_barts():
    tokenizer = train_bpe(TEXTS, 300, positions=64, mask=True)
    vocabulary = tokenizer._vocabulary
    assert [vocabulary[piece] for piece in ("<s>", "<pad>", "</s>", "<unk>")] == [0, 1, 2, 3]
    assert tokenizer.mask_id == tokenizer.size - 1 and tokenizer.connector_id == tokenizer.size - 2
    assert (
        tokenizer.decode([tokenizer.connector_id]) == " strutConnector" and tokenizer.decode([tokenizer.mask_id]) == ""
    )
    assert train_bpe(TEXTS, 300, positions=64).mask_id is None


def test_the_commonest_neighbours_are_merged_first():
    """Of "abab" thrice a line: a+b stands 12 times; then ab+ab 6 times; then the space with it 4 times; last x+y."""
    tokenizer = train_bpe(TEXTS, 300, positions=64)
    assert tokenizer._merges[:3] == [("a", "b"), ("ab", "ab"), ("Ġ", "abab")]
    assert tokenizer.size < 300  # nothing more to merge


def test_no_text_becomes_the_connector_or_the_mask_and_all_text_comes_back(tmp_path):
    tokenizer = train_bpe([*TEXTS, "<mask> strutConnector <mask>"], 300, positions=64, mask=True)
    tokenizer.save(tmp_path)
    read = Tokenizer.from_pretrained(tmp_path, connector_id=tokenizer.connector_id)
    for text in ("<mask>", " a<mask>b strutConnector", "Überraschung 東京 \n x", "</s> abab"):
        (ids,) = read.encode_pieces([text])
        assert not {tokenizer.mask_id, tokenizer.connector_id} & set(ids)
        assert read.decode(ids) == text and tokenizer.encode_pieces([text]) == [ids]
    assert read.mask_id == tokenizer.mask_id


def test_transformers_reads_it(tmp_path):
    transformers = pytest.importorskip("transformers")
    tokenizer = train_bpe(TEXTS, 300, positions=64, mask=True)
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs("abab xy")["input_ids"] == [*tokenizer.encode_pieces(["abab xy"])[0], 2]
    assert theirs.convert_tokens_to_ids("<mask>") == tokenizer.mask_id and len(theirs) == tokenizer.size


def test_a_vocabulary_without_room_is_refused():
    with pytest.raises(ValueError, match="a vocabulary of 262 has no room for merges; it must be more than 262"):
        train_bpe(TEXTS, 262, positions=64, mask=True)


def test_the_command_reads_all_texts_of_its_sources(tmp_path, capsys):
    (tmp_path / "lines.txt").write_text("zqzq zqzq\n")
    row = {"context": "kvkv kvkv", "question": "wjwj wjwj", "answer": "hfhf"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    folder = tmp_path / "made"
    sources = [f"lines:{tmp_path / 'lines.txt'}", f"jsonl:{tmp_path / 'rows.jsonl'}"]
    assert train_tokenizer.main([str(folder), "--vocab_size", "400", "--data", *sources]) == 0
    tokenizer = Tokenizer.from_pretrained(folder)
    assert f"{tokenizer.size} entries in {folder}" in capsys.readouterr().out
    assert [len(ids) for ids in tokenizer.encode_pieces(["zqzq", "kvkv", "wjwj"])] == [1, 1, 1]
    with pytest.raises(UserError, match="has a tokenizer already"):
        train_tokenizer.main([str(folder), "--data", *sources])
    with pytest.raises(UserError, match="No such file"):
        train_tokenizer.main([str(tmp_path / "x"), "--data", "lines:none.txt"])
