"""Text infilling: what is masked can be put back, is of the share asked for, and hangs on seed and position alone."""

import types
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quals_jax.data import loader
from quals_jax.data.infilling import Infilling, infill, shuffled, span_lengths
from quals_jax.data.lines import Blocks, lines
from quals_jax.data.texts import Text
from quals_jax.tokenizer_training import train_bpe
from quals_jax.training.config import DataConfig, ModelConfig, TrainConfig

MASK = 9


def words_of(ids, starts):
    """The ids word by word."""
    return [tuple(part) for part in np.split(ids, np.flatnonzero(starts)[1:])]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.floats(0.05, 0.9), st.integers(0, 2**32))
def test_every_mask_stands_for_one_span_and_the_other_words_stay_in_order(lengths, share, seed):
    """Cut at the masks, what is left are runs of whole words of the text, in their order, none touching the next."""
    total = sum(lengths)
    ids = np.arange(10, 10 + total)
    starts = np.isin(np.arange(total), np.cumsum([0, *lengths[:-1]]))
    generator = np.random.default_rng(seed)
    spans = span_lengths(len(lengths), share, 3.0, generator)
    assert sum(spans) == int(np.ceil(round(share * len(lengths), 6)))
    found = infill(ids, starts, spans, MASK, generator)
    left = found[found != MASK]
    words = words_of(ids, starts)
    kept = [word for word in words if word[0] in left]
    assert [id for word in kept for id in word] == left.tolist()
    masks = int((found == MASK).sum())
    assert len(words) - len(kept) <= sum(spans) and masks <= len(spans)
    if len(spans) <= len(words) - sum(spans) + 1:  # all spans have a place
        assert len(words) - len(kept) == sum(spans) and masks == len(spans)
    assert not np.any((found[1:] == MASK) & (found[:-1] == MASK))


def test_places_of_one_span_are_alike_likely():
    """One span of 2 among 5 words: 4 places. 3 standard deviations of a share of 1/4 in 4,000 draws are .0205."""
    generator = np.random.default_rng(1)
    ids, starts = np.arange(10, 15), np.ones(5, bool)
    seen = Counter(infill(ids, starts, [2], MASK, generator).tolist().index(MASK) for _ in range(4000))
    assert sorted(seen) == [0, 1, 2, 3]
    assert all(abs(count / 4000 - 0.25) < 0.0205 for count in seen.values())


def test_lengths_are_those_of_a_poisson_distribution():
    """Of lengths that are not cut (all but the last) the mean is 3 and the variance 3; of 0 the share is exp(-3) = .0498."""
    generator = np.random.default_rng(2)
    found = np.array([length for _ in range(40) for length in span_lengths(3000, 0.3, 3.0, generator)[:-1]])
    assert len(found) > 11_000
    assert found.mean() == pytest.approx(3, abs=0.05) and found.var() == pytest.approx(3, abs=0.15)
    assert (found == 0).mean() == pytest.approx(np.exp(-3), abs=0.007)


TEXTS = [f"The {number}th choir of Velmora sang. It rained in Ashwold! Was {number} enough?" for number in range(40)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_bpe(TEXTS * 3, 330, positions=64, mask=True)


def make(tokenizer, **changes):
    options = {"source_limit": 64, "target_limit": 64, "share": 0.3, "mean_length": 3.0} | changes
    return Infilling(tokenizer, **options)


def test_the_target_is_the_text_and_the_source_the_text_with_masks(tokenizer):
    examples = make(tokenizer)([Text(text, ()) for text in TEXTS])
    for text, example in zip(TEXTS, examples, strict=True):
        (target,) = example.targets
        assert tokenizer.decode(target) == text and target[-1] == example.source[-1] == 2
        count = len(text.split())
        parts = tokenizer.decode([3 if id == tokenizer.mask_id else id for id in example.source]).split("<unk>")
        assert len(parts) > 1 and sum(len(part.split()) for part in parts) == count - int(np.ceil(0.3 * count))
        at = 0
        for part in parts:  # each run of words stands in the text, after the one before
            at = text.index(part, at) + len(part)


def test_without_a_generator_the_damage_is_the_texts_own(tokenizer):
    one, other = ([e.source for e in make(tokenizer)([Text(text, ()) for text in TEXTS])] for _ in range(2))
    assert one == other
    drawn = [e.source for e in make(tokenizer)([Text(text, ()) for text in TEXTS], np.random.default_rng(0))]
    assert drawn != one


def test_sentences_in_random_order_are_the_same_sentences(tokenizer):
    orders = {shuffled(TEXTS[0], np.random.default_rng(seed)) for seed in range(30)}
    assert len(orders) == 6  # of three sentences
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(TEXTS[0]))}
    (example,) = make(tokenizer, shuffle=True)([Text(TEXTS[0], ())])
    assert tokenizer.decode(example.targets[0]) == TEXTS[0]


def test_what_is_too_long_is_cut_and_counted(tokenizer):
    maker = make(tokenizer, source_limit=20, target_limit=16)
    long, short = maker([Text(TEXTS[0], ()), Text("It rained.", ())])
    assert len(long.targets[0]) == 16 and len(long.source) <= 20
    assert maker.counts == {"texts": 2, "texts_cut": 1} and tokenizer.decode(short.targets[0]) == "It rained."


def test_a_tokenizer_without_a_mask_is_refused():
    with pytest.raises(ValueError, match="has no <mask>; python -m quals_jax train_tokenizer"):
        make(train_bpe(TEXTS, 280, positions=64))
    with pytest.raises(ValueError, match="has no <mask>"):
        make(types.SimpleNamespace(folder="t5"))


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        ("infilling", {"train": "gazette:train"}, "data.train is 'gazette:train'; it must be texts"),
        ("infilling", {"train": "lines:x", "infill_share": 1.0}, "data.infill_share is 1.0"),
        ("infilling", {"train": "lines:x", "block_words": 0}, "data.block_words is 0"),
        ("mle", {"train": "jsonl:x", "borrowed": 0.5}, "data.borrowed is 0.5; it must be 0"),
        ("qagen", {"train": "gazette:train", "borrowed": 0.5}, "data.borrowed is 0.5; it must be 0"),
        ("qagen", {"train": "squad:x", "borrowed": -1.0}, "data.borrowed is -1.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(kind, data, said):
    with pytest.raises(ValueError, match=said):
        TrainConfig(kind=kind, data=DataConfig(**data), model=ModelConfig(tokenizer="x")).validate()


CONFIG = DataConfig(train="x", batch_size=4, window=2, max_targets=1, source_buckets=(64,), target_buckets=(64,))


def batches(tokenizer, seed):
    return iter(loader.training_batches([Text(text, ()) for text in TEXTS], make(tokenizer), CONFIG, seed=seed))


def take(iterator, count):
    return [next(iterator)["rows"]["source_ids"] for _ in range(count)]


def test_batches_hang_on_the_seed_and_go_on_where_they_were(tokenizer):
    first = batches(tokenizer, 1)
    made = take(first, 7)
    state = first.get_state()
    wanted = take(first, 15)
    first.close()
    second, other = batches(tokenizer, 1), batches(tokenizer, 2)
    second.set_state(state)
    assert np.array_equal(wanted, take(second, 15))
    assert not np.array_equal(made, take(other, 7))
    second.close()
    other.close()


def test_a_text_is_damaged_anew_in_every_epoch(tokenizer):
    """Ten batches are an epoch of forty texts."""
    iterator = batches(tokenizer, 3)
    rows = [next(iterator)["rows"] for _ in range(20)]
    iterator.close()
    seen: dict = {}
    for part in rows:
        for source, target in zip(part["source_ids"], part["target_ids"], strict=True):
            seen.setdefault(target.tobytes(), []).append(source.tobytes())
    assert len(seen) == 40 and {len(own) for own in seen.values()} == {2}
    assert sum(one != other for one, other in seen.values()) > 35


def test_blocks_hold_all_words_in_order():
    texts = [Text("a b  c", ()), Text("d", ()), Text("", ()), Text("e f g h i", ())]
    blocks = Blocks(texts, 4)
    assert [blocks[place].source for place in range(len(blocks))] == ["a b c d", "e f g h", "i"]


@pytest.mark.parametrize("name", ["text.txt", "text.txt.xz", "text.txt.gz", "text.txt.bz2"])
def test_lines_are_read_packed_or_not(tmp_path, name):
    import bz2
    import gzip
    import lzma

    pack = {".xz": lzma.compress, ".gz": gzip.compress, ".bz2": bz2.compress}.get(name[name.rindex(".") :], bytes)
    (tmp_path / name).write_bytes(pack("one line\r\n\n  zwei Zeilen é \n".encode()))
    assert [text.source for text in lines(tmp_path / name)] == ["one line", "zwei Zeilen é"]


@pytest.mark.parametrize(
    ("name", "said"), [("none.txt", "No such file"), ("cut.gz", "cut.gz: "), ("latin.txt", "UTF-8")]
)
def test_lines_that_cannot_be_read_are_named(tmp_path, name, said):
    (tmp_path / "cut.gz").write_bytes(b"no gzip at all")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(ValueError, match=said):
        lines(tmp_path / name)


def test_the_prose_is_read_whole(shared):
    """Its SOURCE.md: 18.4 million words."""
    path = shared / "data" / "english-text" / "text.txt.xz"
    if not path.exists():
        pytest.skip("the prose is not there")
    words = sum(text.source.count(" ") + 1 for text in lines(path))
    assert words == pytest.approx(18.4e6, rel=0.005)
