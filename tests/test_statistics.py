"""Intervals and significance: their numbers, and their memory."""

import tracemalloc

import numpy as np

from quals_jax.statistics import paired_significance


def test_significance_of_few_and_of_clear_differences():
    assert paired_significance([1.0, -1.0]) == 1.0
    assert abs(paired_significance([1.0] * 8) - 2 / 2**8) < 0.003
    normal = np.random.default_rng(5).normal(0.1, 1, 300)
    assert paired_significance(normal) == paired_significance_at_once(normal)


def paired_significance_at_once(differences, permutations=10_000, together=500):
    generator = np.random.default_rng(0)
    observed, as_far = abs(differences.sum()), 0
    for _ in range(0, permutations, together):
        signs = generator.choice((-1.0, 1.0), size=(together, differences.size))
        as_far += int(np.sum(np.abs(signs @ differences) >= observed - 1e-12))
    return (as_far + 1) / (permutations + 1)


def test_many_differences_need_little_memory():
    tracemalloc.start()
    paired_significance(np.ones(300_000), permutations=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # twenty draws at once would be 48 MB of signs, and as much again of choices
