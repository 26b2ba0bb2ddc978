"""Top-k sampling as fairseq's: independent samples of every row, in one `lax.while_loop` with static shapes.

The sampler knows no model, only a step function (see `diverse_beam`), for which a sample is what a beam is there. What a sample
becomes depends on its own key and nothing else: neither on the rows beside it nor on the number of devices.

Axes: batch, sample, rank (the k tokens drawn from), time (decoded positions), vocab.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from quals_jax.decoding.covering import Answers, Places, follow, no_answers, spelling
from quals_jax.decoding.diverse_beam import Hypotheses, SearchConfig, StepFunction
from quals_jax.decoding.rules import NO_RULES, Rules, as_one_event
from quals_jax.decoding.stages import Grow, in_stages
from quals_jax.decoding.top_k import top_k


@dataclass(frozen=True)
class SamplingConfig:
    """How to sample. The defaults are those of ConSeq on XSum (the reference's candidates).

    k: how many of the most likely tokens are drawn from. min_length, max_length: in tokens without the end of sentence.
    """

    k: int = 50
    min_length: int = 10
    max_length: int = 60
    temperature: float = 1.0

    def __post_init__(self):
        for name, low in (("k", 1), ("max_length", 1), ("min_length", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {low}")
        if self.min_length > self.max_length:
            raise ValueError(f"min_length is {self.min_length}; it must not exceed max_length, {self.max_length}")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}; it must be more than 0")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Samples:
    """Sampled sequences, in the order of their keys. After its end a sample holds padding and zeros.

    lengths: with the end of sentence; 0 in a row that was not active, and where nothing more could be spelled. logprobs: the model's own,
    of each token, over the whole vocabulary at temperature 1, whatever was forced or forbidden.
    """

    tokens: Int[Array, "batch sample time"]
    lengths: Int[Array, "batch sample"]
    logprobs: Float[Array, "batch sample time"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class _State:
    step: Int[Array, ""]
    samples: Samples
    running: Bool[Array, "batch sample"]
    cache: Any
    answers: Answers | None  # of samples that spell places of their text


def sample_keys(seed: int, document_ids: Int[Array, "batch"], num_samples: int) -> Key[Array, "batch sample"]:
    """The key of every sample of every document, from the document's own number: the same in any batch."""
    root = jax.random.key(seed)
    of_document = jax.vmap(lambda document: jax.random.fold_in(root, document))(jnp.asarray(document_ids))
    return _fold_in_each(of_document, jnp.arange(num_samples))


def top_k_sample(
    step_function: StepFunction,
    cache: Any,
    keys: Key[Array, "batch sample"],
    *,
    config: SamplingConfig,
    active: Bool[Array, "batch"] | None = None,
    start_id: int = 2,
    eos_id: int = 2,
    pad_id: int = 1,
    rules: Rules = NO_RULES,
    grow: Grow | None = None,
    places: Places | None = None,
) -> Samples:
    """One sample per key, drawn from the `k` most likely tokens of each step in proportion to their probabilities.

    Args:
        step_function: from the last tokens [batch, sample] and the cache to logits [batch, sample, vocab] and the new cache.
        keys: one per sample (`sample_keys`); step t of a sample uses its key folded with t.
        active: rows to sample; others (padding of the batch) are done from the start.
        rules: what every sample must begin with (hub summarizers force `<s>`), what else ends it, and what answers begin behind.
        grow: from a cache and a number of tokens to the same cache with room for so many; `cache` then holds those of the first of
            `cache_stages`.
        places: where answers may stand, which begin behind the first separator; a sample that cannot go on there, or is cut at
            `max_length` before its answer may end, has length 0.
    """

    def more(state: _State) -> Bool[Array, ""]:
        return jnp.any(state.running)

    def advance(state: _State) -> _State:
        step, samples, running = state.step, state.samples, state.running
        last = jax.lax.dynamic_index_in_dim(samples.tokens, jnp.maximum(step - 1, 0), axis=2, keepdims=False)
        logits, cache = step_function(jnp.where(step == 0, start_id, last), state.cache)
        logits = as_one_event(jnp.where(jnp.isnan(logits), -jnp.inf, logits), rules.ends, eos_id)
        possible = logits if places is None else spelling(logits, state.answers, places, eos_id)
        drawn = _draw(possible, _fold_in_each(keys, step), step, config, eos_id, pad_id)
        token = jnp.where(step >= config.max_length, eos_id, drawn)
        for place, forced in enumerate(rules.prefix):
            token = jnp.where(step == place, forced, token)
        logprob = _logprob(logits, token).astype(samples.logprobs.dtype)
        answers = None
        if places is not None:
            lost = jnp.isneginf(jnp.take_along_axis(possible, token[..., None], axis=-1)[..., 0])
            lost |= (token == eos_id) & (step < config.min_length)
            token, running = jnp.where(lost, eos_id, token), running & ~lost
            itself = jnp.broadcast_to(jnp.arange(token.shape[1], dtype=jnp.int32), token.shape)
            answers = follow(state.answers, places, itself, token, rules.separator)
            samples = replace(samples, lengths=jnp.where(lost & state.running, 0, samples.lengths))
        here = (jnp.arange(samples.tokens.shape[-1]) == step) & running[..., None]
        samples = Samples(
            tokens=jnp.where(here, token[..., None], samples.tokens),
            lengths=samples.lengths + running,
            logprobs=jnp.where(here, logprob[..., None], samples.logprobs),
        )
        # A forced first token that is the end of sentence begins the sample and does not end it.
        ended = (token == eos_id) & (step >= len(rules.prefix))
        return _State(step + 1, samples, running & ~ended, cache, answers)

    # Everything starts from the keys and `active`, so that under shard_map all of the state varies over devices as they do.
    zeros = (jax.random.key_data(keys)[..., 0] * 0).astype(jnp.int32)
    running = zeros == 0 if active is None else (zeros == 0) & active[:, None]
    zeros = jnp.where(running, 0, 0)
    tokens = jnp.broadcast_to(zeros[..., None] + pad_id, (*zeros.shape, config.max_length + 1))
    logprobs = jnp.zeros_like(tokens, jnp.float64 if jax.config.jax_enable_x64 else jnp.float32)
    answers = None if places is None else no_answers(places, tokens.shape[1], rules.separator)
    state = _State(jnp.zeros((), jnp.int32), Samples(tokens, zeros, logprobs), running, cache, answers)
    return in_stages(more, advance, state, config.max_length + 1, grow).samples


def as_hypotheses(samples: Samples, config: SearchConfig) -> Hypotheses:
    """The samples of one row [sample, ...] as what a search might have found, best first: nothing was taken off their log-probabilities."""
    lengths = np.asarray(samples.lengths)
    totals = np.where(lengths > 0, np.asarray(samples.logprobs).sum(-1), -np.inf)
    scores = totals / np.maximum(lengths, 1) ** config.length_penalty
    order = np.argsort(-scores, kind="stable")
    logprobs = np.asarray(samples.logprobs)[order]
    tokens = np.asarray(samples.tokens)[order]
    return Hypotheses(tokens, lengths[order], logprobs, logprobs, scores[order], totals[order])


def _draw(logits, keys, step, config: SamplingConfig, eos_id: int, pad_id: int) -> Int[Array, "batch sample"]:
    """A token for every sample: never padding, nor the end of sentence before its time."""
    # At most two of the best k + 2 are forbidden, so the k best that are allowed are among them.
    values, tokens = top_k(logits, min(config.k + 2, logits.shape[-1]))
    allowed = (tokens != pad_id) & ((tokens != eos_id) | (step >= config.min_length))
    values = jnp.where(allowed & (jnp.cumsum(allowed, axis=-1) <= config.k), values, -jnp.inf)
    # By token id, so that two tokens which rounding swaps keep the noise that is theirs.
    order = jnp.argsort(tokens, axis=-1)
    values, tokens = (jnp.take_along_axis(array, order, axis=-1) for array in (values, tokens))
    drawn = jax.vmap(jax.vmap(jax.random.categorical))(keys, values / config.temperature)
    return jnp.take_along_axis(tokens, drawn[..., None], axis=-1)[..., 0].astype(jnp.int32)


def _logprob(
    logits: Float[Array, "batch sample vocab"], token: Int[Array, "batch sample"]
) -> Float[Array, "batch sample"]:
    chosen = jnp.take_along_axis(logits, token[..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def _fold_in_each(keys: Key[Array, "*keys"], data) -> Key[Array, "*folded"]:
    """Every key folded with one number, or, where `data` is a list of numbers, with each of them along a new last axis."""
    fold = jax.random.fold_in if jnp.ndim(data) == 0 else jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    for _ in range(keys.ndim):
        fold = jax.vmap(fold, in_axes=(0, None))
    return fold(keys, data)
