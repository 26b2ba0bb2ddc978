"""A blank document ends no recipe: it has no score."""

from types import SimpleNamespace

from quals_jax.recipes.candidates import quals_scores
from quals_jax.recipes.documents import scores_of


class Metric:
    """Scores a summary by its length, and lets no blank document pass."""

    def score(self, documents, summaries, references=None):
        assert all(document.strip() for document in documents)
        found = [float(len(summary)) for summary in summaries]
        return found if references is None else [score + len(own) for score, own in zip(found, references, strict=True)]


class Quals(Metric):
    def score(self, documents, summaries):
        return [SimpleNamespace(quals=score) for score in super().score(documents, summaries)]


def test_blank_documents_have_no_score():
    documents, summaries = ["d", " \n", "e", ""], ["a", "bb", "ccc", "d"]
    assert scores_of(Quals(), documents, summaries) == [1, None, 3, None]
    assert scores_of(Metric(), documents, summaries, ["r", "r", "rr", "r"]) == [2, None, 5, None]
    assert scores_of(Metric(), [" "], ["a"]) == [None] and scores_of(Metric(), [], []) == []


def test_candidates_of_a_blank_document_have_none():
    rows = [{"document": text, "candidates": ["a", "bb"], "reference": "ccc"} for text in ("d", "")]
    assert quals_scores(Quals(), rows) == [
        {"candidate_scores": [1, 2], "reference_score": 3},
        {"candidate_scores": [None, None], "reference_score": None},
    ]
