"""T5 (Raffel et al., JMLR 2020) and mT5 in Flax NNX: relative positions, pre-norm blocks with root-mean-square norms, no biases.

Version 1.0 has a ReLU network and one table for embeddings and output; version 1.1, Flan and mT5 have a gated one, and an output table
of their own. Behind the same five functions as BART (bart.py), with the same axes; beams and pairs are queries against one encoded
source here too. Scores of attention are not scaled: T5's initialisation does that.

bfloat16 is safe: it has float32's range. The overflow that T5 is known for is float16's, which no `dtype` of this project is.

Axes: batch, source (encoder positions), beam (or pair), target (decoder positions), time (cached positions), head, dim (per head),
model (width), bucket (of relative positions), vocab. Masks are True where a position may be attended to.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from quals_jax.kernels import Kernels
from quals_jax.models.attention import Cache, Memory, attend_to_cache, decode_through, memory_of
from quals_jax.models.layers import ACTIVATIONS, Dropout, RMSNorm, fold, param_dtype, scan_layers, softmax
from quals_jax.models.t5_config import T5Config
from quals_jax.models.wide_einsum import wide_einsum

__all__ = ["T5", "T5Config"]


class Attention(nnx.Module):
    """The four projections of one attention; their width need not be the model's."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs, dtype):
        width, inner = config.d_model, config.num_heads * config.d_kv
        self.num_heads = config.num_heads
        self.q = _linear(config, width, inner, (width * config.d_kv) ** -0.5, rngs, dtype)
        self.k = _linear(config, width, inner, width**-0.5, rngs, dtype)
        self.v = _linear(config, width, inner, width**-0.5, rngs, dtype)
        self.o = _linear(config, inner, width, inner**-0.5, rngs, dtype)

    def split(self, states: Float[Array, "... inner"]) -> Float[Array, "... head dim"]:
        return states.reshape(*states.shape[:-1], self.num_heads, -1)

    def query(self, states: Float[Array, "... model"]) -> Float[Array, "... head dim"]:
        return self.split(self.q(states))

    def key_value(self, states: Float[Array, "... model"]) -> tuple[Array, Array]:
        return self.split(self.k(states)), self.split(self.v(states))

    def merge(self, heads: Float[Array, "... head dim"]) -> Float[Array, "... model"]:
        return self.o(heads.reshape(*heads.shape[:-2], -1))


class FeedForward(nnx.Module):
    """Two matrices, or three where one half is the other's gate."""

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs, dtype):
        width, inner = config.d_model, config.d_ff
        self.wi = _linear(config, width, inner, width**-0.5, rngs, dtype)
        self.gate = _linear(config, width, inner, width**-0.5, rngs, dtype) if config.gated else None
        self.wo = _linear(config, inner, width, inner**-0.5, rngs, dtype)

    def __call__(self, states: Float[Array, "... model"], config: T5Config, keys: Dropout) -> Float[Array, "... model"]:
        hidden, activation = self.wi(states), ACTIVATIONS[config.activation]
        hidden = activation(hidden) if self.gate is None else activation(self.gate(states)) * hidden
        return self.wo(keys.drop(hidden, config.dropout_rate))


class EncoderLayer(nnx.Module):
    def __init__(self, config: T5Config, *, rngs: nnx.Rngs, dtype):
        self.self_attention_norm = _norm(config, rngs, dtype)
        self.self_attention = Attention(config, rngs=rngs, dtype=dtype)
        self.feed_forward_norm = _norm(config, rngs, dtype)
        self.feed_forward = FeedForward(config, rngs=rngs, dtype=dtype)

    def __call__(self, states, bias: Float[Array, "batch head source source"], config: T5Config, dropout_key):
        """The next states [batch, source, model]. `bias` is that of the relative positions, and -inf (or nearly) at padding."""
        keys = Dropout(dropout_key)
        with jax.named_scope("self_attention"):
            attention, normed = self.self_attention, self.self_attention_norm(states)
            mixed = attend(attention.query(normed), *attention.key_value(normed), bias, keys, config.dropout_rate)
            states = states + keys.drop(attention.merge(mixed), config.dropout_rate)
        with jax.named_scope("feed_forward"):
            changed = self.feed_forward(self.feed_forward_norm(states), config, keys)
            return states + keys.drop(changed, config.dropout_rate)


class DecoderLayer(nnx.Module):
    def __init__(self, config: T5Config, *, rngs: nnx.Rngs, dtype):
        self.self_attention_norm = _norm(config, rngs, dtype)
        self.self_attention = Attention(config, rngs=rngs, dtype=dtype)
        self.cross_attention_norm = _norm(config, rngs, dtype)
        self.cross_attention = Attention(config, rngs=rngs, dtype=dtype)
        self.feed_forward_norm = _norm(config, rngs, dtype)
        self.feed_forward = FeedForward(config, rngs=rngs, dtype=dtype)

    def __call__(self, states, bias, memory_keys, memory_values, memory_mask, cached, config: T5Config, dropout_key):
        """The next states [batch, beam, target, model], and this layer's new cache (None without one).

        `bias` is that of the relative positions: [head, target, target], or against a cache [head, time + 1], the new token's last.
        """
        keys = Dropout(dropout_key)
        with jax.named_scope("self_attention"):
            attention, normed = self.self_attention, self.self_attention_norm(states)
            if cached is None:
                mixed, cached = self._attend_causally(normed, bias, config, keys), None
            else:
                mixed, cached = self._attend_to_cache(normed, bias, *cached)
            states = states + keys.drop(attention.merge(mixed), config.dropout_rate)
        with jax.named_scope("cross_attention"):
            attention = self.cross_attention
            batch, beam, target, _ = states.shape
            query = attention.query(self.cross_attention_norm(states))
            query = query.reshape(batch, beam * target, attention.num_heads, -1)
            hidden = hiding(memory_mask)[:, None, None, :]
            mixed = attend(query, memory_keys, memory_values, hidden, keys, config.dropout_rate)
            mixed = attention.merge(mixed).reshape(states.shape)
            states = states + keys.drop(mixed, config.dropout_rate)
        with jax.named_scope("feed_forward"):
            changed = self.feed_forward(self.feed_forward_norm(states), config, keys)
            return states + keys.drop(changed, config.dropout_rate), cached

    def _attend_causally(self, normed, bias, config: T5Config, keys: Dropout):
        key, value = self.self_attention.key_value(normed)
        target = normed.shape[-2]
        causal = jnp.tril(jnp.ones((target, target), bool))
        scores = wide_einsum("bpthd,bpshd->bphts", self.self_attention.query(normed), key) + bias
        weights = softmax(jnp.where(causal, scores, -jnp.inf)).astype(value.dtype)
        return jnp.einsum("bphts,bpshd->bpthd", keys.drop(weights, config.dropout_rate), value)

    def _attend_to_cache(self, normed, bias, cached_keys, cached_values, length):
        query = self.self_attention.query(normed)[:, :, 0]  # [batch, beam, head, dim]
        key, value = (array[:, :, 0] for array in self.self_attention.key_value(normed))
        mixed, *cached = attend_to_cache(query, key, value, cached_keys, cached_values, length, bias)
        return mixed[:, :, None], tuple(cached)


class Stack(nnx.Module):
    """Encoder or decoder: its layers, the one table of relative positions that all of them share, and a norm at the end."""

    def __init__(self, config: T5Config, kind: type, layers: int, *, rngs: nnx.Rngs, dtype):
        deviation = config.initializer_factor * config.d_model**-0.5
        self.relative_attention_bias = _embedding(
            config.relative_attention_num_buckets, config.num_heads, deviation, rngs, dtype
        )
        self.layers = nnx.List(kind(config, rngs=rngs, dtype=dtype) for _ in range(layers))
        self.final_norm = _norm(config, rngs, dtype)

    def bias(self, buckets: Int[Array, "*positions"]) -> Float[Array, "head *positions"]:
        """What is added to the scores of these relative positions, in float32 at least."""
        table = self.relative_attention_bias.embedding[...]
        return jnp.moveaxis(table[buckets].astype(jnp.promote_types(table.dtype, jnp.float32)), -1, 0)


class T5(nnx.Module):
    """The encoder-decoder; its parameters, `dtype`, `dropout_key`, `remat` and `kernels` mean what they mean of BART."""

    takes_kernels = ("choice",)

    def __init__(self, config: T5Config, *, rngs: nnx.Rngs, dtype=jnp.float32, remat: bool = False):
        self.config = config
        self.dtype = dtype
        self.remat = remat
        self.kernels = Kernels()
        factor = config.initializer_factor
        self.shared = _embedding(config.vocab_size, config.d_model, factor, rngs, dtype)
        self.encoder = Stack(config, EncoderLayer, config.num_layers, rngs=rngs, dtype=dtype)
        self.decoder = Stack(config, DecoderLayer, config.num_decoder_layers, rngs=rngs, dtype=dtype)
        output = _embedding(config.vocab_size, config.d_model, factor, rngs, dtype) if config.own_output else None
        self.lm_head = output

    def stacks(self) -> dict[str, nnx.Module]:
        """What has `layers` that are equal."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    def init_cache(self, *, batch: int, beam: int, length: int) -> Cache:
        """An empty cache for `length` tokens of every beam."""
        config = self.config
        empty = jnp.zeros((batch, beam, config.num_heads, length, config.d_kv), self.dtype)
        layers = (empty,) * config.num_decoder_layers
        return Cache(layers, layers, jnp.zeros((), jnp.int32))

    def encode(
        self, source_ids: Int[Array, "batch source"], source_mask: Bool[Array, "batch source"], *, dropout_key=None
    ) -> Float[Array, "batch source model"]:
        """The encoder's states. Sources are padded on the right; padded positions hold nothing of use."""
        config, length = self.config, source_ids.shape[-1]
        states = self._embed(source_ids, dropout_key)
        buckets = relative_buckets(np.arange(length)[None] - np.arange(length)[:, None], config, bidirectional=True)
        bias = self.encoder.bias(buckets)[None] + hiding(source_mask)[:, None, None, :]

        def run(layer, states, key):
            return layer(states, bias, config, key)

        states = scan_layers(self.encoder.layers, run, states, dropout_key=dropout_key, remat=self.remat)
        return self._finish(self.encoder, states, fold(dropout_key, 1 + config.num_layers))

    def memory(self, states: Float[Array, "batch source model"], source_mask: Bool[Array, "batch source"]) -> Memory:
        """The keys and values that every decoder layer reads, once for all beams, pairs and steps."""
        return Memory(*memory_of(self.decoder.layers, "cross_attention", states), source_mask)

    def decode(
        self,
        target_ids: Int[Array, "batch beam target"],
        memory: Memory,
        cache: Cache | None = None,
        *,
        dropout_key=None,
    ) -> tuple[Float[Array, "batch beam target model"], Cache | None]:
        """The decoder's states, and the cache with the new tokens in it.

        `target_ids` are the decoder's input (the start token first), padded on the right. Without a cache every position attends to
        those before it: training, and scoring. With one, `target` is 1 and the token stands at position `cache.length`.

        Raises:
            ValueError: if several tokens are decoded against a cache.
        """
        target = target_ids.shape[-1]
        if cache is None:
            return self._teacher_force(target_ids, memory, dropout_key), None
        if target != 1:
            raise ValueError(f"target_ids has {target} positions; against a cache it must have 1")
        states = self._embed(target_ids, dropout_key)
        # The new token stands `length` after the first one that is cached, and 0 after itself.
        time = cache.keys[0].shape[3]
        buckets = relative_buckets(-np.arange(time + 1), self.config, bidirectional=False)
        distances = jnp.append(jnp.maximum(cache.length - jnp.arange(time), 0), 0)
        bias = self.decoder.bias(jnp.asarray(buckets)[distances])

        def run(layer, states, keys, values, cached, key):
            return layer(states, bias, keys, values, memory.mask, cached, self.config, key)

        states, cache = decode_through(self.decoder.layers, run, states, memory, cache, dropout_key=dropout_key)
        return self._finish(self.decoder, states, fold(dropout_key, 1 + self.config.num_decoder_layers)), cache

    def _teacher_force(self, target_ids, memory: Memory, dropout_key) -> Float[Array, "batch beam target model"]:
        """All positions at once, each attending to those before it: training, and scoring."""
        config, length = self.config, target_ids.shape[-1]
        states = self._embed(target_ids, dropout_key)
        buckets = relative_buckets(np.arange(length)[None] - np.arange(length)[:, None], config, bidirectional=False)
        bias = self.decoder.bias(buckets)

        def run(layer, states, keys, values, key):
            return layer(states, bias, keys, values, memory.mask, None, config, key)[0]

        own, remat = memory.as_one(), self.remat
        states = scan_layers(self.decoder.layers, run, states, own, dropout_key=dropout_key, remat=remat)
        return self._finish(self.decoder, states, fold(dropout_key, 1 + config.num_decoder_layers))

    def logits(self, states: Float[Array, "... model"]) -> Float[Array, "... vocab"]:
        """Logits in float32, whatever the products ran in: equal logits would make ties of different tokens."""
        if self.config.scale_decoder_outputs:
            states = states * self.config.d_model**-0.5
        table = (self.lm_head if self.config.own_output else self.shared).embedding[...].astype(self.dtype)
        return wide_einsum("...m,vm->...v", states.astype(self.dtype), table)

    def _embed(self, ids, dropout_key):
        return Dropout(fold(dropout_key, 0)).drop(self.shared(ids), self.config.dropout_rate)

    def _finish(self, side: Stack, states, key):
        return Dropout(key).drop(side.final_norm(states), self.config.dropout_rate)


def relative_buckets(
    positions: Int[np.ndarray, "*shape"], config: T5Config, *, bidirectional: bool
) -> Int[np.ndarray, "*shape"]:
    """The bucket of every relative position (key minus query): near ones have their own, farther ones share logarithmically wider
    ones, and all beyond the largest distance the last. Without `bidirectional` what comes later has the query's own, as it is never
    attended to. Computed when a program is traced, in float32 as PyTorch does: no device's logarithm decides it."""
    buckets, offset = config.relative_attention_num_buckets, 0
    if bidirectional:
        buckets //= 2
        offset = (positions > 0) * buckets
        distance = np.abs(positions)
    else:
        distance = np.maximum(-positions, 0)
    exact = buckets // 2
    share = np.log(np.maximum(distance, 1).astype(np.float32) / exact, dtype=np.float32)
    share = share / np.float32(math.log(config.relative_attention_max_distance / exact)) * (buckets - exact)
    far = np.minimum(exact + share.astype(np.int32), buckets - 1)
    return (offset + np.where(distance < exact, distance, far)).astype(np.int32)


def attend(
    query: Float[Array, "batch target head dim"],
    key: Float[Array, "batch source head dim"],
    value: Float[Array, "batch source head dim"],
    bias: Float[Array, "batch #head #target source"],
    keys: Dropout,
    rate: float,
) -> Float[Array, "batch target head dim"]:
    """Queries against keys, with what is added to their scores; the softmax runs in float32 at least."""
    scores = wide_einsum("bthd,bshd->bhts", query, key) + bias
    weights = softmax(scores).astype(value.dtype)
    return jnp.einsum("bhts,bshd->bthd", keys.drop(weights, rate), value)


def hiding(mask: Bool[Array, "batch source"]) -> Float[Array, "batch source"]:
    """0 where a position may be attended to, elsewhere so little that nothing is left of it; finite, so that a row whose source is
    padding alone yields numbers and not NaN."""
    return jnp.where(mask, 0.0, jnp.finfo(jnp.float32).min / 2).astype(jnp.float32)


def _linear(config: T5Config, inputs: int, outputs: int, deviation: float, rngs: nnx.Rngs, dtype) -> nnx.Linear:
    return nnx.Linear(
        inputs, outputs, use_bias=False, kernel_init=nnx.initializers.normal(config.initializer_factor * deviation),
        dtype=dtype, param_dtype=param_dtype(dtype), rngs=rngs,
    )  # fmt: skip


def _norm(config: T5Config, rngs: nnx.Rngs, dtype) -> RMSNorm:
    wide = param_dtype(dtype)
    return RMSNorm(config.d_model, epsilon=config.layer_norm_epsilon, dtype=wide, param_dtype=wide, rngs=rngs)


def _embedding(rows: int, width: int, deviation: float, rngs: nnx.Rngs, dtype) -> nnx.Embed:
    initial = nnx.initializers.normal(deviation)
    return nnx.Embed(rows, width, embedding_init=initial, dtype=dtype, param_dtype=param_dtype(dtype), rngs=rngs)
