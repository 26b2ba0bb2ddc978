"""Where answers can stand in a text, with single characters as tokens: every span of whole words, and nothing else."""

import re

import pytest

from quals_jax.places import LONGEST_ANSWER, answer_places, stacked_places, word_starts


def encode(texts):
    return [list(map(ord, text)) for text in texts]


def decode(ids):
    return "".join(map(chr, ids))


def spans(text, **settings):
    return {
        decode(ids[: length + 1])
        for ids, ends in answer_places(text, encode, decode, **settings)
        for length, end in enumerate(ends)
        if end
    }


@pytest.mark.parametrize("text", ["Deltadon Rail", "a b-c", "37 men, $5", "“Hey”, he", "O'Brien's", "", " a  b "])
def test_spans_are_those_between_any_two_boundaries_of_words(text):
    """By another way: every substring that begins where a word or a mark begins and ends where one ends."""
    edges = [match.span() for match in re.finditer(r"\w+|[^\w\s]+", text)]
    expected = {
        text[start:end] for start, _ in edges for _, end in edges if start < end and end - start <= LONGEST_ANSWER
    }
    assert spans(text) == expected


def test_words_begin_behind_spaces_and_where_letters_do():
    assert [text[0] for text in ("$5 a-b"[place:] for place in word_starts("$5 a-b"))] == ["$", "5", "a", "-", "b"]


def test_scripts_without_spaces_begin_and_end_words_at_pieces():
    """Here pieces are pairs of characters, but for the last of an odd number."""

    def in_pairs(texts):
        return [
            [ord(text[at]) * 2**21 + ord(text[at + 1 : at + 2] or "\0") for at in range(0, len(text), 2)]
            for text in texts
        ]

    def text_of(ids):
        return "".join(chr(id // 2**21) + (chr(id % 2**21) if id % 2**21 else "") for id in ids)

    found = {
        text_of(ids[: length + 1])
        for ids, ends in answer_places("東京都で2人", in_pairs, text_of)
        for length, end in enumerate(ends)
        if end
    }
    # From every second character; from the digit and the last character too, which begin words by themselves.
    assert found == {"東京", "東京都で", "東京都で2人", "都で", "都で2人", "2人", "人"}


def test_unknown_is_a_place_of_its_own():
    assert spans("a b", unknown="unknown") == {"a", "b", "a b", "unknown"}


def test_places_are_padded_and_cut():
    tokens, ends = stacked_places([answer_places("ab c", encode, decode), []], 3, 1)
    assert tokens.shape == ends.shape == (3, 1, LONGEST_ANSWER)
    assert tokens[0, 0, :5].tolist() == [*map(ord, "ab c"), -1] and (tokens[1:] == -1).all()
    assert ends[0, 0, :4].tolist() == [False, True, False, True]
