"""Diverse beam search (Vijayakumar et al., 2018) as fairseq runs it, with static shapes in one `lax.while_loop`.

The search knows no model, only a step function from tokens and a cache to logits. `num_beams` beams live in slots; the group of a slot is
`slot % num_groups`. One group is ordinary beam search. Marked `fairseq:` is what the reference does and one might not expect.

Axes: batch, beam (slots), group, rank (candidates of one group, best first), time (decoded positions), vocab.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

StepFunction = Callable[[Array, Any], tuple[Array, Any]]


@dataclass(frozen=True)
class SearchConfig:
    """How to search. The defaults are those of QUALS (the reference's `gen_qa`).

    num_groups: as many as beams, unless given. diversity_strength: what a token costs per choice of it by an earlier group; ignored
    with one group. min_length, max_length: in tokens without the end of sentence. length_penalty: the exponent of the length by which
    a hypothesis' score is divided.
    """

    num_beams: int = 60
    num_groups: int | None = None
    diversity_strength: float = 0.5
    min_length: int = 8
    max_length: int = 60
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0

    def __post_init__(self):
        if self.num_groups is None:
            object.__setattr__(self, "num_groups", self.num_beams)
        for name, low in (
            ("num_beams", 1),
            ("num_groups", 1),
            ("max_length", 1),
            ("min_length", 0),
            ("no_repeat_ngram_size", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {low}")
        if self.num_beams % self.num_groups:
            raise ValueError(f"num_beams is {self.num_beams}; it must be a multiple of num_groups, {self.num_groups}")
        if self.min_length > self.max_length:
            raise ValueError(f"min_length is {self.min_length}; it must not exceed max_length, {self.max_length}")
        if not self.diversity_strength >= 0:
            raise ValueError(f"diversity_strength is {self.diversity_strength}; it must be at least 0")

    @property
    def beams_per_group(self) -> int:
        return self.num_beams // self.num_groups


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
class _Candidates:
    """One step's continuations in fairseq's order: best of every group, then second best of every group, ..."""

    tokens: Int[Array, "batch candidate"]
    slots: Int[Array, "batch candidate"]  # which beam each would extend
    totals: Float[Array, "batch candidate"]
    model_logprobs: Float[Array, "batch candidate"]


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
    forced_first_id: int | None = None,
) -> Hypotheses:
    """All `num_beams` finished hypotheses of every row, best first; ties in order of finishing.

    Args:
        step_function: from the last tokens [batch, beam] and the cache to logits [batch, beam, vocab] (float32 at least) and the new
            cache.
        cache: a pytree; every leaf with two or more axes begins [batch, beam] and moves with the beams.
        active: rows to search; others (padding of the batch) are done from the start.
        forced_first_id: a token that every hypothesis must begin with, at no cost (hub summarizers force `<s>`).
    """
    time = config.max_length + 1
    active = jnp.ones(batch, bool) if active is None else active

    def more(state: _State) -> Bool[Array, ""]:
        return jnp.any(state.active)

    def advance(state: _State) -> _State:
        last = jax.lax.dynamic_index_in_dim(state.live.tokens, jnp.maximum(state.step - 1, 0), axis=2, keepdims=False)
        logits, cache = step_function(jnp.where(state.step == 0, start_id, last), state.cache)
        candidates = _candidates(
            logits, state.live, state.step, config,
            start_id=start_id, eos_id=eos_id, pad_id=pad_id, forced_first_id=forced_first_id,
        )  # fmt: skip
        return _proceed(state, candidates, cache, config, eos_id)

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
    )
    state = jax.lax.while_loop(more, advance, state)
    return _best_first(state, config)


def _candidates(
    logits: Float[Array, "batch beam vocab"],
    live: _Beams,
    step: Int[Array, ""],
    config: SearchConfig,
    *,
    start_id: int,
    eos_id: int,
    pad_id: int,
    forced_first_id: int | None,
) -> _Candidates:
    """The 2 x beams best continuations, group after group, each group paying for the tokens that earlier groups chose.

    The vocabulary is looked at once. Of each beam only its best `shortlist` tokens are kept, and they provably suffice: with K beams
    a group, earlier groups penalise at most 2K(G-1) tokens, a few more are forbidden, and 2K are wanted; so among the best
    2K(G-1) + 2K + forbidden tokens of a beam at least 2K are free of both, and each of these is at least as good as any token
    outside, at a lower id where it is equal (top_k prefers lower ids). The short list is then sorted by token id: equal scores
    fall as they would in a search of the whole vocabulary, to the lowest beam and then the lowest token.
    """
    batch, beams, vocab = logits.shape
    groups, wanted = config.num_groups, 2 * config.beams_per_group
    logits = jnp.where(jnp.isnan(logits), -jnp.inf, logits)
    blocked = _blocked(live.tokens, step, config, start_id)
    forbidden = 2 + (blocked.shape[-1] if blocked is not None else 0)
    shortlist = min(vocab, wanted * groups + forbidden)
    normaliser = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    values, tokens = jax.lax.top_k(logits, shortlist)  # [batch, beam, shortlist]

    # A forced token may lie outside the list: it is added, as a token that does not exist where it is in the list already.
    forced_id = jnp.full((), eos_id, jnp.int32)
    if forced_first_id is not None:
        forced_id = jnp.where(step == 0, forced_first_id, forced_id)
    forced_value = jnp.take_along_axis(logits, jnp.broadcast_to(forced_id, (batch, beams, 1)), axis=-1)
    present = jnp.any(tokens == forced_id, axis=-1, keepdims=True)
    values = jnp.concatenate([values, jnp.where(present, -jnp.inf, forced_value)], axis=-1)
    tokens = jnp.concatenate([tokens, jnp.where(present, vocab, forced_id)], axis=-1).astype(jnp.int32)
    order = jnp.argsort(tokens, axis=-1)
    tokens, values = (jnp.take_along_axis(array, order, axis=-1) for array in (tokens, values))
    model_logprobs = values - normaliser

    last = step >= config.max_length
    allowed = (tokens != pad_id) & (tokens != vocab)
    allowed &= jnp.where(last, tokens == eos_id, (tokens != eos_id) | (step >= config.min_length))
    if blocked is not None:
        free = ~jnp.any(tokens[..., None] == blocked[..., None, :], axis=-1)
        allowed &= free | (last & (tokens == eos_id))
    logprobs = jnp.where(allowed, model_logprobs, -jnp.inf)
    if forced_first_id is not None:
        forced = jnp.where(tokens == forced_first_id, 0.0, -jnp.inf).astype(logprobs.dtype)
        logprobs = jnp.where(step == 0, forced, logprobs)
    return _group_by_group(
        tokens, logprobs, model_logprobs, live.totals, step, groups, wanted, config.diversity_strength
    )


def _group_by_group(
    tokens, logprobs, model_logprobs, totals, step, groups: int, wanted: int, strength: float
) -> _Candidates:
    """The dependent part of the choice, over the short lists alone: a scan over the groups."""
    batch, beams, length = tokens.shape
    per_group = beams // groups

    def by_group(
        array,
    ):  # [batch, beam, ...] -> [group, batch, beam of the group, ...]; slot = beam of the group * groups + group
        return jnp.moveaxis(array.reshape(batch, per_group, groups, *array.shape[2:]), 2, 0)

    grouped = tuple(map(by_group, (tokens, logprobs, totals)))
    first_only = (jnp.arange(per_group) == 0) | (
        step > 0
    )  # fairseq: at first all beams are alike, and only one is used

    def choose(chosen, group):
        number, group_tokens, group_logprobs, group_totals = group
        counts = jnp.sum(
            group_tokens[..., None] == chosen[:, None, None, :], axis=-1
        )  # [batch, beam of the group, shortlist]
        penalised = group_logprobs - strength * counts.astype(group_logprobs.dtype)
        scores = jnp.where(first_only[:, None], penalised + group_totals[..., None], -jnp.inf)
        best, place = jax.lax.top_k(scores.reshape(batch, -1), wanted)
        token = jnp.take_along_axis(group_tokens.reshape(batch, -1), place, axis=-1)
        # fairseq: all 2K candidates of a group count, taken or not; one found twice counts twice.
        chosen = jax.lax.dynamic_update_slice_in_dim(chosen, token, number * wanted, axis=1)
        return chosen, (best, token, place)

    chosen = jnp.zeros_like(tokens[:, 0, :1]) - 1  # of no group yet: an id that no token has
    chosen = jnp.broadcast_to(chosen, (batch, groups * wanted))
    _, (scores, token, place) = jax.lax.scan(choose, chosen, (jnp.arange(groups), *grouped))
    slots = place // length * groups + jnp.arange(groups)[:, None, None]

    def interleaved(array):  # [group, batch, rank] -> [batch, rank * group]
        return jnp.moveaxis(array, 0, 2).reshape(batch, -1)

    slots, scores, token = map(interleaved, (slots, scores, token))
    flat = slots * length + interleaved(place % length)
    model_logprobs = jnp.take_along_axis(model_logprobs.reshape(batch, -1), flat, axis=-1)
    return _Candidates(tokens=token, slots=slots, totals=scores, model_logprobs=model_logprobs)


def _blocked(tokens: Int[Array, "batch beam time"], step, config: SearchConfig, start_id: int):
    """Tokens [batch, beam, time] that would complete an n-gram the beam already holds (-1: nothing), or None if that is allowed.
    fairseq: the start token counts as a token."""
    size = config.no_repeat_ngram_size
    if not size:
        return None
    start = jnp.full_like(tokens[..., :1], start_id)
    held = jnp.concatenate([start, tokens], axis=-1)  # `step` + 1 of them are tokens
    length = held.shape[-1]
    # The last size - 1 tokens, and at every place the size - 1 tokens that stand before it.
    ending = [
        jax.lax.dynamic_index_in_dim(held, jnp.maximum(step + 1 - size + 1 + k, 0), axis=-1) for k in range(size - 1)
    ]
    same = jnp.ones(held.shape, bool)
    for k, token in enumerate(ending):
        shifted = jnp.roll(held, size - 1 - k, axis=-1)  # at place p: the token at p - (size - 1 - k)
        same &= shifted == token
    places = jnp.arange(length)
    return jnp.where(same & (places >= size - 1) & (places <= step) & (step >= size - 1), held, -1)


def _proceed(state: _State, candidates: _Candidates, cache, config: SearchConfig, eos_id: int) -> _State:
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
    kept = jnp.argsort(is_eos, axis=1, stable=True)[:, :beams]
    live = jax.tree.map(lambda array: _gather(array, kept), extended)
    parents = jnp.take_along_axis(candidates.slots, kept, axis=1)
    return _State(
        step=state.step + 1,
        live=live,
        finished=finished,
        lengths=lengths,
        num_finished=num_finished,
        active=state.active & (num_finished < beams) & (state.step < config.max_length),
        cache=jax.tree.map(lambda leaf: _gather(leaf, parents) if leaf.ndim >= 2 else leaf, cache),
    )


def _extend(live: _Beams, candidates: _Candidates, step) -> _Beams:
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


def _gather(
    array: Float[Array, "batch beam ..."], index: Int[Array, "batch chosen"]
) -> Float[Array, "batch chosen ..."]:
    return jnp.take_along_axis(array, index.reshape(*index.shape, *(1,) * (array.ndim - 2)), axis=1)


def _replace(beams: _Beams, **changes) -> _Beams:
    return _Beams(**{name: changes.get(name, getattr(beams, name)) for name in beams.__dataclass_fields__})
