"""A decoding loop whose cache grows: most sequences end early, and a cache is moved and read whole at every step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax

# Lengths of the cache before its last. Each is a loop of its own, and a program that much larger: few.
EARLY_STAGES = (16,)

Grow = Callable[[Any, int], Any]


def cache_stages(length: int) -> tuple[int, ...]:
    """How many tokens the cache holds, stage after stage, where sequences have at most `length`."""
    return (*(stage for stage in EARLY_STAGES if stage < length), length)


def in_stages(more: Callable, advance: Callable, state, length: int, grow: Grow | None):
    """`lax.while_loop(more, advance, state)` for a state with `step` and `cache`; with `grow` the cache begins with the first stage's
    length and gets the next one's when a stage's steps are done."""
    if grow is None:
        return jax.lax.while_loop(more, advance, state)
    for number, stage in enumerate(cache_stages(length)):
        if number:
            state = dataclasses.replace(state, cache=grow(state.cache, stage))
        state = jax.lax.while_loop(lambda state, stage=stage: more(state) & (state.step < stage), advance, state)
    return state
