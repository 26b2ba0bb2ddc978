"""The oracle against texts whose truth is known: true ones, false ones, damaged ones, and sentences written by hand."""

import random

import numpy as np
import pytest

from quals_jax import gazette

COUNT = 1500


@pytest.fixture(scope="module")
def some_stories():
    return list(gazette.stories(seed=21, split="validation", count=COUNT))


def _auc(positive, negative):
    """Area under the ROC curve by counting pairs; ties count a half."""
    positive, negative = np.asarray(positive)[:, None], np.asarray(negative)[None]
    return float(np.mean((positive > negative) + 0.5 * (positive == negative)))


def test_every_reference_is_judged_true_and_all_its_facts_are_found(some_stories):
    for story in some_stories:
        verdict = gazette.check(story, story.summary)
        assert verdict.judged and verdict.well_formed and not verdict.unsupported, story.summary
        assert {claim.slot for claim in verdict.supported} == story.told


def test_every_corruption_is_judged_false_in_just_what_it_changed(some_stories):
    for story in some_stories:
        for corruption in story.corruptions:
            verdict = gazette.check(story, corruption.text)
            assert verdict.judged and verdict.well_formed, corruption.text
            assert {claim.slot for claim in verdict.unsupported} == set(corruption.changed)


def test_documents_support_themselves(some_stories):
    for story in some_stories[:300]:
        verdict = gazette.check(story, story.document)
        assert verdict.judged and not verdict.unsupported, story.document


def test_all_kinds_of_corruption_occur(some_stories):
    found = {corruption.kind for story in some_stories for corruption in story.corruptions}
    assert found == set(gazette.CORRUPTION_KINDS)


def test_swaps_within_use_only_what_the_document_holds(some_stories):
    for story in some_stories:
        for corruption in story.corruptions:
            if corruption.kind in ("swap_within", "role_exchange", "speaker"):
                assert all(value in story.document for value in corruption.changed.values())


def test_no_kind_of_corruption_shows_in_the_length_or_in_the_words_shared_with_the_document(some_stories):
    for kind in gazette.CORRUPTION_KINDS:
        pairs = [(s, s.summary, c.text) for s in some_stories for c in s.corruptions if c.kind == kind]
        assert 0.35 <= _auc([len(t) for _, t, _ in pairs], [len(f) for _, _, f in pairs]) <= 0.65
        if kind in ("swap_within", "role_exchange", "speaker"):

            def shared(story, text):
                words = text.lower().replace(".", "").replace(",", "").split()
                held = set(story.document.lower().replace(".", "").replace(",", "").split())
                return np.mean([word in held for word in words])

            assert _auc([shared(s, t) for s, t, _ in pairs], [shared(s, f) for s, _, f in pairs]) < 0.6


def test_damaged_texts_are_mostly_refused_and_never_called_false_where_they_stay_true(some_stories):
    """A true summary that loses a word or has two exchanged: judged false only where the damage made it say so."""
    generator = random.Random(0)
    judged = wrong = 0
    for story in some_stories:
        words = story.summary.split()
        del words[generator.randrange(len(words))]
        verdict = gazette.check(story, " ".join(words))
        judged += verdict.judged
        wrong += verdict.judged and bool(verdict.unsupported)
    assert judged / COUNT < 0.4  # most words matter
    assert wrong / COUNT < 0.03  # a lost name or digit can leave another claim standing


@pytest.fixture(scope="module")
def fight():
    return next(gazette.stories(7, "test", 1, kinds=["boxing"]))


def test_small_departures_are_tolerated(fight):
    values = fight.values
    for text in (
        f"Boxing has new champion after {values['winner']} overcomes {values['loser']}.",
        f"On {values['date']}, {values['winner']} defeated {values['loser']} to become new boxing champion in {values['city']}.",
        f"{values['winner']} has defeated {values['loser'].split()[-1]} to become the new boxing champion on {values['date']}",
        f"Ticket sales reach {values['gate']}. {values['rival']} hoped to be the next opponent.",
    ):
        verdict = gazette.check(fight, text)
        assert verdict.judged and not verdict.unsupported and verdict.supported, text


def test_a_wrong_name_is_unsupported_in_a_handwritten_sentence(fight):
    text = f"Boxing has a new champion after {fight.values['referee']} overcame {fight.values['loser']}."
    verdict = gazette.check(fight, text)
    assert [claim.slot for claim in verdict.unsupported] == ["winner"]
    assert [claim.slot for claim in verdict.supported] == ["loser"]


def test_what_cannot_be_read_is_not_judged(fight):
    for text in (
        "",
        ".",
        "Nothing of the kind was ever printed.",
        "boxing boxing boxing",
        f"{fight.values['winner']} won won won.",
    ):
        verdict = gazette.check(fight, text)
        assert not verdict.judged and not verdict.well_formed


def test_a_fact_told_twice_or_of_one_person_alone_is_not_well_formed(fight):
    winner = fight.values["winner"]
    text = f"Boxing has a new champion after {winner} overcame {winner}."
    assert not gazette.check(fight, text).well_formed


def test_claims_say_where_they_stand(some_stories):
    """In references every fact stands as the story has it, but for choices, which have wordings of their own."""
    for story in some_stories[:400]:
        for claim in gazette.check(story, story.summary).supported:
            start, end = claim.place
            words, slot = story.summary[start:end], story.kind.slots[claim.slot]
            if slot.type == "choice":
                assert words and words == words.strip() and claim.slot in story.told
            elif slot.type == "person":
                assert words and set(words.split()) <= set(story.values[claim.slot].split())
            else:
                assert words == story.values[claim.slot]


def test_places_count_the_characters_of_the_whole_text(fight):
    values = fight.values
    text = f"Ticket sales reach {values['gate']}.  {values['rival']} hoped to be the next opponent."
    verdict = gazette.check(fight, text)
    assert {c.slot: text[slice(*c.place)] for c in verdict.supported} == {
        "gate": values["gate"], "rival": values["rival"]
    }  # fmt: skip
