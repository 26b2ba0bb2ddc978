"""Token ids against the goldens, and the ways in which a text could be misread."""

import json
import shutil

import pytest

from quals_jax.tokenizer import FAIRSEQ_FILES, Tokenizer


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


def same_tokenizer(tokenizer, folder):
    """Whether what was saved there gives the same ids and texts, to us and to `transformers`."""
    from transformers import AutoTokenizer

    text = "ab cab, na\u00efve 12 strutConnector"
    saved, theirs = (
        Tokenizer.from_pretrained(folder, source_bos=tokenizer.source_bos),
        AutoTokenizer.from_pretrained(folder),
    )
    assert saved.encode(text) == tokenizer.encode(text) == theirs(text)["input_ids"]
    ids = [*range(tokenizer.size)]
    assert [saved.decode([id]) for id in ids] == [tokenizer.decode([id]) for id in ids]
    assert theirs.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>"]) == [0, 1, 2, 3] and theirs.eos_token_id == 2
    assert theirs.decode(theirs(text)["input_ids"], skip_special_tokens=True) == text


@pytest.mark.parametrize("bos", [False, True], ids=["no_bos", "with_bos"])
def test_what_is_saved_gives_the_same_ids(tiny, tmp_path, bos):
    tokenizer = Tokenizer(tiny._vocabulary, tiny._merges, connector_id=tiny.connector_id, source_bos=bos)
    tokenizer.save(tmp_path)
    same_tokenizer(tokenizer, tmp_path)


def test_what_is_saved_of_fairseq_s_files_gives_the_same_ids(bpe, tmp_path):
    """They do not list the special tokens."""
    tokenizer = Tokenizer.from_pretrained(bpe)
    tokenizer.save(tmp_path)
    same_tokenizer(tokenizer, tmp_path)


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


VOCABULARY = {"a": 4, "b": 5, "ab": 6}


@pytest.mark.parametrize(
    "values",
    [
        [], {}, {"model": None}, {"model": []}, {"model": {"type": "Unigram", "vocab": VOCABULARY}}, {"model": {"vocab": VOCABULARY}},
        {"model": {"vocab": {}, "merges": []}}, {"model": {"vocab": [], "merges": []}}, {"model": {"vocab": VOCABULARY, "merges": {}}},
        {"model": {"vocab": VOCABULARY, "merges": ["a b c"]}}, {"model": {"vocab": VOCABULARY, "merges": [["a"]]}},
        {"model": {"vocab": VOCABULARY, "merges": [["a", 5]]}}, {"model": {"vocab": VOCABULARY, "merges": [5]}},
        {"model": {"vocab": {"a": "4"}, "merges": []}}, {"model": {"vocab": {"a": -1}, "merges": []}},
        {"model": {"vocab": {"a": True}, "merges": []}}, {"model": {"vocab": {"a": 2**40}, "merges": []}},
        {"model": {"vocab": VOCABULARY, "merges": []}, "added_tokens": [5]},
        {"model": {"vocab": VOCABULARY, "merges": []}, "added_tokens": [{"content": "x"}]},
        {"model": {"vocab": VOCABULARY, "merges": []}, "added_tokens": {"x": 7}},
    ],
    ids=str,
)  # fmt: skip
def test_broken_tokenizer_files_are_named(tmp_path, values):
    (tmp_path / "tokenizer.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"tokenizer\.json.*: ") as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


def test_merges_of_unknown_pieces_are_refused(tmp_path):
    for merge in (["a", "x"], ["b", "a"]):
        (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": VOCABULARY, "merges": [merge]}}))
        with pytest.raises(ValueError, match="merges and vocabulary do not belong together"):
            Tokenizer.from_pretrained(tmp_path)


LONG = {chr(97 + one) + chr(97 + two): 30 + 26 * one + two for one in range(26) for two in range(26)}
LONG |= {chr(97 + one): 4 + one for one in range(26)}
MERGES = "#version: 0.2\n" + "".join(f"{piece[0]} {piece[1]}\n" for piece in LONG if len(piece) == 2)


@pytest.mark.parametrize(
    ("vocabulary", "merges", "match"),
    [
        ([], MERGES, r"vocab\.json: holds no JSON object"),
        ({}, MERGES, r"vocab\.json: holds no vocabulary"),
        ({"a": "0"}, MERGES, r"vocab\.json: the id of 'a' is '0'"),
        (LONG, MERGES + "a", r"merges\.txt, line 678: is 'a', no two pieces"),
        (LONG, MERGES + "a b c", r"merges\.txt, line 678: "),
        (LONG, MERGES[: len(MERGES) // 2], r"merges\.txt: has no merges for \d+ pieces|no two pieces"),
        (LONG, "", r"merges\.txt: has no merges for 676 pieces"),
        (LONG, b"\xff\xfe", r"merges\.txt: cannot be read as text"),
    ],
    ids=["list", "empty", "text", "cut", "three", "half", "none", "not UTF-8"],
)
def test_broken_vocabularies_and_merges_are_named(tmp_path, vocabulary, merges, match):
    (tmp_path / "vocab.json").write_text(json.dumps(LONG))
    (tmp_path / "merges.txt").write_text(MERGES)
    Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_bytes(merges if isinstance(merges, bytes) else merges.encode())
    with pytest.raises(ValueError, match=match):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "contents", "match"),
    [
        ("encoder.json", b"[]", r"encoder\.json: holds no JSON object"),
        ("encoder.json", b"{", r"encoder\.json: cannot be read as JSON"),
        ("encoder.json", b"[" * 100_000, r"encoder\.json: cannot be read as JSON"),
        ("encoder.json", b'{"a": [1]}', r"encoder\.json: the id of 'a'"),
        ("vocab.bpe", 0, r"vocab\.bpe: has no merges for 50000 pieces"),
        ("vocab.bpe", 200_001, r"vocab\.bpe"),
        ("vocab.bpe", 200_004, r"vocab\.bpe, line 22832"),
        ("dict.txt", 0, r"dict\.txt: holds no entries"),
        ("dict.txt", 1000, r"dict\.txt, line 77: is '73'"),
        ("dict.txt", b"198 1\n199 1\n198 1\n", r"dict\.txt, line 3"),
    ],
)
def test_broken_fairseq_files_are_named(bpe, tmp_path, name, contents, match):
    for other in FAIRSEQ_FILES:
        shutil.copyfile(bpe / other, tmp_path / other)
    (tmp_path / name).write_bytes(contents if isinstance(contents, bytes) else (bpe / name).read_bytes()[:contents])
    with pytest.raises(ValueError, match=match):
        Tokenizer.from_pretrained(tmp_path)


def test_entries_without_text_decode_to_nothing(tmp_path):
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "a", "madeupword0000", "madeupword0001", "<mask>"]
    (tmp_path / "vocab.json").write_text(json.dumps({piece: id for id, piece in enumerate(pieces)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.decode([0, 4, 5, 6, 7, 1, 3, 4, 2]) == "a<unk>a" and tokenizer.size == 8


def test_saved_files_read_back_the_same_here_and_in_transformers(tiny, tmp_path):
    tiny.save(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path, connector_id=tiny.connector_id, max_source_tokens=6)
    text = "about ab </s>"
    assert again.encode_pieces([text]) == tiny.encode_pieces([text]) and again.size == tiny.size
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs("about ab", add_special_tokens=False)["input_ids"] == tiny.encode_pieces(["about ab"])[0]
    assert theirs.eos_token_id == 2 and theirs.pad_token_id == 1
