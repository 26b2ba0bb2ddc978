"""Given targets under any encoder-decoder: its states at every target token, and logits made and reduced in slices.

Logits of all targets of a batch at once, [batch, pair, target, vocab], would be gigabytes; only here are they made, a slice at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

LOGITS_AT_ONCE = 2**26  # numbers: 256 MB in float32


def shift_right(target_ids: Int[Array, "... target"], start_id: int) -> Int[Array, "... target"]:
    """The decoder's input: the targets moved one place to the right, the start token in front."""
    start = jnp.full_like(target_ids[..., :1], start_id)
    return jnp.concatenate([start, target_ids[..., :-1]], axis=-1)


def encode_memory(model, source_ids: Int[Array, "batch source"], *, dropout_key=None):
    """What the decoder reads of the sources, each encoded once for all its targets, beams and steps."""
    mask = source_ids != model.config.pad_token_id
    return model.memory(model.encode(source_ids, mask, dropout_key=dropout_key), mask)


def target_states(
    model, source_ids: Int[Array, "batch source"], target_ids: Int[Array, "batch pair target"], *, dropout_key=None
) -> Float[Array, "batch pair target model"]:
    """The decoder's states at every target token, given the tokens before it."""
    encoder_key, decoder_key = (None, None) if dropout_key is None else jax.random.split(dropout_key)
    memory = encode_memory(model, source_ids, dropout_key=encoder_key)
    inputs = shift_right(target_ids, model.config.decoder_start_token_id)
    return model.decode(inputs, memory, dropout_key=decoder_key)[0]


def reduce_logits(
    model,
    states: Float[Array, "batch *rest model"],
    ids: Int[Array, "batch *rest"],
    reduce: Callable,
    *,
    at_once: int = LOGITS_AT_ONCE,
):
    """`reduce(logits [batch, token, vocab], ids [batch, token])` of every slice of tokens, one after the other: each result with a
    first axis `slice`. A slice holds at most `at_once` logits where that is possible; the backward pass makes them anew.

    What is missing to the last slice is padding. Slices are cut along the tokens and not along the batch, which lies on several devices.
    """
    batch, pad_id = ids.shape[0], model.config.pad_token_id
    states, ids = states.reshape(batch, -1, states.shape[-1]), ids.reshape(batch, -1)
    tokens = ids.shape[1]
    width = -(-tokens // max(1, -(-batch * tokens * model.config.vocab_size // at_once)))
    count = -(-tokens // width)
    if count == 1:
        return jax.tree.map(lambda array: array[None], reduce(model.logits(states), ids))
    missing = count * width - tokens
    states = jnp.pad(states, ((0, 0), (0, missing), (0, 0))).reshape(batch, count, width, -1).swapaxes(0, 1)
    ids = jnp.pad(ids, ((0, 0), (0, missing)), constant_values=pad_id).reshape(batch, count, width).swapaxes(0, 1)
    return jax.lax.map(jax.checkpoint(lambda slice: reduce(model.logits(slice[0]), slice[1])), (states, ids))


def per_token(
    slices: Float[Array, "slice batch token"], like: Int[Array, "batch *rest"]
) -> Float[Array, "batch *rest"]:
    """What `reduce_logits` gave for every token, in the shape of the ids."""
    batch = like.shape[0]
    return slices.swapaxes(0, 1).reshape(batch, -1)[:, : like[0].size].reshape(like.shape)


def target_logprobs(logits: Float[Array, "... vocab"], ids: Int[Array, "..."]) -> Float[Array, "..."]:
    """The natural log-probability of every id under the softmax of its logits."""
    chosen = jnp.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)
