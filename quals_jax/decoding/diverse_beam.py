"""Diverse beam search (Vijayakumar et al., 2018) as fairseq runs it, with static shapes in one `lax.while_loop`.

The search knows no model, only a step function from tokens and a cache to logits. `num_beams` beams live in slots; the group of a slot is
`slot % num_groups`. One group is ordinary beam search. Marked `fairseq:` is what the reference does and one might not expect.

Axes: batch, beam (slots), group, rank (candidates of one group, best first), time (decoded positions), vocab.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quals_jax.decoding.candidates import Candidates, Choose, best_continuations
from quals_jax.decoding.covering import Answers, Places, follow, no_answers
from quals_jax.decoding.rules import NO_RULES, Rules, as_one_event
from quals_jax.decoding.search_config import SearchConfig
from quals_jax.decoding.stages import Grow, in_stages
from quals_jax.kernels.group_choice import choose_by_scan

__all__ = ["Hypotheses", "SearchConfig", "StepFunction", "diverse_beam_search"]

StepFunction = Callable[[Array, Any], tuple[Array, Any]]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hypotheses:
    """Finished hypotheses, best first. After its end a hypothesis holds padding and zeros.

    beam_logprobs: what the search accumulated per token, diversity penalties included; they sum to `totals`.
    model_logprobs: the model's own log-probability of each token, over the whole vocabulary, whatever was forced or forbidden.
    scores: `totals` divided by length ** length_penalty. A row that was not active has length 0 and scores of -inf.
    """

    tokens: Int[Array, "batch beam time"]
    lengths: Int[Array, "batch beam"]
    beam_logprobs: Float[Array, "batch beam time"]
    model_logprobs: Float[Array, "batch beam time"]
    scores: Float[Array, "batch beam"]
    totals: Float[Array, "batch beam"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _Beams:
    """Sequences side by side, live or finished: their tokens, and per token both log-probabilities."""

    tokens: Int[Array, "batch beam time"]
    beam_logprobs: Float[Array, "batch beam time"]
    model_logprobs: Float[Array, "batch beam time"]
    totals: Float[Array, "batch beam"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _State:
    step: Int[Array, ""]
    live: _Beams
    finished: _Beams
    lengths: Int[Array, "batch beam"]  # of finished hypotheses
    num_finished: Int[Array, "batch"]
    active: Bool[Array, "batch"]
    cache: Any
    answers: Answers | None  # of live beams, in a search that covers its text


def diverse_beam_search(
    step_function: StepFunction,
    cache: Any,
    *,
    batch: int,
    config: SearchConfig,
    active: Bool[Array, "batch"] | None = None,
    start_id: int = 2,
    eos_id: int = 2,
    pad_id: int = 1,
    rules: Rules = NO_RULES,
    grow: Grow | None = None,
    places: Places | None = None,
    choose: Choose = choose_by_scan,
) -> Hypotheses:
    """All `num_beams` finished hypotheses of every row, best first; ties in order of finishing.

    Args:
        step_function: from the last tokens [batch, beam] and the cache to logits [batch, beam, vocab] (float32 at least) and the new
            cache.
        cache: a pytree; every leaf with two or more axes begins [batch, beam] and moves with the beams, unless the cache has a
            table `ancestors`, which then moves alone. It holds `max_length` + 1
            tokens, or with `grow` those of the first of `cache_stages`.
        active: rows to search; others (padding of the batch) are done from the start.
        rules: what hypotheses begin with (hub summarizers force `<s>`), what else ends them, what may repeat freely, and what answers
            begin behind.
        grow: from a cache and a number of tokens to the same cache with room for so many.
        places: where answers may stand, which begin behind the first separator; a row then has fewer hypotheses where no more can be (of
            length 0, with scores of -inf).
        choose: how the groups choose (`kernels/group_choice.py`): the same to the last bit.
    """
    time = config.max_length + 1
    active = jnp.ones(batch, bool) if active is None else active

    def more(state: _State) -> Bool[Array, ""]:
        return jnp.any(state.active)

    def advance(state: _State) -> _State:
        last = jax.lax.dynamic_index_in_dim(state.live.tokens, jnp.maximum(state.step - 1, 0), axis=2, keepdims=False)
        logits, cache = step_function(jnp.where(state.step == 0, start_id, last), state.cache)
        candidates = best_continuations(
            as_one_event(logits, rules.ends, eos_id), state.live.tokens, state.live.totals, state.step, config,
            start_id=start_id, eos_id=eos_id, pad_id=pad_id, rules=rules, answers=state.answers, places=places, choose=choose,
        )  # fmt: skip
        return _proceed(state, candidates, cache, config, eos_id, places, rules.separator)

    # Everything starts from `active`, so that under shard_map all of the state varies over devices as it does.
    zeros = jnp.zeros((batch, config.num_beams), jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)
    zeros = zeros + jnp.where(active, 0, 0)[:, None].astype(zeros.dtype)
    slots = zeros.astype(jnp.int32)
    empty = _Beams(
        tokens=jnp.broadcast_to(slots[..., None] + pad_id, (*slots.shape, time)),
        beam_logprobs=jnp.broadcast_to(zeros[..., None], (*zeros.shape, time)),
        model_logprobs=jnp.broadcast_to(zeros[..., None], (*zeros.shape, time)),
        totals=zeros,
    )
    state = _State(
        step=jnp.zeros((), jnp.int32),
        live=empty,
        finished=_replace(empty, totals=zeros - jnp.inf),
        lengths=slots,
        num_finished=slots[:, 0],
        active=active,
        cache=cache,
        answers=None if places is None else no_answers(places, config.num_beams, rules.separator),
    )
    state = in_stages(more, advance, state, time, grow)
    return _best_first(state, config)


def _proceed(
    state: _State, candidates: Candidates, cache, config: SearchConfig, eos_id: int, places: Places | None, separator: tuple
) -> _State:  # fmt: skip
    """Finishes what ends among the first `num_beams` candidates, and moves the beams to the first that do not end."""
    beams = config.num_beams
    is_eos = candidates.tokens == eos_id
    rank = jnp.arange(is_eos.shape[1])
    ends = is_eos & (rank < beams) & (candidates.totals > -jnp.inf) & state.active[:, None]
    extended = _extend(state.live, candidates, state.step)

    place = state.num_finished[:, None] + jnp.cumsum(ends, axis=1) - 1
    place = jnp.where(ends & (place < beams), place, beams)  # the surplus goes nowhere
    rows = jnp.arange(place.shape[0])[:, None]

    def finish(old, new):
        return old.at[rows, place].set(new, mode="drop")

    finished = jax.tree.map(finish, state.finished, extended)
    lengths = finish(state.lengths, jnp.broadcast_to(state.step + 1, place.shape))
    num_finished = jnp.minimum(state.num_finished + jnp.sum(ends, axis=1, dtype=jnp.int32), beams)

    # fairseq: all slots behind one that ended move up, so beams change their group.
    gone = is_eos if places is None else is_eos | (candidates.totals == -jnp.inf)
    kept = jnp.argsort(gone, axis=1, stable=True)[:, :beams]
    live = jax.tree.map(lambda array: _gather(array, kept), extended)
    parents = jnp.take_along_axis(candidates.slots, kept, axis=1)
    active = state.active & (num_finished < beams) & (state.step < config.max_length)
    answers = None
    if places is not None:
        answers = follow(
            state.answers, places, parents, jnp.take_along_axis(candidates.tokens, kept, axis=1), separator
        )
        active &= jnp.any(live.totals > -jnp.inf, axis=1)
    return _State(
        step=state.step + 1,
        live=live,
        finished=finished,
        lengths=lengths,
        num_finished=num_finished,
        active=active,
        cache=_moved(cache, parents),
        answers=answers,
    )


def _extend(live: _Beams, candidates: Candidates, step) -> _Beams:
    """The sequences of all candidates: their beam's, and one token more."""
    parents = jax.tree.map(lambda array: _gather(array, candidates.slots), live)
    here = jnp.arange(live.tokens.shape[-1]) == step
    # fairseq: a token's score is the difference of cumulative scores, penalties and rounding included.
    gained = candidates.totals - parents.totals
    return _Beams(
        tokens=jnp.where(here, candidates.tokens[..., None], parents.tokens),
        beam_logprobs=jnp.where(here, gained[..., None], parents.beam_logprobs),
        model_logprobs=jnp.where(here, candidates.model_logprobs[..., None], parents.model_logprobs),
        totals=candidates.totals,
    )


def _best_first(state: _State, config: SearchConfig) -> Hypotheses:
    lengths = jnp.maximum(state.lengths, 1).astype(state.finished.totals.dtype)
    scores = state.finished.totals / lengths**config.length_penalty
    order = jnp.argsort(-scores, axis=1, stable=True)
    finished = jax.tree.map(lambda array: _gather(array, order), state.finished)
    return Hypotheses(
        tokens=finished.tokens,
        lengths=_gather(state.lengths, order),
        beam_logprobs=finished.beam_logprobs,
        model_logprobs=finished.model_logprobs,
        scores=_gather(scores, order),
        totals=finished.totals,
    )


def _moved(cache, parents: Int[Array, "batch beam"]):
    """The cache of the chosen beams. On a CPU nothing is moved where every beam goes on in its place, as all do until one ends that has
    a group of its own; whether a condition pays on other devices nobody has measured."""
    if (ancestors := getattr(cache, "ancestors", None)) is not None:
        return dataclasses.replace(cache, ancestors=_gather(ancestors, parents))

    def move(cache):
        return _of_beams(lambda leaf: _gather(leaf, parents), cache)

    def move_where_needed(cache):
        moved = jnp.any(parents != jnp.arange(parents.shape[1]))
        return jax.lax.cond(moved, move, lambda cache: cache, cache)

    return jax.lax.platform_dependent(cache, cpu=move_where_needed, tpu=partial(move_by_row, parents), default=move)


def move_by_row(parents: Int[Array, "batch beam"], cache):
    """The cache of the chosen beams, a row of the batch after another, each written over itself. Moved whole it would go into a second buffer,
    and from there be copied back to where the search's loop keeps it; a row's beams fit a TPU's fast memory."""

    def move(row, cache):
        def moved(leaf):
            own = _gather(jax.lax.dynamic_slice_in_dim(leaf, row, 1), jax.lax.dynamic_slice_in_dim(parents, row, 1))
            return jax.lax.dynamic_update_slice_in_dim(leaf, own, row, axis=0)

        return _of_beams(moved, cache)

    return jax.lax.fori_loop(0, parents.shape[0], move, cache)


def _of_beams(change: Callable[[Array], Array], cache):
    """The cache with what belongs to its beams changed."""
    return jax.tree.map(lambda leaf: change(leaf) if leaf.ndim >= 2 else leaf, cache)


def _gather(
    array: Float[Array, "batch beam ..."], index: Int[Array, "batch chosen"]
) -> Float[Array, "batch chosen ..."]:
    """The chosen beams of every row. Rows and beams are gathered as one axis: whole beams move at once, without a copy for the layout;
    the indices are ours, so that nothing need be filled in for wrong ones."""
    batch, beams = array.shape[:2]
    flat = (index + beams * jnp.arange(batch, dtype=index.dtype)[:, None]).reshape(-1)
    chosen = array.reshape(batch * beams, *array.shape[2:]).at[flat].get(mode="promise_in_bounds")
    return chosen.reshape(*index.shape, *array.shape[2:])


def _replace(beams: _Beams, **changes) -> _Beams:
    return _Beams(**{name: changes.get(name, getattr(beams, name)) for name in beams.__dataclass_fields__})
