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


@pytest.mark.parametrize(
    ("text", "kind"), [(("a", "b"), "tuple"), (None, "None"), (float("nan"), "float"), ({}, "dict")]
)
def test_what_is_no_text_is_refused(tiny, text, kind):
    """A pair of texts was one text, of both."""
    with pytest.raises(TypeError, match=rf"texts\[1\] is .*{kind}"):
        tiny.encode_batch(["fine", text])


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


TEXTS = [
    "The cat sat.",
    "cat",
    " cat  sat",
    "Naïve café, 12.50!",
    "a<hl>b <sep> Rain\nfell",
    "STORM storm",
    "ﬁne ①",
    "",
]


def byte_pieces():
    """`<s>` to `<unk>`, all bytes, and a few pieces that merges make."""
    from tokenizers import pre_tokenizers

    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges = [("a", "t"), ("c", "at"), ("Ġ", "cat"), ("1", "2"), ("Ġ", "s")]
    return {piece: id for id, piece in enumerate([*pieces, *map("".join, merges), "ĠstrutConnector"])}, merges


def write_tokenizer(folder, *, config=None, added=(), **parts):
    """A `tokenizer.json` with these parts, and a `tokenizer_config.json`."""
    vocabulary, merges = byte_pieces()
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokens = [
        flags | {"id": id, "content": piece} for piece, id in vocabulary.items() if piece.startswith("<") and id < 4
    ]
    tokens += [flags | {"normalized": True, "special": False} | token for token in added]
    whole = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [list(merge) for merge in merges]},
    } | parts  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast"} | names | (config or {})
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(vocabulary)


def ids_of_transformers(folder, texts=TEXTS):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)(list(texts), add_special_tokens=False)["input_ids"]


PRE = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"pre_tokenizer": PRE},
        {"pre_tokenizer": PRE, "config": {"add_prefix_space": True}},
        {"pre_tokenizer": PRE | {"use_regex": False}},
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [DIGITS, PRE | {"add_prefix_space": False}]}},
        {"normalizer": {"type": "Lowercase"}},
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]}},
        {"added": [{"id": 266, "content": "<sep>", "lstrip": True}, {"id": 267, "content": "<hl>"}]},
        {"added": [{"id": 266, "content": "storm", "single_word": True}], "normalizer": {"type": "Lowercase"}},
    ],
    ids=lambda parts: " ".join(parts) or "plain",
)
def test_a_tokenizer_is_followed_whole(tmp_path, parts):
    """Prefix space, normalizers, other cuts, added tokens: the ids of `transformers`, also from what is saved again."""
    assert write_tokenizer(tmp_path, **parts) == 266
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    expected = ids_of_transformers(tmp_path)
    assert tokenizer.encode_pieces(TEXTS) == expected
    (tmp_path / "saved").mkdir()
    tokenizer.save(tmp_path / "saved")
    assert Tokenizer.from_pretrained(tmp_path / "saved").encode_pieces(TEXTS) == expected
    assert ids_of_transformers(tmp_path / "saved") == expected
    assert not parts or parts.keys() == {"added"} or expected != _plain_ids(tmp_path)


def _plain_ids(folder):
    write_tokenizer(folder)
    return ids_of_transformers(folder)


def test_vocab_and_merges_follow_the_prefix_space_of_the_configuration(tmp_path):
    vocabulary, merges = byte_pieces()
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (tmp_path / "config.json").write_text('{"model_type": "bart"}')
    for prefix in (False, True):
        settings = {"tokenizer_class": "BartTokenizer", "add_prefix_space": prefix}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
        found = Tokenizer.from_pretrained(tmp_path).encode_pieces(TEXTS)
        assert found == ids_of_transformers(tmp_path) and (found[1] == [vocabulary["Ġcat"]]) == prefix


@pytest.mark.parametrize("where", ["tokenizer.json", "tokenizer_config.json", "added_tokens.json"])
def test_added_tokens_of_all_three_files(tmp_path, where):
    """A token of its own is found in texts, one with a blank in it decodes with the blank, and a special one stays a text."""
    tokens = {266: " strut", 267: "<hl>", 268: "<end>"}
    flags = {id: {"content": content, "special": id == 268} for id, content in tokens.items()}
    listed = [{"id": id, **values} for id, values in flags.items()] if where == "tokenizer.json" else []
    config = {"added_tokens_decoder": {str(id): values for id, values in flags.items()}} if "config" in where else {}
    write_tokenizer(tmp_path, added=listed, config=config)
    if where == "added_tokens.json":
        (tmp_path / where).write_text(json.dumps({content: id for id, content in tokens.items()}))
        (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["<end>"]}))
    tokenizer = Tokenizer.from_pretrained(tmp_path, connector=" strut", connector_id=266)
    tokenizer.check_connector()
    assert tokenizer.size == 269
    assert [tokenizer.decode([id]) for id in tokens] == list(tokens.values())
    found = tokenizer.encode_pieces(["the<hl>cat strut <end>"])[0]
    assert 267 in found and not {266, 268} & set(found)  # neither the connector nor what is special
    assert tokenizer.decode(found) == "the<hl>cat strut <end>"


def test_added_tokens_are_written_as_texts_or_as_pieces(tmp_path):
    write_tokenizer(tmp_path, added=[{"id": 266, "content": "naïve"}, {"id": 267, "content": "ĠstrutSep"}])
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    assert tokenizer.decode([266, 267]) == "naïve strutSep"


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        ({"pre_tokenizer": None}, r"tokenizer\.json: its pre_tokenizer is none; only one that ends with ByteLevel"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "its pre_tokenizer is Whitespace"),
        ({"pre_tokenizer": {"type": "Metaspace", "replacement": "▁"}}, "its pre_tokenizer is Metaspace"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [PRE, DIGITS]}}, r"is ByteLevel \+ Digits"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": []}}, "its pre_tokenizer is none"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": 7}}, "normalizer or pre_tokenizer is unknown or damaged"),
        ({"normalizer": {"type": "Mystery"}}, "normalizer or pre_tokenizer is unknown or damaged"),
        ({"decoder": {"type": "WordPiece", "prefix": "##"}}, "its decoder is 'WordPiece'"),
        ({"config": {"add_prefix_space": True}}, r"tokenizer_config\.json: add_prefix_space is true, and tokenizer\.json"),
        ({"config": {"add_prefix_space": "yes"}}, r"tokenizer_config\.json: add_prefix_space is 'yes'"),
        ({"added": [{"id": 266, "content": "cat"}]}, "the added token 'cat' has id 266, but elsewhere it has another"),
        ({"added": [{"id": 7, "content": "<hl>"}]}, "the added token '<hl>' has id 7, but elsewhere .* has it"),
        ({"added": [{"id": 266, "content": "<hl>", "lstrip": 1}]}, "lstrip of the added token '<hl>' must be true or false"),
        ({"config": {"added_tokens_decoder": {"x": {"content": "<hl>"}}}}, r"tokenizer_config\.json: the id of '<hl>' is 'x'"),
        ({"config": {"added_tokens_decoder": {"266": "<hl>"}}}, r"tokenizer_config\.json: its added tokens hold '<hl>'"),
        ({"config": {"added_tokens_decoder": []}, "added": [{"id": 266, "content": ""}]}, "hold .*, which is no token"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value),
)  # fmt: skip
def test_what_cannot_be_followed_is_refused(tmp_path, parts, match):
    write_tokenizer(tmp_path, **parts)
    with pytest.raises(ValueError, match=match) as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("dropout", 0.1), ("continuing_subword_prefix", "##"), ("end_of_word_suffix", "</w>"), ("byte_fallback", True)],
)
def test_other_kinds_of_bpe_are_refused(tmp_path, name, value):
    vocabulary, merges = byte_pieces()
    model = {"type": "BPE", "vocab": vocabulary, "merges": merges}
    write_tokenizer(tmp_path, model=model | {name: type(value)()})
    Tokenizer.from_pretrained(tmp_path)
    write_tokenizer(tmp_path, model=model | {name: value})
    with pytest.raises(ValueError, match=rf"tokenizer\.json: {name} of the model is"):
        Tokenizer.from_pretrained(tmp_path)


def test_files_of_the_same_names_of_another_kind_are_refused(tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 4, "b</w>": 5, "ab</w>": 6}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b</w>\n")
    with pytest.raises(ValueError, match=r"merges\.txt: marks the ends of words"):
        Tokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "CLIPTokenizer"}')
    with pytest.raises(ValueError, match=r"tokenizer_config\.json: tokenizer_class is 'CLIPTokenizer'"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("vocabulary", "match"),
    [
        ({"<s>": 0, "a": 1}, "in its tokenizer 1 is the id of 'a'; <pad> must have it"),
        ({"a": 4, "</s>": 5}, "in its tokenizer 2 is the id of '</s>'; </s> must have it"),
        ({"a": 4, "b": 4}, r"vocab\.json: 'b' and 'a' have one id, 4"),
    ],
)
def test_ids_that_the_special_tokens_need_are_theirs(tmp_path, vocabulary, match):
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(ValueError, match=match):
        Tokenizer.from_pretrained(tmp_path)


def test_a_connector_whose_id_is_another_s_is_refused(tmp_path):
    size = write_tokenizer(tmp_path)
    Tokenizer.from_pretrained(tmp_path, connector_id=size - 1).check_connector()
    for id, found in ((size - 2, " s"), (size + 5, ""), (1, "")):
        with pytest.raises(ValueError, match=rf"connector is ' strutConnector' with id {id}, but .* is '{found}'"):
            Tokenizer.from_pretrained(tmp_path, connector_id=id).check_connector()


@pytest.mark.parametrize("name", FAIRSEQ_FILES)
def test_a_byte_order_mark_changes_nothing_in_fairseq_s_files(bpe, tmp_path, name):
    """In `dict.txt` it made the full stop, its first entry, an <unk>."""
    for other in FAIRSEQ_FILES:
        shutil.copyfile(bpe / other, tmp_path / other)
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (bpe / name).read_bytes())
    assert Tokenizer.from_pretrained(tmp_path).encode("The end.") == Tokenizer.from_pretrained(bpe).encode("The end.")
    assert Tokenizer.from_pretrained(bpe).encode(".") == [4, 2]


def test_a_byte_order_mark_changes_nothing_in_hugging_face_s_files(tmp_path):
    write_tokenizer(tmp_path, config={"add_prefix_space": False})
    (tmp_path / "added_tokens.json").write_text('{"<hl>": 266}')
    before = Tokenizer.from_pretrained(tmp_path).encode_pieces(TEXTS)
    for name in ("tokenizer.json", "tokenizer_config.json", "added_tokens.json"):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + (tmp_path / name).read_bytes())
    assert Tokenizer.from_pretrained(tmp_path).encode_pieces(TEXTS) == before


def test_a_byte_order_mark_changes_nothing_in_sentencepiece_s_file(tmp_path):
    from tokenizers import Tokenizer as Pieces
    from tokenizers import models, pre_tokenizers

    from quals_jax.sentencepiece import SentencePieceTokenizer

    pieces = Pieces(
        models.Unigram([("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁cat", -1.0), ("s", -2.0)], unk_id=2)
    )
    pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    text = pieces.to_str()
    for mark in (b"", b"\xef\xbb\xbf"):
        (tmp_path / "tokenizer.json").write_bytes(mark + text.encode())
        assert SentencePieceTokenizer.from_pretrained(tmp_path).encode_pieces(["cats"]) == [[3, 4]]
