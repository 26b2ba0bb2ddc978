"""The filter, against everything the released one kept."""

import json

import pytest

from quals_jax.pairs import QAPair, keep_pairs, split_pair


@pytest.mark.golden
@pytest.mark.parametrize(
    "name",
    [
        "main/test.target.hypo.beam60.qas",
        "multi/test.source.sampling3.hypo.beam12.qas",
        "handmade/test.target.hypo.handmade.qas",
    ],
)
def test_keeps_what_the_reference_keeps(golden, name):
    path = golden / "pipeline" / name
    kept_anywhere = 0
    for line, kept_line in zip(
        path.read_text().splitlines(), path.with_name(path.name + "_filtered").read_text().splitlines(), strict=True
    ):
        for record, expected in zip(json.loads(line), json.loads(kept_line), strict=True):
            pairs = [
                QAPair(*split_pair(text, " strutConnector"), tokens=[], beam_total=total)
                for text, total in zip(record["qa"], record["unnorm_scores"], strict=True)
            ]
            kept = keep_pairs(pairs, record["context"])
            assert [(p.question, p.answer, p.beam_total) for p in kept] == [
                (q["q"], q["a"], q["uns"]) for q in expected["qas"]
            ]
            kept_anywhere += len(kept)
    assert kept_anywhere > 0


def _pair(question, answer, total):
    return QAPair(question, answer, tokens=[], beam_total=total)


def test_rounds_are_never_cut_short():
    pairs = [_pair(f"q{answer}", answer, -float(place)) for place, answer in enumerate("abcde")]
    assert len(keep_pairs(pairs, "abcde", max_pairs=3)) == 5


def test_without_a_limit_all_distinct_ones_best_first():
    pairs = [
        _pair("q", "a", -3.0),
        _pair("Q", "A", -1.0),
        _pair("r", "b", -2.0),
        _pair("s", None, 0.0),
        _pair("t", "z", 0.0),
    ]
    assert [(p.question, p.answer) for p in keep_pairs(pairs, "ab", max_pairs=None)] == [("Q", "A"), ("r", "b")]


def test_an_empty_answer_is_an_answer_and_spaces_count():
    pairs = [_pair("q", "", -1.0), _pair("r", " the", -2.0)]
    assert [p.answer for p in keep_pairs(pairs, "the end")] == [""]
    assert split_pair("q strutConnectora strutConnectorb", " strutConnector") == (
        "q strutConnectora strutConnectorb",
        None,
    )


def test_limits_below_one_are_refused():
    with pytest.raises(ValueError, match="max_pairs is 0"):
        keep_pairs([], "", max_pairs=0)
