"""Attention to a text and to what was decoded so far, for every model here; and what a decoder reads: `Memory` and `Cache`.

Axes: batch, source (encoder positions), beam (or pair), target (decoder positions), time (cached positions), head, dim (per head).
Masks are True where a position may be attended to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from quals_jax.kernels.encoder_attention import fits, fused_attention
from quals_jax.models.layers import Dropout, apart, fold, softmax
from quals_jax.models.wide_einsum import wide_einsum


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Memory:
    """Encoded sources as the decoder reads them: keys and values of every layer, computed once, as one array with a first axis `layer`
    where the decoder's layers are held as one (`with_layers`). There is no beam axis."""

    keys: tuple[Float[Array, "batch source head dim"], ...] | Float[Array, "layer batch source head dim"]
    values: tuple[Float[Array, "batch source head dim"], ...] | Float[Array, "layer batch source head dim"]
    mask: Bool[Array, "batch source"]

    def as_one(self) -> tuple[Float[Array, "layer batch source head dim"], Float[Array, "layer batch source head dim"]]:
        """Keys and values of all layers."""
        return tuple(jnp.stack(own) if isinstance(own, tuple) else own for own in (self.keys, self.values))


def memory_of(layers: nnx.List | nnx.Module, attention: str, states: Float[Array, "batch source model"]) -> tuple:
    """Keys and values of `states` for the attention of that name in all decoder layers."""
    if isinstance(layers, nnx.List):
        keys, values = [], []
        for layer in layers:
            # One layer after the other: XLA would make one product of them all, whose every slice is a kernel of its own to compile.
            states, key, value = jax.lax.optimization_barrier((states, *getattr(layer, attention).key_value(states)))
            keys.append(key)
            values.append(value)
        return tuple(keys), tuple(values)
    graph, weights = nnx.split(getattr(layers, attention))
    return jax.lax.map(lambda weights: nnx.merge(graph, weights).key_value(states), weights)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cache:
    """Keys and values of the tokens decoded so far; positions from `length` on hold nothing yet.

    With `ancestors` keys and values stay in the slot they were written to when beams change their parents, and the table says which slot
    that is (`kernels/cache_attention.py`).
    """

    keys: tuple[Float[Array, "batch beam head time dim"], ...]
    values: tuple[Float[Array, "batch beam head time dim"], ...]
    length: Int[Array, ""]
    ancestors: Int[Array, "batch beam time"] | None = None


def decode_through(
    layers: nnx.List | nnx.Module, run: Callable, states, memory: Memory, cache: Cache, *shared, dropout_key=None
) -> tuple[Float[Array, "batch beam 1 model"], Cache]:  # fmt: skip
    """The states of one more token behind all layers, each `run(layer, states, keys, values, cached, key)` with its part of the memory and
    `cached` = (keys, values, length, *shared); and the cache with the token in it.

    Not under `lax.scan`, which would copy the cache into and out of its loop at every step; but equal layers are traced once."""
    layers = apart(layers)
    graph = nnx.graphdef(layers[0])

    @jax.jit
    def decode_layer(weights, *arrays):
        return run(nnx.merge(graph, weights), *arrays)

    grown = []
    for number, own in enumerate(layers):
        cached = (cache.keys[number], cache.values[number], cache.length, *shared)
        key = fold(dropout_key, 1 + number)
        states, cached = decode_layer(nnx.state(own), states, memory.keys[number], memory.values[number], cached, key)
        grown.append(cached)
    keys, values = zip(*grown, strict=True)
    return states, dataclasses.replace(cache, keys=keys, values=values, length=cache.length + 1)


def attend(
    query: Float[Array, "batch target head dim"],
    key: Float[Array, "batch source head dim"],
    value: Float[Array, "batch source head dim"],
    mask: Bool[Array, "batch 1 1 source"],
    keys: Dropout,
    rate: float,
) -> Float[Array, "batch target head dim"]:
    """Scaled queries against masked keys; the softmax runs in float32 at least."""
    scores = wide_einsum("bthd,bshd->bhts", query, key)
    weights = softmax(jnp.where(mask, scores, _lowest(scores))).astype(value.dtype)
    return jnp.einsum("bhts,bshd->bthd", keys.drop(weights, rate), value)


def attend_fused(query, key, value, mask, keys: Dropout, rate: float) -> Float[Array, "batch source head dim"]:
    """`attend` of a text to itself by the back end's own kernel, where that takes it: none of them drops weights."""
    if not fits(query) or (keys.key is not None and rate):
        return attend(query, key, value, mask, keys, rate)
    keys.uses += 1

    def plain(query, key, value, mask):
        return attend(query, key, value, mask[:, None, None, :], Dropout(None), 0.0)

    return fused_attention(query, key, value, mask[:, 0, 0], plain)


def attend_to_cache(
    query: Float[Array, "batch beam head dim"],
    key: Float[Array, "batch beam head dim"],
    value: Float[Array, "batch beam head dim"],
    keys: Float[Array, "batch beam head time dim"],
    values: Float[Array, "batch beam head time dim"],
    length: Int[Array, ""],
    bias: Float[Array, "head time_and_new"] | None = None,
) -> tuple[Array, Array, Array]:
    """Scaled queries against the first `length` tokens of the cache and the new one; and the cache with the new one in it. `bias` is added to
    the scores, the new token's last.

    XLA's CPU back end copies a cache whole at every step that is read after it was written, and its TPU back end moves more for one that is
    read before (docs/performance.md): so the order is that of the platform which is compiled for.
    """
    usual, on_tpu = (partial(order, bias=bias) for order in (read_first, write_first))
    return jax.lax.platform_dependent(query, key, value, keys, values, length, tpu=on_tpu, default=usual)


def read_first(query, key, value, keys, values, length, *, bias=None):
    """`attend_to_cache`, the new token beside the cache as it was."""
    old = wide_einsum("bphd,bphtd->bpht", query, keys)
    new = wide_einsum("bphd,bphd->bph", query, key)[..., None]
    scores, places = jnp.concatenate([old, new], axis=-1), jnp.arange(keys.shape[3] + 1)
    held = (places < length) | (places == keys.shape[3])
    scores = scores if bias is None else scores + bias
    weights = softmax(jnp.where(held, scores, -jnp.inf)).astype(value.dtype)
    mixed = jnp.einsum("bpht,bphtd->bphd", weights[..., :-1], values) + weights[..., -1:] * value
    return mixed, written(keys, key, length), written(values, value, length)


def write_first(query, key, value, keys, values, length, *, bias=None):
    """`attend_to_cache`, the new token in its place."""
    keys, values = written(keys, key, length), written(values, value, length)
    scores, places = wide_einsum("bphd,bphtd->bpht", query, keys), jnp.arange(keys.shape[3])
    if bias is not None:
        scores = scores + jnp.where(places == length, bias[:, -1:], bias[:, :-1])
    weights = softmax(jnp.where(places <= length, scores, -jnp.inf)).astype(value.dtype)
    return jnp.einsum("bpht,bphtd->bphd", weights, values), keys, values


def written(cached: Float[Array, "batch beam head time dim"], new: Float[Array, "batch beam head dim"], length):
    """The cache with a token at position `length`."""
    return jax.lax.dynamic_update_slice_in_dim(cached, new[:, :, :, None], length, axis=3)


def _lowest(array):
    """Finite, so that a row whose source is padding alone yields numbers and not NaN."""
    return jnp.finfo(array.dtype).min
