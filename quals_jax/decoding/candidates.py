"""One step of diverse beam search: which tokens continue which beams, found on short lists instead of the whole vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from quals_jax.decoding.covering import Answers, Places, next_tokens
from quals_jax.decoding.rules import Rules
from quals_jax.decoding.search_config import SearchConfig
from quals_jax.decoding.shortlists import shortlists
from quals_jax.kernels.group_choice import UNCOUNTED, choose_by_scan

Choose = Callable[..., tuple[Array, Array]]  # like `choose_by_scan`


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Candidates:
    """One step's continuations in fairseq's order: best of every group, then second best of every group, ..."""

    tokens: Int[Array, "batch candidate"]
    slots: Int[Array, "batch candidate"]  # which beam each would extend
    totals: Float[Array, "batch candidate"]
    model_logprobs: Float[Array, "batch candidate"]


def best_continuations(
    logits: Float[Array, "batch beam vocab"],
    held: Int[Array, "batch beam time"],
    totals: Float[Array, "batch beam"],
    step: Int[Array, ""],
    config: SearchConfig,
    *,
    start_id: int,
    eos_id: int,
    pad_id: int,
    rules: Rules,
    answers: Answers | None = None,
    places: Places | None = None,
    choose: Choose = choose_by_scan,
) -> Candidates:
    """The 2 x beams best continuations, group after group, each group paying for the tokens that earlier groups chose.

    The vocabulary is looked at once. Of each beam only a short list of its best tokens is kept (`shortlists`, and why it suffices);
    equal scores fall as they would in a search of the whole vocabulary, to the lowest beam and then the lowest token.

    With `answers`, a beam that is in its answer has another list: what its text may go on with. What scores -inf then costs later groups
    nothing. `choose` is how the groups' dependent choice is made.
    """
    batch, beams, vocab = logits.shape
    groups, wanted = config.num_groups, 2 * config.beams_per_group
    logits = jnp.where(jnp.isnan(logits), -jnp.inf, logits)
    blocked = _blocked(held, step, config, start_id)
    forbidden = 2 + (blocked.shape[-1] if blocked is not None else 0)
    normaliser = jax.nn.logsumexp(logits, axis=-1, keepdims=True)
    values, tokens = shortlists(logits, groups, wanted, forbidden)

    # A forced token may lie outside the list: it is added, as a token that does not exist where it is in the list already.
    forced_id = jnp.full((), eos_id, jnp.int32)
    for place, token in enumerate(rules.prefix):
        forced_id = jnp.where(step == place, token, forced_id)
    forced_value = jnp.take_along_axis(logits, jnp.broadcast_to(forced_id, (batch, beams, 1)), axis=-1)
    present = jnp.any(tokens == forced_id, axis=-1, keepdims=True)
    values = jnp.concatenate([values, jnp.where(present, -jnp.inf, forced_value)], axis=-1)
    tokens = jnp.concatenate([tokens, jnp.where(present, vocab, forced_id)], axis=-1).astype(jnp.int32)
    if answers is not None:
        options, inside = next_tokens(answers, places, eos_id, vocab)
        chances = jnp.take_along_axis(logits, jnp.minimum(options, vocab - 1), axis=-1)
        chances = jnp.where(options == vocab, -jnp.inf, chances)
        tokens, options = _equally_long(tokens, options, vocab)
        values, chances = _equally_long(values, chances, -jnp.inf)
        tokens, values = (jnp.where(inside[..., None], *own) for own in ((options, tokens), (chances, values)))
        # By token, so that what is spelled from several places stands side by side.
        by_token = jnp.argsort(tokens, axis=-1)
        tokens, values = (jnp.take_along_axis(array, by_token, axis=-1) for array in (tokens, values))
    # A beam without a finite logit has no continuation.
    model_logprobs = jnp.where(jnp.isfinite(normaliser), values - normaliser, -jnp.inf)

    last = step >= config.max_length
    allowed = (tokens != pad_id) & (tokens != vocab)
    allowed &= jnp.where(last, tokens == eos_id, (tokens != eos_id) | (step >= config.min_length))
    if answers is not None:  # spelled from several places
        allowed &= jnp.pad(tokens[..., 1:] != tokens[..., :-1], ((0, 0), (0, 0), (1, 0)), constant_values=True)
    if blocked is not None:
        free = ~jnp.any(tokens[..., None] == blocked[..., None, :], axis=-1)
        allowed &= free | (last & (tokens == eos_id))
    logprobs = jnp.where(allowed, model_logprobs, -jnp.inf)
    if rules.prefix:
        forced = jnp.where(tokens == forced_id, 0.0, -jnp.inf).astype(logprobs.dtype)
        logprobs = jnp.where(step < len(rules.prefix), forced, logprobs)
    strength = config.diversity_strength
    # Of equal scores that of the lowest beam comes first, and then that of the lowest token, of which `vocab` may be there repeatedly.
    length = tokens.shape[-1]
    order = jnp.broadcast_to(jnp.arange(length, dtype=tokens.dtype), tokens.shape)
    if answers is None:
        order = jnp.where(tokens == vocab, vocab + order, tokens)
    order += (jnp.arange(beams, dtype=tokens.dtype) // groups * (vocab + length))[:, None]
    return _group_by_group(
        tokens, logprobs, model_logprobs, totals, order, step, groups, wanted, strength, rules.free, answers is not None, choose
    )  # fmt: skip


def _equally_long(first: Array, second: Array, fill) -> tuple[Array, Array]:
    """Both filled up along the last axis to the longer one."""
    length = max(first.shape[-1], second.shape[-1])
    return tuple(
        jnp.pad(array, ((0, 0), (0, 0), (0, length - array.shape[-1])), constant_values=fill)
        for array in (first, second)
    )


def _group_by_group(
    tokens, logprobs, model_logprobs, totals, order, step, groups: int, wanted: int, strength: float, free: tuple[int, ...],
    only_possible: bool, choose: Choose,
) -> Candidates:  # fmt: skip
    """The dependent part of the choice, over the short lists alone; `order` is that of equal scores in a list."""
    batch, beams, length = tokens.shape
    per_group = beams // groups
    # fairseq: at first all beams are alike, and only the first of a group is used.
    usable = (jnp.arange(beams) < groups) | (step > 0)
    totals = jnp.broadcast_to(jnp.where(usable, totals, -jnp.inf)[..., None], logprobs.shape)
    counted = jnp.where(jnp.isin(tokens, jnp.asarray(free)), UNCOUNTED, tokens) if free else tokens

    def by_group(array):
        """[batch, group, beam of the group * place]; slot = beam of the group * groups + group."""
        return jnp.moveaxis(array.reshape(batch, per_group, groups, length), 1, 2).reshape(batch, groups, -1)

    lists = map(by_group, (counted, logprobs, totals, order))
    scores, place = choose(*lists, wanted=wanted, strength=strength, only_possible=only_possible)
    slots = place // length * groups + jnp.arange(groups)[:, None]
    # [batch, group, rank] -> [batch, rank * group]
    scores, slots, place = (jnp.swapaxes(array, 1, 2).reshape(batch, -1) for array in (scores, slots, place % length))
    flat = slots * length + place
    token, model_logprobs = (
        jnp.take_along_axis(array.reshape(batch, -1), flat, axis=-1) for array in (tokens, model_logprobs)
    )
    return Candidates(tokens=token, slots=slots, totals=scores, model_logprobs=model_logprobs)


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
