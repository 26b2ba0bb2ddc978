"""Best of n."""

from types import SimpleNamespace

import pytest

from quals_jax.rerank import highest, rerank


class FakeQuals:
    """Scores a summary by the number written in it."""

    def __init__(self):
        self.asked = []

    def score(self, documents, summaries):
        self.asked.append((list(documents), list(summaries)))
        return [SimpleNamespace(quals=float(text) if text else None) for text in summaries]


def test_the_highest_of_every_document_in_one_call():
    quals = FakeQuals()
    found = rerank(quals, ["a", "b"], [["-2", "-1", ""], ["", "-3"]])
    assert [(choice.index, choice.summary, choice.quals) for choice in found] == [(1, "-1", -1.0), (1, "-3", -3.0)]
    assert found[0].scores == (-2.0, -1.0, None)
    assert quals.asked == [(["a", "a", "a", "b", "b"], ["-2", "-1", "", "", "-3"])]


def test_ties_and_missing_scores():
    assert highest([-1.0, -1.0]) == 0
    assert highest([None, None]) == 0
    assert highest([None, -9.0]) == 1
    with pytest.raises(ValueError, match="no candidates"):
        highest([])


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="1 documents, and candidates of 2"):
        rerank(FakeQuals(), ["a"], [["-1"], ["-2"]])
