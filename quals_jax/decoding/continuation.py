"""What a model goes on with behind prompts that are given, greedily, in one `lax.while_loop` with static shapes.

The loop knows no model, only a step function (see `diverse_beam`), for which a prompt is what a beam is there. Prompts of different
lengths run side by side: a prompt's tokens are forced at their steps, and behind its last one the continuation begins.

Axes: batch, beam (prompts of a row), prompt (tokens that are given), time (tokens that are written), place, vocab.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from quals_jax.decoding.covering import NOTHING, Answers, Places, follow, next_tokens, no_answers
from quals_jax.decoding.diverse_beam import StepFunction
from quals_jax.decoding.rules import as_one_event
from quals_jax.decoding.stages import Grow, in_stages


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Continuations:
    """What was written behind every prompt. After its end a continuation holds padding and zeros.

    lengths: with the end of sentence; 0 where there is no prompt. logprobs: the model's own natural log-probability of each token, over
    the whole vocabulary, whatever was forced or forbidden. prompt_logprob: the same of all of its prompt's tokens together.
    """

    tokens: Int[Array, "batch beam time"]
    lengths: Int[Array, "batch beam"]
    logprobs: Float[Array, "batch beam time"]
    prompt_logprob: Float[Array, "batch beam"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _State:
    step: Int[Array, ""]
    last: Int[Array, "batch beam"]
    written: Continuations
    running: Bool[Array, "batch beam"]
    cache: Any
    answers: Answers | None  # in a search whose answers are spans of its text


def continue_prompts(
    step_function: StepFunction,
    cache: Any,
    prompts: Int[Array, "batch beam prompt"],
    *,
    max_length: int,
    start_id: int = 2,
    eos_id: int = 2,
    pad_id: int = 1,
    ends: tuple[int, ...] = (),
    forbidden: tuple[int, ...] = (),
    places: Places | None = None,
    grow: Grow | None = None,
) -> Continuations:
    """The likeliest token behind every prompt, and behind that, until the end of sentence or `max_length` tokens without it.

    A continuation has at least one token before its end.

    Args:
        step_function: from the last tokens [batch, beam] and the cache to logits [batch, beam, vocab] and the new cache.
        cache: holds as many tokens as prompt and time together, or with `grow` those of the first of `cache_stages`.
        prompts: padded behind; a prompt of padding alone is none.
        ends: what ends a continuation as the end of sentence does, as one event with it.
        forbidden: tokens that no continuation has; padding is one always.
        places: where a continuation may stand in its row's text: then it is spelled as one of them is, and ends where that may.
    """
    lengths = jnp.sum(prompts != pad_id, axis=-1)
    time = jnp.arange(max_length + 1)
    never = jnp.asarray(sorted({pad_id, *forbidden}))

    def more(state: _State) -> Bool[Array, ""]:
        return jnp.any(state.running)

    def advance(state: _State) -> _State:
        logits, cache = step_function(state.last, state.cache)
        logits = as_one_event(logits, ends, eos_id)
        at = state.step - lengths  # of the continuation; negative within the prompt
        if places is None:
            chosen = _likeliest(logits.at[..., never].set(-jnp.inf), at, max_length, eos_id)
        else:
            chosen = _likeliest_spelled(logits, state.answers, places, at, max_length, eos_id)
        given = jax.lax.dynamic_index_in_dim(
            prompts, jnp.minimum(state.step, prompts.shape[-1] - 1), axis=2, keepdims=False
        )
        token = jnp.where(at < 0, given, chosen).astype(jnp.int32)
        logprob = jnp.take_along_axis(logits, token[..., None], axis=-1)[..., 0] - jax.nn.logsumexp(logits, axis=-1)
        here = (time == at[..., None]) & state.running[..., None]
        written = Continuations(
            tokens=jnp.where(here, token[..., None], state.written.tokens),
            lengths=state.written.lengths + (state.running & (at >= 0)),
            logprobs=jnp.where(here, logprob[..., None].astype(state.written.logprobs.dtype), state.written.logprobs),
            prompt_logprob=state.written.prompt_logprob + jnp.where(state.running & (at < 0), logprob, 0),
        )
        answers = state.answers
        if places is not None:
            answers = _followed(answers, places, token, at)
        running = state.running & ~((at >= 0) & (token == eos_id))
        return _State(state.step + 1, token, written, running, cache, answers)

    wide = jnp.float64 if jax.config.jax_enable_x64 else jnp.float32
    empty = jnp.broadcast_to((lengths * 0)[..., None], (*lengths.shape, max_length + 1)).astype(jnp.int32)
    state = _State(
        step=jnp.zeros((), jnp.int32),
        last=(lengths * 0 + start_id).astype(jnp.int32),
        written=Continuations(
            empty + pad_id, (lengths * 0).astype(jnp.int32), empty.astype(wide), (lengths * 0).astype(wide)
        ),
        running=lengths > 0,
        cache=cache,
        answers=None if places is None else no_answers(places, prompts.shape[1]),
    )
    return in_stages(more, advance, state, prompts.shape[-1] + max_length + 1, grow).written


def _likeliest(logits, at, max_length: int, eos_id: int) -> Int[Array, "batch beam"]:
    """The likeliest token: not the end where nothing is written yet, and the end where no more may be."""
    logits = logits.at[..., eos_id].set(jnp.where(at <= 0, -jnp.inf, logits[..., eos_id]))
    return jnp.where(at >= max_length, eos_id, jnp.argmax(logits, axis=-1))


def _likeliest_spelled(logits, answers: Answers, places: Places, at, max_length: int, eos_id: int):
    """The likeliest token that goes on with a span of the text, or ends one; the end where there is none."""
    options, _ = next_tokens(answers, places, eos_id, NOTHING)
    own = jnp.take_along_axis(logits, jnp.maximum(options, 0), axis=-1)
    own = jnp.where(options == NOTHING, -jnp.inf, own)
    best = jnp.take_along_axis(options, jnp.argmax(own, axis=-1)[..., None], axis=-1)[..., 0]
    return jnp.where((at >= max_length) | jnp.all(options == NOTHING, axis=-1), eos_id, best)


def _followed(answers: Answers, places: Places, token, at) -> Answers:
    """The answers with one token more; an answer begins behind its prompt's last token, not behind a separator."""
    parents = jnp.broadcast_to(jnp.arange(token.shape[1]), token.shape)
    found = follow(answers, places, parents, token, ())
    return replace(found, length=jnp.where(at == -1, 0, found.length))
