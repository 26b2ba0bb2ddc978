"""BART (Lewis et al., ACL 2020) in Flax NNX: learned positions, post-norm blocks, one embedding for encoder, decoder and output.

One decoder call (`Bart.decode`) serves training, cached decoding, and the scoring of many texts against one encoded source. Beams
and pairs are a second axis of queries: the keys and values of the source have no such axis and are never repeated.

Axes: batch, source (encoder positions), beam (or pair), target (decoder positions), time (cached positions), head, dim (per head),
model (width), vocab. Masks are True where a position may be attended to.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from quals_jax.kernels import Kernels
from quals_jax.kernels.cache_attention import attend_in_kernel
from quals_jax.models.attention import (
    Cache,
    Memory,
    attend,
    attend_fused,
    attend_to_cache,
    decode_through,
    memory_of,
    written,
)
from quals_jax.models.bart_config import BartConfig
from quals_jax.models.layers import ACTIVATIONS, Dropout, LayerNorm, fold, param_dtype, scan_layers, softmax
from quals_jax.models.wide_einsum import wide_einsum

__all__ = ["Bart", "BartConfig"]

POSITION_OFFSET = 2  # rows 0 and 1 of the position tables are no positions


class Buffer(nnx.Variable):
    """An array that belongs to the model but is not trained."""


class Attention(nnx.Module):
    """The four projections of one attention; `attend` holds the arithmetic."""

    def __init__(self, config: BartConfig, num_heads: int, *, rngs: nnx.Rngs, dtype):
        self.num_heads = num_heads
        self.q_proj = _linear(config, config.d_model, config.d_model, rngs, dtype)
        self.k_proj = _linear(config, config.d_model, config.d_model, rngs, dtype)
        self.v_proj = _linear(config, config.d_model, config.d_model, rngs, dtype)
        self.out_proj = _linear(config, config.d_model, config.d_model, rngs, dtype)

    def split(self, states: Float[Array, "... model"]) -> Float[Array, "... head dim"]:
        return states.reshape(*states.shape[:-1], self.num_heads, -1)

    def query(self, states: Float[Array, "... model"]) -> Float[Array, "... head dim"]:
        queries = self.q_proj(states)
        return self.split(queries * (queries.shape[-1] // self.num_heads) ** -0.5)

    def key_value(self, states: Float[Array, "... model"]) -> tuple[Array, Array]:
        return self.split(self.k_proj(states)), self.split(self.v_proj(states))

    def merge(self, heads: Float[Array, "... head dim"]) -> Float[Array, "... model"]:
        return self.out_proj(heads.reshape(*heads.shape[:-2], -1))


class Block(nnx.Module):
    """What encoder and decoder layers share: self-attention, a feed-forward network, and a norm behind each (post-norm)."""

    def __init__(self, config: BartConfig, num_heads: int, ffn_dim: int, *, rngs: nnx.Rngs, dtype):
        self.self_attn = Attention(config, num_heads, rngs=rngs, dtype=dtype)
        self.self_attn_layer_norm = _layer_norm(config, rngs, dtype)
        self.fc1 = _linear(config, config.d_model, ffn_dim, rngs, dtype)
        self.fc2 = _linear(config, ffn_dim, config.d_model, rngs, dtype)
        self.final_layer_norm = _layer_norm(config, rngs, dtype)

    def feed_forward(self, states, config: BartConfig, keys: Dropout):
        hidden = ACTIVATIONS[config.activation_function](self.fc1(states))
        hidden = keys.drop(hidden, config.activation_dropout)
        return self.final_layer_norm(states + keys.drop(self.fc2(hidden), config.dropout))


class EncoderLayer(Block):
    def __call__(self, states, mask: Bool[Array, "batch source"], config: BartConfig, dropout_key, fused: bool = False):
        keys = Dropout(dropout_key)
        with jax.named_scope("self_attention"):
            attention = self.self_attn
            key, value = attention.key_value(states)
            own = attention.query(states), key, value, mask[:, None, None, :]
            mixed = (attend_fused if fused else attend)(*own, keys, config.attention_dropout)
            states = self.self_attn_layer_norm(states + keys.drop(attention.merge(mixed), config.dropout))
        with jax.named_scope("feed_forward"):
            return self.feed_forward(states, config, keys)


class DecoderLayer(Block):
    def __init__(self, config: BartConfig, num_heads: int, ffn_dim: int, *, rngs: nnx.Rngs, dtype):
        super().__init__(config, num_heads, ffn_dim, rngs=rngs, dtype=dtype)
        self.encoder_attn = Attention(config, num_heads, rngs=rngs, dtype=dtype)
        self.encoder_attn_layer_norm = _layer_norm(config, rngs, dtype)

    def __call__(self, states, memory_keys, memory_values, memory_mask, cached, config: BartConfig, dropout_key):
        """The next states [batch, beam, target, model], and this layer's new cache (None without one)."""
        keys = Dropout(dropout_key)
        with jax.named_scope("self_attention"):
            if cached is None:
                mixed, cached = self._attend_causally(states, config, keys), None
            else:
                mixed, cached = self._attend_to_cache(states, *cached)
            states = self.self_attn_layer_norm(states + keys.drop(self.self_attn.merge(mixed), config.dropout))
        with jax.named_scope("cross_attention"):
            attention = self.encoder_attn
            batch, beam, target, _ = states.shape
            query = attention.query(states).reshape(batch, beam * target, attention.num_heads, -1)
            mixed = attend(
                query, memory_keys, memory_values, memory_mask[:, None, None, :], keys, config.attention_dropout
            )
            mixed = attention.merge(mixed).reshape(states.shape)
            states = self.encoder_attn_layer_norm(states + keys.drop(mixed, config.dropout))
        with jax.named_scope("feed_forward"):
            return self.feed_forward(states, config, keys), cached

    def _attend_causally(self, states, config: BartConfig, keys: Dropout):
        key, value = self.self_attn.key_value(states)
        target = states.shape[-2]
        causal = jnp.tril(jnp.ones((target, target), bool))
        scores = wide_einsum("bpthd,bpshd->bphts", self.self_attn.query(states), key)
        weights = softmax(jnp.where(causal, scores, -jnp.inf)).astype(value.dtype)
        return jnp.einsum("bphts,bpshd->bpthd", keys.drop(weights, config.attention_dropout), value)

    def _attend_to_cache(self, states, cached_keys, cached_values, length, ancestors=None):
        query = self.self_attn.query(states)[:, :, 0]  # [batch, beam, head, dim]
        key, value = (array[:, :, 0] for array in self.self_attn.key_value(states))
        if ancestors is None:
            mixed, *cached = attend_to_cache(query, key, value, cached_keys, cached_values, length)
        else:
            cached = [written(cached_keys, key, length), written(cached_values, value, length)]
            mixed = attend_in_kernel(query, *cached, ancestors, length)
        return mixed[:, :, None], tuple(cached)


class Encoder(nnx.Module):
    def __init__(self, config: BartConfig, *, rngs: nnx.Rngs, dtype):
        self.embed_positions = _embedding(config, config.max_position_embeddings + POSITION_OFFSET, rngs, dtype)
        self.layernorm_embedding = _layer_norm(config, rngs, dtype)
        self.layers = nnx.List(
            EncoderLayer(config, config.encoder_attention_heads, config.encoder_ffn_dim, rngs=rngs, dtype=dtype)
            for _ in range(config.encoder_layers)
        )


class Decoder(nnx.Module):
    def __init__(self, config: BartConfig, *, rngs: nnx.Rngs, dtype):
        self.embed_positions = _embedding(config, config.max_position_embeddings + POSITION_OFFSET, rngs, dtype)
        self.layernorm_embedding = _layer_norm(config, rngs, dtype)
        self.layers = nnx.List(
            DecoderLayer(config, config.decoder_attention_heads, config.decoder_ffn_dim, rngs=rngs, dtype=dtype)
            for _ in range(config.decoder_layers)
        )


class Bart(nnx.Module):
    """The encoder-decoder. Parameters are float32 (float64 where `dtype` is); `dtype` is the type of activations and of the operands of
    matrix products. How exact a product is, is said where a program is traced (`precision.py`).

    `dropout_key` switches dropout on; without one a call is deterministic. `remat` recomputes every layer in the backward pass. `kernels`:
    which of ours its programs are made with, none unless set.
    """

    takes_kernels = "choice", "cache", "attention"

    def __init__(self, config: BartConfig, *, rngs: nnx.Rngs, dtype=jnp.float32, remat: bool = False):
        self.config = config
        self.dtype = dtype
        self.remat = remat
        self.kernels = Kernels()
        self.shared = _embedding(config, config.vocab_size, rngs, dtype, zero_row=config.pad_token_id)
        self.encoder = Encoder(config, rngs=rngs, dtype=dtype)
        self.decoder = Decoder(config, rngs=rngs, dtype=dtype)
        self.final_logits_bias = Buffer(jnp.zeros((config.vocab_size,), param_dtype(dtype)))

    def stacks(self) -> dict[str, nnx.Module]:
        """What has `layers` that are equal."""
        return {"encoder": self.encoder, "decoder": self.decoder}

    def init_cache(self, *, batch: int, beam: int, length: int) -> Cache:
        """An empty cache for `length` tokens of every beam."""
        heads = self.config.decoder_attention_heads
        empty = jnp.zeros((batch, beam, heads, length, self.config.d_model // heads), self.dtype)
        layers = (empty,) * self.config.decoder_layers
        ancestors = jnp.zeros((batch, beam, length), jnp.int32) if self.kernels.cache else None
        return Cache(layers, layers, jnp.zeros((), jnp.int32), ancestors)

    def encode(
        self, source_ids: Int[Array, "batch source"], source_mask: Bool[Array, "batch source"], *, dropout_key=None
    ) -> Float[Array, "batch source model"]:
        """The encoder's states. Sources are padded on the right; padded positions hold nothing of use."""
        states = self._embed(self.encoder, source_ids, jnp.arange(source_ids.shape[-1]), dropout_key)

        def run(layer, states, key):
            return layer(states, source_mask, self.config, key, self.kernels.attention)

        return scan_layers(self.encoder.layers, run, states, dropout_key=dropout_key, remat=self.remat)

    def memory(self, states: Float[Array, "batch source model"], source_mask: Bool[Array, "batch source"]) -> Memory:
        """The keys and values that every decoder layer reads, once for all beams, pairs and steps."""
        return Memory(*memory_of(self.decoder.layers, "encoder_attn", states), source_mask)

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
        states = self._embed(self.decoder, target_ids, cache.length[None], dropout_key)
        ancestors = cache.ancestors
        if ancestors is not None:  # of the new token: every beam itself
            ancestors = ancestors.at[:, :, cache.length].set(jnp.arange(ancestors.shape[1], dtype=ancestors.dtype))
            cache = dataclasses.replace(cache, ancestors=ancestors)

        def run(layer, states, keys, values, cached, key):
            return layer(states, keys, values, memory.mask, cached, self.config, key)

        return decode_through(self.decoder.layers, run, states, memory, cache, ancestors, dropout_key=dropout_key)

    def _teacher_force(self, target_ids, memory: Memory, dropout_key) -> Float[Array, "batch beam target model"]:
        """All positions at once, each attending to those before it: training, and scoring."""
        states = self._embed(self.decoder, target_ids, jnp.arange(target_ids.shape[-1]), dropout_key)

        def run(layer, states, keys, values, key):
            return layer(states, keys, values, memory.mask, None, self.config, key)[0]

        own, remat = memory.as_one(), self.remat
        return scan_layers(self.decoder.layers, run, states, own, dropout_key=dropout_key, remat=remat)

    def logits(self, states: Float[Array, "... model"]) -> Float[Array, "... vocab"]:
        """Logits in float32, whatever the products ran in: equal logits would make ties of different tokens."""
        table = self.shared.embedding[...].astype(self.dtype)
        logits = wide_einsum("...m,vm->...v", states.astype(self.dtype), table)
        return logits + self.final_logits_bias[...]

    def _embed(self, side: Encoder | Decoder, ids, positions, dropout_key):
        states = self.shared(ids)
        if self.config.scale_embedding:
            states = states * self.config.d_model**0.5
        states = side.layernorm_embedding(states + side.embed_positions(positions + POSITION_OFFSET))
        return Dropout(fold(dropout_key, 0)).drop(states, self.config.dropout)


def _normal(config: BartConfig):
    return nnx.initializers.normal(config.init_std)


def _linear(config: BartConfig, inputs: int, outputs: int, rngs: nnx.Rngs, dtype) -> nnx.Linear:
    return nnx.Linear(
        inputs, outputs, kernel_init=_normal(config), dtype=dtype, param_dtype=param_dtype(dtype), rngs=rngs
    )


def _layer_norm(config: BartConfig, rngs: nnx.Rngs, dtype) -> LayerNorm:
    # BART's epsilon: Flax's own is another.
    wide = param_dtype(dtype)
    return LayerNorm(config.d_model, epsilon=1e-5, dtype=wide, param_dtype=wide, rngs=rngs)


def _embedding(config: BartConfig, rows: int, rngs: nnx.Rngs, dtype, zero_row: int | None = None) -> nnx.Embed:
    def initial(key, shape, dtype=jnp.float32):
        table = _normal(config)(key, shape, dtype)
        return table if zero_row is None else table.at[zero_row].set(0)

    return nnx.Embed(
        rows, config.d_model, embedding_init=initial, dtype=dtype, param_dtype=param_dtype(dtype), rngs=rngs
    )
