"""Gazette's claims: half of them false, every change marked where it stands, and nothing but a function of the batch's number."""

import itertools
import random

import numpy as np
import pytest

from quals_jax import gazette
from quals_jax.data.claims import CONSISTENT, INCONSISTENT
from quals_jax.data.gazette_claims import ClaimBatches, CopyBatches, copied, true_and_false
from quals_jax.sentences import sentences
from quals_jax.wordpiece import PairTokenizer

STORIES = list(gazette.stories(3, "train", 60))


@pytest.fixture(scope="module")
def tokenizer():
    return PairTokenizer.from_pretrained("quals_jax/assets/gazette_reader")


def pairs():
    return itertools.pairwise(STORIES)


@pytest.mark.parametrize("whole", [False, True])
def test_a_copy_differs_from_its_sentence_exactly_where_it_says(whole):
    false = 0
    for number, (story, other) in enumerate(pairs()):
        claim = copied(random.Random(number), story, other, whole=whole)
        inside = sentences(story.document)
        assert claim.document == story.document if whole else claim.document in inside
        kept, last = [], 0
        for start, end in claim.changed:
            assert claim.claim[start:end] in other.document and claim.claim[start:end] not in claim.document
            kept.append(claim.claim[last:start])
            last = end
        kept.append(claim.claim[last:])
        assert any(in_order(kept, sentence) for sentence in inside)
        assert claim.label == (INCONSISTENT if claim.changed else CONSISTENT)
        if claim.label == CONSISTENT:
            assert claim.claim in inside
        false += claim.label
    assert 20 < false < 55


def in_order(parts, sentence):
    place = 0
    for part in parts:
        place = sentence.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return True


def test_a_sentence_is_told_as_it_is_and_made_false():
    kinds = set()
    for number, (story, other) in enumerate(pairs()):
        true, false = true_and_false(random.Random(number), story, other)
        assert true.claim in sentences(story.document) + sentences(story.summary) and true.label == CONSISTENT
        assert false.label == INCONSISTENT and true.document == false.document == story.document
        ((start, end),) = false.changed
        left, right = false.claim[:start], false.claim[end:]
        assert true.claim.startswith(left) and true.claim.endswith(right) and true.claim != false.claim
        if false.kind == "stranger":
            assert false.claim[start:end] in other.document
        kinds.add(false.kind)
    assert kinds >= {"stranger", "entity", "number"}  # a document has seldom two dates


def test_none_of_gazettes_own_false_summaries_is_copied_from():
    """The oracle's corruptions are for evaluation: the words of a claim come from the two stories' documents and the summary alone, or from
    the lists of pronouns and auxiliaries."""
    for number, (story, other) in enumerate(pairs()):
        _, false = true_and_false(random.Random(number), story, other)
        ((start, end),) = false.changed
        new = false.claim[start:end]
        if false.kind in ("stranger", "entity", "number", "date"):
            assert new in (other if false.kind == "stranger" else story).document


@pytest.mark.parametrize("kind", [ClaimBatches, CopyBatches])
def test_batches_are_functions_of_their_number(tokenizer, kind):
    batches = kind(tokenizer, seed=1, split="train", count=12, rows=6)
    first, again = (kind(tokenizer, seed=1, split="train", count=12, rows=6)[3]["rows"] for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["source_ids"], batches[4]["rows"]["source_ids"])
    labels = np.concatenate([own["rows"]["target_ids"][:, 0] for own in batches])
    assert 0.3 < labels.mean() < 0.8 and len(labels) == 72
    for own in batches:
        rows = own["rows"]
        marks = rows["piece_ids"]
        marked = (marks == INCONSISTENT).any(axis=1)
        assert np.array_equal(marked, rows["target_ids"][:, 0] == INCONSISTENT)
        assert ((marks >= 0) <= (rows["segment_ids"] == 1)).all()
    with pytest.raises(IndexError):
        batches[12]


def test_both_claims_of_a_sentence_differ_where_the_marks_are(tokenizer):
    batches = ClaimBatches(tokenizer, seed=1, split="train", count=8, rows=4)
    seen = 0
    for batch in batches:
        rows = batch["rows"]
        for true, false in ((0, 1), (2, 3)):
            ids, segments = (rows[name][[true, false]] for name in ("source_ids", "segment_ids"))
            documents = [own[segment == 0][:100].tolist() for own, segment in zip(ids, segments, strict=True)]
            if documents[0] != documents[1]:
                continue  # a batch of copies
            assert list(rows["target_ids"][[true, false], 0]) == [CONSISTENT, INCONSISTENT]
            was, now = (rows["source_ids"][row][rows["segment_ids"][row] == 1].tolist() for row in (true, false))
            marked = np.flatnonzero(rows["piece_ids"][false][rows["segment_ids"][false] == 1] == INCONSISTENT)
            first, behind = marked[0], len(now) - marked[-1] - 1
            assert now[:first] == was[:first] and now[-behind:] == was[-behind:]
            assert now != was and len(marked) == marked[-1] - first + 1
            seen += 1
    assert seen >= 8
