"""Token ids against the goldens, and the ways in which a text could be misread."""

import json

import pytest

from quals_jax.tokenizer import Tokenizer


@pytest.mark.golden
@pytest.mark.parametrize("bos", [False, True], ids=["no_bos", "with_bos"])
def test_ids_and_texts_equal_the_reference(golden, bpe, bos):
    tokenizer = Tokenizer.from_pretrained(bpe, source_bos=bos)
    name = "with_bos" if bos else "no_bos"
    for record in json.loads((golden / "tokenisation.json").read_text()):
        assert tokenizer.encode(record["text"]) == record[f"ids_{name}"]
        assert tokenizer.decode(record[f"ids_{name}"]) == record[f"decoded_{name}"]


@pytest.fixture(scope="module")
def tiny():
    """All bytes, and one merge: "a" + "b"."""
    from tokenizers import pre_tokenizers

    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ab", "ĠstrutConnector"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return Tokenizer(vocabulary, [("a", "b")], connector_id=len(pieces) - 1, max_source_tokens=6)


def test_sources_are_cut_to_leave_room_for_the_end_and_say_so(tiny):
    (short, cut), (long, flagged) = tiny.encode_batch(["xxxxx", "xxxxxx"])
    assert len(short) == len(long) == 6 and short[-1] == long[-1] == 2
    assert short == long and not cut and flagged


def test_special_tokens_in_a_text_are_text(tiny):
    for text in ("</s>", "<s>", "<pad>", " strutConnector"):
        (ids,) = tiny.encode_pieces([text])
        assert not {0, 1, 2, 3, tiny.connector_id} & set(ids)
        assert tiny.decode(ids) == text


def test_a_pair_is_question_connector_answer_end(tiny):
    ids = tiny.encode_pair("ab?", "ab")
    assert ids == [tiny.encode("ab")[0], tiny.encode("?")[0], tiny.connector_id, tiny.encode("ab")[0], 2]
    assert tiny.decode(ids) == "ab? strutConnectorab"


def test_any_text_survives_and_is_not_stripped(tiny):
    tokenizer = tiny
    for text in ("  two  spaces ", "naïve café", "日本", "😀", "\t\n"):
        (ids,) = tokenizer.encode_pieces([text])
        assert tokenizer.decode(ids) == text


def test_unknown_ids_are_nothing_and_half_a_character_is_replaced(tiny):
    assert tiny.decode([10**6, 3]) == "<unk>"
    (ids,) = tiny.encode_pieces(["é"])
    assert tiny.decode(ids[:1]) == "\ufffd"


def test_lone_surrogates_are_refused(tiny):
    with pytest.raises(ValueError, match="text 1 is no valid Unicode"):
        tiny.encode_batch(["fine", "\ud800"])


def test_a_folder_without_tokenizer_is_told_in_one_line(tmp_path):
    with pytest.raises(ValueError, match=r"holds no tokenizer.*--tokenizer"):
        Tokenizer.from_pretrained(tmp_path)


def test_saved_files_read_back_the_same_here_and_in_transformers(tiny, tmp_path):
    tiny.save(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path, connector_id=tiny.connector_id, max_source_tokens=6)
    text = "about ab </s>"
    assert again.encode_pieces([text]) == tiny.encode_pieces([text]) and again.size == tiny.size
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs("about ab", add_special_tokens=False)["input_ids"] == tiny.encode_pieces(["about ab"])[0]
    assert theirs.eos_token_id == 2 and theirs.pad_token_id == 1
