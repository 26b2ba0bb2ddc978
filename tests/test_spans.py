"""Where in a summary an answer stands."""

import pytest

from quals_jax.spans import locate


@pytest.mark.parametrize(
    ("answer", "summary", "words"),
    [
        (" man", "Germany saw a man", (14, 17)),
        ("4", "On 14 March 4 men", (12, 13)),
        ("4", "It cost 4.5 million for 4 men", (24, 25)),
        ("4", "It has 1,4 or 4,000 or 4, then", (23, 24)),
        ("$4", "At $40 or $4.", (10, 12)),
        ("Rovers", "the rovers won", (4, 10)),
        ("erman", "Germany saw", (1, 6)),  # no whole word: any occurrence
        ("東京", "彼は東京に", (2, 4)),
        ("a(b", "see a(b now", (4, 7)),
        ("", "x", None),
        (" ", "x", None),
        ("dog", "cats", None),
    ],
)
def test_whole_words_go_first(answer, summary, words):
    assert locate(answer, summary) == words
