"""Which texts become S+ and S-, from pools made by hand."""

import json

import pytest

from quals_jax import conseq
from quals_jax.recipes.config import ConseqConfig, SelectionConfig
from quals_jax.recipes.selection import Contrast, contrasts, expected_share, triple

# Of five documents two have a reference among the best two fifths: the lowest of those, -0.2, is what is good.
REFERENCES = [-0.1, -2.0, -0.2, None, -1.0]
CANDIDATES = [
    [-0.15, -0.9, -0.12],  # 0: all may give S+, and the reference too
    [-1.5, -0.2, -0.19],  # 1: a bad reference; the first good candidate is the second
    [-0.3, -0.6, None],  # 2: a good reference; no candidate is as good
    [-0.05, None, -3.0],  # 3: a reference without a score
    [-0.8, -0.21, -0.7],  # 4: nothing is good
]


def chosen(positive, **others):
    settings = SelectionConfig(**{"candidate_ratio": 1.0, "reference_ratio": 0.4, "positive": positive} | others)
    found = contrasts(CANDIDATES, REFERENCES, settings)
    return [(contrast.document, contrast.positive, contrast.negative) for contrast in found]


def test_references_are_chosen_as_the_article_has_it():
    assert chosen("reference") == [(0, None, 1), (2, None, 1)]
    plain = conseq.select(CANDIDATES, REFERENCES, 1.0, 0.4)
    assert [(document, negative) for document, _, negative in chosen("reference")] == plain


def test_a_candidate_as_good_as_the_best_references_may_be_learnt():
    assert chosen("candidate") == [(3, 0, 2), (1, 1, 0), (0, 0, 1)]


def test_the_reference_goes_before_the_candidates_where_it_is_good():
    assert chosen("either") == [(3, 0, 2), (1, 1, 0), (0, None, 1), (2, None, 1)]


def test_documents_are_those_with_the_lowest_candidates():
    """Three fifths of the documents are the third, second and first."""
    assert chosen("candidate", candidate_ratio=0.6) == [(3, 0, 2), (1, 1, 0), (0, 0, 1)]
    assert chosen("candidate", candidate_ratio=0.4) == [(3, 0, 2), (1, 1, 0)]
    assert chosen("candidate", candidate_ratio=0.6, reference_ratio=0.2) == [(3, 0, 2)]  # now -0.1 is good


@pytest.mark.parametrize("positive", ["candidate", "either"])
def test_nothing_good_is_unlearnt_and_nothing_without_a_score(positive):
    settings = SelectionConfig(candidate_ratio=1.0, reference_ratio=1.0, positive=positive)
    assert contrasts([[-0.2, -0.1], [None, None]], [-0.3, -0.3], settings) == []
    assert contrasts([[-0.2, -0.4]], [-0.3], settings)[0].negative == 1
    assert contrasts([[-0.2, -0.4]], [None], settings) == []  # nothing says what is good


def test_a_margin_is_that_below_what_is_learnt():
    """S- is drawn from what lies 0.5 below S+, which is -0.1, not 0.5 below the bad reference."""
    settings = SelectionConfig(candidate_ratio=1.0, reference_ratio=0.5, positive="either", margin=0.5, seed=3)
    pools, references = [[-0.1, -2.0, -0.3, -1.0]] * 800, [-0.1, -1.8] * 400
    found = contrasts(pools, references, settings)
    negatives = [contrast.negative for contrast in found if contrast.positive == 0]
    assert len(negatives) == 400 and set(negatives) == {1, 3} and abs(negatives.count(1) - 200) < 4 * 10


def test_references_without_scores_cannot_say_what_is_good():
    with pytest.raises(ValueError, match="positive is 'either'; it needs reference scores"):
        contrasts(CANDIDATES, None, SelectionConfig(positive="either"))


def test_the_row_says_where_its_texts_are_from():
    row = {
        "id": "7", "document": "d", "reference": "r", "reference_score": -2.0,
        "candidates": ["a", "b"], "candidate_scores": [-0.1, -3.0],
    }  # fmt: skip
    own = triple(row, Contrast(0, 0, 1))
    assert own["summaries"] == ["a", "b"] and (own["positive_score"], own["negative_score"]) == (-0.1, -3.0)
    assert own["positive"] == 0 and own["candidate"] == 1
    paper = triple(row, Contrast(0, None, 1))
    assert paper["summaries"] == ["r", "b"] and paper["positive_score"] == -2.0 and "positive" not in paper
    assert json.loads(json.dumps(own)) == own


def test_a_plan_expects_as_many_contrasts_as_the_rankings_can_leave():
    half = {"candidate_ratio": 0.5, "reference_ratio": 0.4}
    assert expected_share(ConseqConfig(selection=SelectionConfig(**half))) == pytest.approx(0.2)
    for config in (
        ConseqConfig(selection=SelectionConfig(**half, positive="either")),
        ConseqConfig(kind="conseq_rouge", selection=SelectionConfig(**half)),
    ):
        assert expected_share(config) == 0.5


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        (SelectionConfig(positive="best"), "conseq", "selection.positive is 'best'; it must be one of reference, cand"),
        (SelectionConfig(positive="either"), "conseq_rouge", "selection.positive is 'either'; it must be 'reference'"),
        (SelectionConfig(positive="candidate", highest=True), "conseq", "selection.positive is 'candidate'; it must"),
        (SelectionConfig(margin=0.2, highest=True), "conseq", "selection.margin is 0.2; it must be 0"),
        (SelectionConfig(reference_ratio=0.0), "conseq", "selection.reference_ratio is 0.0; it must be more than 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, kind, message):
    with pytest.raises(ValueError, match=message):
        settings.check(kind)
    SelectionConfig().check(kind)
