"""Stories: what the issue promises of every document, summary and question, over many seeds."""

import itertools
import re

import pytest

from quals_jax import gazette
from quals_jax.gazette import names

COUNT = 1500


@pytest.fixture(scope="module")
def test_stories():
    return list(gazette.stories(seed=11, split="test", count=COUNT))


def _words(text):
    return set(re.findall(r"[A-Za-z]+|\d+", text))


def test_at_least_eight_kinds_of_at_least_eight_facts():
    kinds = gazette.all_kinds()
    assert len(kinds) >= 8
    assert all(len(kind.slots) >= 8 for kind in kinds.values())


def test_lengths(test_stories):
    for story in test_stories:
        assert 80 <= len(story.document.split()) <= 160
        assert 12 <= len(story.summary.split()) <= 35
        assert 2 <= sum(fact.in_summary for fact in story.facts) <= 4


def test_every_fact_stands_in_the_document_and_the_told_ones_in_the_summary(test_stories):
    for story in test_stories:
        for fact in story.facts:
            assert fact.value.lower() in story.document.lower()
            if fact.in_summary:
                assert fact.value.lower() in story.summary.lower()


def test_answers_are_literal_in_both_texts(test_stories):
    for story in test_stories:
        assert {question.slot for question in story.questions} == set(story.values)
        for question in story.questions:
            assert question.question.endswith("?")
            assert question.answer.lower() in story.document.lower()
            if question.in_summary:
                assert question.answer.lower() in story.summary.lower()


def test_every_told_fact_has_a_question_that_the_summary_answers(test_stories):
    for story in test_stories:
        assert {q.slot for q in story.questions if q.in_summary} == set(story.told)


def test_the_same_seed_gives_the_same_stories_and_another_gives_others():
    first = [(story.document, story.summary) for story in gazette.stories(3, "train", 50)]
    assert first == [(story.document, story.summary) for story in gazette.stories(3, "train", 50)]
    assert not set(first) & {(story.document, story.summary) for story in gazette.stories(4, "train", 50)}
    assert gazette.story(3, "train", 17).document == first[17][0]


def test_names_and_numbers_of_a_split_occur_in_no_other(test_stories):
    """Whole names, each part of a name, and each number written in digits."""

    def named(stories):
        found = set()
        for story in stories:
            for fact in story.facts:
                found |= {word for word in fact.value.split() if fact.type in ("person", "place")}
                found |= {fact.value.split()[0]} if fact.type == "organisation" else set()
                found |= set(re.findall(r"\d+", fact.value))
        return found

    held_out = named(test_stories)
    validation = named(gazette.stories(11, "validation", COUNT))
    train_words = set().union(
        *(_words(story.document + story.summary) for story in gazette.stories(12, "train", 4 * COUNT))
    )
    assert not held_out & train_words
    assert not validation & train_words
    assert not validation & held_out


def test_every_syllable_and_digit_of_a_test_name_occurs_in_training():
    """New, but not strange: heads and tails of the names are shared by all splits."""

    def syllables(split):
        found = set()
        for story in gazette.stories(5, split, 3000):
            for fact in story.facts:
                for word in fact.value.split() if fact.type in ("person", "place", "organisation") else ():
                    found.add(word[:2])
                    found.add(word[-2:])
        return found

    train = syllables("train")
    strange = syllables("test") - train
    assert len(strange) <= 0.01 * len(train)


def test_no_two_names_of_a_story_share_a_syllable_in_the_same_place(test_stories):
    for story in test_stories[:300]:
        people = [fact.value.split() for fact in story.facts if fact.type == "person"]
        for first, second in itertools.combinations(people, 2):
            assert first[0] != second[0] and first[1] != second[1]


def test_six_tenths_of_the_numbers_belong_to_training():
    shares = [sum(names.split_of_index(i) == split for i in range(1000)) / 1000 for split in names.SPLITS]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.02)


def test_documents_do_not_repeat_a_wording():
    """No template shows its seams twice in a page: within a document no two sentences begin with the same three words."""
    for story in gazette.stories(8, "test", 300):
        starts = [" ".join(sentence.split()[:3]) for sentence in re.split(r"(?<=\.) ", story.document)]
        assert len(set(starts)) == len(starts)


def test_summaries_are_reworded():
    """Fewer than a third of the word triples of summaries stand in the document (values among them)."""
    shared = total = 0
    for story in gazette.stories(9, "test", 500):
        document, summary = (re.findall(r"\w+", text.lower()) for text in (story.document, story.summary))
        triples = set(zip(document, document[1:], document[2:], strict=False))
        mine = list(zip(summary, summary[1:], summary[2:], strict=False))
        shared, total = shared + sum(triple in triples for triple in mine), total + len(mine)
    assert shared / total < 1 / 3


def test_unknown_names_are_refused_in_one_line():
    with pytest.raises(ValueError, match="split is 'dev'"):
        next(gazette.stories(1, "dev", 1))
    with pytest.raises(ValueError, match="kind is 'weddings'"):
        next(gazette.stories(1, "test", 1, kinds=["weddings"]))


def test_noisy_references_have_the_stated_share_and_keep_the_label():
    references = [(story, gazette.noisy_reference(story, 0.4)) for story in gazette.stories(2, "train", 1000)]
    false = [(story, reference) for story, reference in references if reference.corruption]
    assert len(false) / 1000 == pytest.approx(0.4, abs=0.05)
    assert all(reference.text != story.summary for story, reference in false)
    assert all(reference.text == story.summary for story, reference in references if not reference.corruption)
    with pytest.raises(ValueError, match="between 0 and 1"):
        gazette.noisy_reference(references[0][0], 1.5)
    with pytest.raises(ValueError, match="kinds has fog"):
        gazette.noisy_reference(references[0][0], 0.5, ("date", "fog"))


def test_noisy_references_may_be_false_always_in_the_same_way():
    for story in gazette.stories(2, "train", 100):
        found = gazette.noisy_reference(story, 1.0, ("role_exchange", "outcome")).corruption.kind
        kinds = [corruption.kind for corruption in story.corruptions]
        preferred = [kind for kind in ("role_exchange", "outcome") if kind in kinds]
        assert found in (preferred[:1] or kinds)


def test_a_new_kind_leaves_the_stories_of_old_seeds_as_they_are(monkeypatch):
    import dataclasses
    import sys

    kinds = gazette.all_kinds()
    before = [(story.document, story.summary) for story in gazette.stories(seed=7, split="test", count=20)]
    more = {"accident": dataclasses.replace(kinds["storm"], name="accident"), **kinds}
    monkeypatch.setattr(sys.modules["quals_jax.gazette.story"], "all_kinds", lambda: more)  # a function has its name
    assert [(story.document, story.summary) for story in gazette.stories(seed=7, split="test", count=20)] == before
    (new,) = gazette.stories(seed=7, split="test", count=1, kinds=["accident"])
    assert new.kind.name == "accident"
