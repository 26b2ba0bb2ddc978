"""Tokenising and batching with a tokenizer of one id a word, so that what comes out can be read."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quals_jax.data import loader
from quals_jax.data.batching import Example
from quals_jax.data.texts import First, Target, Text, Tokenise, by_source, collapsed
from quals_jax.training.config import DataConfig

CONNECTOR = 3


class Words:
    """Ids from 10 on, in order of first appearance."""

    source_bos = False
    connector_id = CONNECTOR
    pad_id, eos_id, prefix = 1, 2, ""

    def __init__(self):
        self.words = []

    def encode_pieces(self, texts):
        for text in texts:
            self.words += [word for word in dict.fromkeys(text.split()) if word not in self.words]
        return [[10 + self.words.index(word) for word in text.split()] for text in texts]

    def decode(self, ids):
        return " ".join(self.words[number - 10] for number in ids)


def tokenise(source_limit=6, target_limit=6, tokenizer=None):
    return Tokenise(tokenizer or Words(), source_limit=source_limit, target_limit=target_limit)


def test_a_pair_is_question_connector_answer_end():
    (example,) = tokenise()([Text("a b c", (Target("b", "c a"), Target("c"), Target("a", "")))])
    assert example.source == [10, 11, 12, 2]
    assert example.targets == ([11, CONNECTOR, 12, 10, 2], [12, 2], [10, CONNECTOR, 2])


def test_what_is_cut_or_left_out_is_counted():
    make = tokenise(source_limit=4, target_limit=4)
    example, _ = make([Text("a b c d", (Target("a b c d"), Target("a b c"))), Text("a b c", ())])
    assert example.source == [10, 11, 12, 2]
    assert example.targets == ([10, 11, 12, 2],)
    assert make.counts == {"texts": 2, "texts_cut": 1, "targets": 1, "targets_dropped": 1}


def test_white_space_may_be_collapsed():
    """The answer "b" ends at 6 of "a\\n    b c", and at 3 of what is left of it."""
    text = Text("a\n    b c ", (Target("  what   is ", " b ", end=7), Target("x", "c", end=9)), 1)
    assert collapsed(text) == Text("a b c", (Target("what is", "b", end=3), Target("x", "c", end=5)), 1)
    make = tokenise()
    make.collapse = True
    (example,) = make([text])
    assert len(example.targets) == 1 and make.counts["questions_unanswered"] == 1


def test_a_source_may_begin_with_bos():
    words = Words()
    words.source_bos = True
    (example,) = tokenise(source_limit=4, tokenizer=words)([Text("a b c", ())])
    assert example.source == [0, 10, 11, 2]


def test_an_answer_that_ends_at_or_after_the_cut_is_left_out():
    """As the reference does, even where nothing was cut: "c" ends with the text."""
    pairs = (Target("x", "b", end=4), Target("x", "c", end=5))
    (whole,) = tokenise()([Text("a b c", pairs)])
    assert len(whole.targets) == 1
    (cut,) = tokenise(source_limit=3)([Text("a b c", (Target("x", "a", end=1), Target("x", "b", end=3)))])
    assert len(cut.targets) == 1


def texts(count):
    generator = np.random.default_rng(0)
    return [
        Text(
            " ".join(f"w{number}" for _ in range(generator.integers(1, 30))),
            tuple(Target(f"t{number}", f"a{n}") for n in range(generator.integers(1, 7))),
        )
        for number in range(count)
    ]


CONFIG = DataConfig(
    train="x",
    batch_size=4,
    window=4,
    max_targets=4,
    source_buckets=(8, 16, 32),
    pair_buckets=(2,),
    target_buckets=(4, 8),
)


def make_words(count):
    """A tokenizer that knows all words in order, so that two of them agree."""
    words = Words()
    words.encode_pieces(
        [text.source + " " + " ".join(f"{t.text} {t.answer}" for t in text.targets) for text in texts(count)]
    )
    return words


def targets_in(batches):
    """How often every target (as ids, with the first word of its source) comes."""
    seen = Counter()
    for batch in batches:
        part = batch["rows"]
        for source, targets in zip(part["source_ids"], part["target_ids"], strict=True):
            seen.update((source[0], *target[target != 1]) for target in targets if target[0] != 1)
    return seen


def test_shapes_are_few_and_fit():
    words = make_words(40)
    batches = loader.evaluation_batches(texts(40), tokenise(32, 8, words), CONFIG)
    assert {batch["rows"]["source_ids"].shape for batch in batches} <= {(4, 8), (4, 16), (4, 32)}
    assert {batch["rows"]["target_ids"].shape[1:] for batch in batches} <= {(2, 4), (4, 4)}
    wanted = sum(len(text.targets) for text in texts(40))
    found = targets_in(batches)
    assert sum(found.values()) == wanted and max(found.values()) == 1


def test_rows_are_bounded_by_tokens():
    config = DataConfig(train="x", batch_size=8, batch_tokens=64, source_buckets=(8, 16, 128))
    assert [loader.batch_rows(source, config) for source in config.source_buckets] == [8, 4, 1]


ONE_LONG = DataConfig(
    train="x", batch_size=64, batch_tokens=8192, batch_target_tokens=16_384, max_targets=8,
    source_buckets=(128, 256, 512, 1024), pair_buckets=(1, 4, 8), target_buckets=(32, 64, 128, 256, 1024),
)  # fmt: skip


def test_one_long_target_makes_no_others_long():
    """Issue 25: among 64 texts of 8 pairs a single pair of 134 tokens made 64 x 8 x 1,024 = 524,288 target positions."""
    rows = [Example([9] * 100, tuple([10 + row, 20 + pair] + [7] * 10 for pair in range(8))) for row in range(64)]
    long = [10, 20] + [7] * 132
    rows[5] = Example(rows[5].source, (long, *rows[5].targets[1:]))
    batches = loader.cut_window(rows, ONE_LONG, pad_id=1)
    shapes = [batch["rows"]["target_ids"].shape for batch in batches]
    assert max(map(np.prod, shapes)) <= 16_384
    assert sum(map(np.prod, shapes)) < 524_288 / 8
    found = [tuple(ids[ids != 1]) for batch in batches for row in batch["rows"]["target_ids"] for ids in row]
    wanted = [tuple(ids) for row in rows for ids in row.targets]
    assert Counter(ids for ids in found if ids) == Counter(wanted)
    holds_it = [batch for batch in batches if (batch["rows"]["target_ids"] != 1).sum(-1).max() == 134]
    assert [(batch["rows"]["target_ids"] != 1).any(-1).sum() for batch in holds_it] == [1]  # alone


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1024), st.lists(st.integers(1, 1024), max_size=12)), max_size=40))
def test_whatever_the_lengths_both_bounds_hold_and_nothing_is_lost(lengths):
    rows = [Example([9] * source, tuple([5] * target for target in targets)) for source, targets in lengths]
    batches = loader.cut_window(rows, ONE_LONG, pad_id=1)
    for batch in batches:
        part = batch["rows"]
        assert part["source_ids"].size <= 8192 and part["target_ids"].size <= 16_384
    found = [int(n) for batch in batches for n in (batch["rows"]["target_ids"] != 1).sum(-1).ravel() if n]
    assert sorted(found) == sorted(target for _, targets in lengths for target in targets)


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def batches(seed, count=20):
    return iter(loader.training_batches(texts(count), tokenise(32, 8, make_words(count)), CONFIG, seed=seed))


def test_epochs_hold_every_target_once_and_differ_in_order():
    """An epoch is a window of 16 texts and one of 4."""
    iterator = batches(1)
    wanted = sum(len(text.targets) for text in texts(20))
    seen, made = Counter(), []
    for epoch in range(1, 5):
        while sum(seen.values()) < epoch * wanted:
            made += take(iterator, 1)
            seen += targets_in(made[-1:])
        assert set(seen.values()) == {epoch}
    iterator.close()
    other = batches(2)
    assert not all(_equal(a, b) for a, b in zip(made, take(other, len(made)), strict=True))
    other.close()


def test_texts_of_which_nothing_can_be_learnt_are_refused():
    long = [Text("a b", (Target("c " * 9),))] * 40
    iterator = iter(loader.training_batches(long, tokenise(), CONFIG, seed=1))
    with pytest.raises(ValueError, match="of 40 texts none has a target to learn"):
        next(iterator)


def _equal(one, other):
    return all(np.array_equal(one["rows"][name], other["rows"][name]) for name in one["rows"])


@pytest.mark.parametrize("stop", [1, 5, 12])
def test_an_iterator_goes_on_where_it_was(stop):
    first = batches(1)
    take(first, stop)
    state = first.get_state()
    wanted = take(first, 8)
    first.close()
    second = batches(1)
    second.set_state(state)
    assert all(_equal(a, b) for a, b in zip(wanted, take(second, 8), strict=True))
    second.close()


def test_targets_of_equal_sources_come_together():
    merged = by_source([Text("a", (Target("1"),)), Text("b", (Target("2"),)), Text("a", (Target("3"),))])
    assert merged == [Text("a", (Target("1"), Target("3"))), Text("b", (Target("2"),))]


def test_first_is_a_view_of_the_beginning():
    view = First("abc", 2)
    assert len(view) == 2 and view[1] == "b"
    with pytest.raises(IndexError):
        view[2]
