import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quals_jax.data.batching import Example, bucket, pad, split_targets, stack

SOURCE_BUCKETS = (64, 128, 512, 1024)


@given(st.integers(0, 1024))
def test_the_bucket_is_the_smallest_that_holds(length):
    found = bucket(length, SOURCE_BUCKETS)
    assert found == min(size for size in SOURCE_BUCKETS if size >= length)


def test_a_length_beyond_all_buckets_is_refused():
    with pytest.raises(ValueError, match="1025 is beyond the largest bucket, 1024"):
        bucket(1025, SOURCE_BUCKETS)


def test_rows_are_padded_on_the_right():
    ids, lengths = pad([[5, 6], [], [7]], 3, 1)
    assert ids.tolist() == [[5, 6, 1], [1, 1, 1], [7, 1, 1]]
    assert lengths.tolist() == [2, 0, 1]
    assert ids.dtype == np.int32


def test_a_row_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="row 1 has 2 ids; there is room for 1"):
        pad([[5], [5, 6]], 1, 1)


@given(st.integers(1, 40), st.integers(1, 9))
def test_targets_are_shared_out_evenly_and_none_is_lost(total, most):
    example = Example([5, 2], tuple([number, 2] for number in range(total)), tuple(range(total)))
    parts = split_targets(example, most)
    sizes = [len(part.targets) for part in parts]
    assert [ids for part in parts for ids in part.targets] == list(example.targets)
    assert [number for part in parts for number in part.types] == list(example.types)
    assert max(sizes) <= most and max(sizes) - min(sizes) <= 1
    assert len(parts) == -(-total // most)


def test_stack_fills_up_with_padding():
    part = stack([Example([5, 2], ([7, 2], [8, 9, 2]))], rows=2, source=3, pair=3, target=3, pad_id=1)
    assert part["source_ids"].tolist() == [[5, 2, 1], [1, 1, 1]]
    assert part["target_ids"].tolist() == [[[7, 2, 1], [8, 9, 2], [1, 1, 1]], [[1, 1, 1]] * 3]
    with pytest.raises(ValueError, match="example 0 has 2 targets; there is room for 1"):
        stack([Example([5, 2], ([7, 2], [8, 9, 2]))], rows=2, source=3, pair=1, target=3, pad_id=1)
    with pytest.raises(ValueError, match="there are 2 examples for 1 rows"):
        stack([Example([5], ())] * 2, rows=1, source=3, pair=1, target=3, pad_id=1)
