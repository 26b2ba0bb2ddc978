"""The embedded models of QAGS and FactCC: they work without a network, and know true summaries of Gazette from false ones."""

import numpy as np
import pytest

from quals_jax import gazette
from quals_jax.metrics import load, note_of

STORIES = 6


@pytest.fixture(scope="module")
def answered():
    """Of every held-out story the true summary and up to two false ones: their kinds, and what QAGS asked."""
    rows = []
    for story in gazette.stories(5, "test", STORIES):
        rows.append((story.document, story.summary, "true"))
        rows += [(story.document, own.text, own.kind) for own in story.corruptions[1:3]]
    metric = load("qags")
    documents, summaries, kinds = zip(*rows, strict=True)
    return kinds, summaries, metric.answered(documents, summaries), metric


def test_true_summaries_get_the_same_answers_more_often(answered):
    kinds, _, found, _ = answered
    scores = np.array([np.mean([one.f1 for one in own]) if own else np.nan for own in found])
    true = np.array([kind == "true" for kind in kinds])
    assert np.isfinite(scores).mean() > 0.9
    assert np.nanmean(scores[true]) > np.nanmean(scores[~true]) + 0.15


def test_every_question_is_one_that_the_summary_answers_in_its_own_words(answered):
    _, summaries, found, _ = answered
    for summary, own in zip(summaries, found, strict=True):
        assert len({one.question for one in own}) == len(own) <= 20
        for one in own:
            assert one.summary_answer in summary and one.question.endswith("?")


def test_it_says_that_it_knows_gazette_alone(answered):
    metric = answered[3]
    assert "gazette_questions@" in metric.signature and "gazette_reader@" in metric.signature
    assert "knows only Gazette" in note_of(metric) and "qags=GENERATOR,READER" in note_of(metric)


def test_factcc_sees_what_the_document_does_not_have():
    """Names, numbers, dates and places of no part of the document lower the probability, in nearly every pair of a true and a false summary."""
    rows = []
    for story in gazette.stories(5, "test", STORIES):
        rows.append((story.document, story.summary, "true"))
        rows += [
            (story.document, own.text, own.kind)
            for own in story.corruptions
            if own.kind in ("swap_outsider", "organisation", "place", "number", "date")
        ]
    metric = load("factcc")
    documents, summaries, kinds = zip(*rows, strict=True)
    scores, true = np.array(metric.score(documents, summaries)), np.array([kind == "true" for kind in kinds])
    assert (scores[true][:, None] > scores[~true]).mean() > 0.9
    assert "gazette_factcc@" in metric.signature and "knows only Gazette" in note_of(metric)
