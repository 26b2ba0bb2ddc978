"""How pairs are cut: against the rule written out one id at a time."""

from hypothesis import given
from hypothesis import strategies as st

from quals_jax.wordpiece import cut_longest


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 70))
def test_pairs_are_cut_as_one_id_at_a_time(first, second, room):
    first, second = list(range(first)), list(range(100, 100 + second))
    ours = cut_longest(first, second, room)
    cut = False
    while len(first) + len(second) > room:
        (first if len(first) > len(second) else second).pop()
        cut = True
    assert ours == (first, second, cut)
