"""How pairs are cut: against the rule written out one id at a time."""

from hypothesis import given
from hypothesis import strategies as st

from quals_jax.wordpiece import PairTokenizer, cut_longest


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 70))
def test_pairs_are_cut_as_one_id_at_a_time(first, second, room):
    first, second = list(range(first)), list(range(100, 100 + second))
    ours = cut_longest(first, second, room)
    cut = False
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()
        cut = True
    assert ours == (first, second, cut)


MARK = b"\xef\xbb\xbf"


def test_files_may_begin_with_a_byte_order_mark_and_a_line_ends_with_its_line_feed(tmp_path):
    """`[PAD]` is the first entry of BERT's vocabulary; and an entry may be a character that ends lines elsewhere."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "cat", "\u2028", "sat", "##s"]
    (tmp_path / "vocab.txt").write_bytes(MARK + "\n".join(pieces).encode() + b"\n")
    (tmp_path / "tokenizer_config.json").write_bytes(MARK + b'{"do_lower_case": true}')
    first = PairTokenizer.from_pretrained(tmp_path)
    assert first.size == len(pieces) and first.pad_id == 0
    assert first.encode(["The Cats sat"])[0].ids == [1, 4, 7, 6]
    first.save(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(MARK + (tmp_path / "tokenizer.json").read_bytes())
    assert PairTokenizer.from_pretrained(tmp_path).encode(["The Cats sat"])[0].ids == [1, 4, 7, 6]
