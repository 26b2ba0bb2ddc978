"""BART (Lewis et al., ACL 2020) in Flax NNX: learned positions, post-norm blocks, one embedding for encoder, decoder and output.

One decoder call (`Bart.decode`) serves training, cached decoding, and the scoring of many texts against one encoded source. Beams
and pairs are a second axis of queries: the keys and values of the source have no such axis and are never repeated.

Axes: batch, source (encoder positions), beam (or pair), target (decoder positions), time (cached positions), head, dim (per head),
model (width), vocab. Masks are True where a position may be attended to.
"""

from __future__ import annotations

import dataclasses
import reprlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

POSITION_OFFSET = 2  # rows 0 and 1 of the position tables are no positions
ACTIVATIONS = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_new": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
}
# The least and the most that a size may be. A text needs a start, a piece and an end; the rest is what no BART exceeds.
SIZES = {
    "vocab_size": (4, 10**6),
    "d_model": (1, 10**5),
    "encoder_layers": (1, 200),
    "decoder_layers": (1, 200),
    "encoder_attention_heads": (1, 10**5),
    "decoder_attention_heads": (1, 10**5),
    "encoder_ffn_dim": (1, 10**6),
    "decoder_ffn_dim": (1, 10**6),
    "max_position_embeddings": (3, 10**6),
}
IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
RATES = ("dropout", "attention_dropout", "activation_dropout")


@dataclass(frozen=True)
class BartConfig:
    """The sizes of a BART, under the names of Hugging Face's `config.json`."""

    vocab_size: int
    d_model: int
    encoder_layers: int
    decoder_layers: int
    encoder_attention_heads: int
    decoder_attention_heads: int
    encoder_ffn_dim: int
    decoder_ffn_dim: int
    max_position_embeddings: int = 1024
    activation_function: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    scale_embedding: bool = False
    init_std: float = 0.02
    pad_token_id: int = 1
    bos_token_id: int = 0
    eos_token_id: int = 2
    decoder_start_token_id: int = 2

    def __post_init__(self):
        """Raises a ValueError for the first field that no model can be made of: these values come from files."""
        for name, (least, most) in SIZES.items():
            self._require(name, _is_whole(getattr(self, name), least, most), f"a whole number from {least} to {most}")
        last = self.vocab_size - 1
        for name in IDS:
            self._require(name, _is_whole(getattr(self, name), 0, last), f"an id, a whole number from 0 to {last}")
        for name in ("encoder_attention_heads", "decoder_attention_heads"):
            heads = getattr(self, name)
            self._require("d_model", self.d_model % heads == 0, f"a multiple of {name}, {heads}")
        for name in RATES:
            rate = getattr(self, name)
            self._require(name, _is_number(rate) and 0 <= rate < 1, "at least 0 and less than 1")
        self._require("init_std", _is_number(self.init_std) and 0 <= self.init_std < 100, "a number from 0 to 100")
        self._require("scale_embedding", isinstance(self.scale_embedding, bool), "true or false")
        known = isinstance(self.activation_function, str) and self.activation_function in ACTIVATIONS
        self._require("activation_function", known, f"one of {', '.join(ACTIVATIONS)}")

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise ValueError(f"{name} is {reprlib.repr(getattr(self, name))}; it must be {wanted}")

    @classmethod
    def from_dict(cls, values: dict) -> BartConfig:
        """The configuration in the contents of a `config.json`; keys that the model has no use for are ignored.

        Raises:
            ValueError: if a size is missing, naming all that are, or a value cannot be.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        missing = [
            name for name, field in fields.items() if field.default is dataclasses.MISSING and values.get(name) is None
        ]
        if missing:
            raise ValueError(f"the configuration lacks {', '.join(missing)}")
        return cls(**{name: value for name, value in values.items() if name in fields and value is not None})

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Memory:
    """Encoded sources as the decoder reads them: keys and values of every layer, computed once. There is no beam axis."""

    keys: tuple[Float[Array, "batch source head dim"], ...]
    values: tuple[Float[Array, "batch source head dim"], ...]
    mask: Bool[Array, "batch source"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cache:
    """Keys and values of the tokens decoded so far; positions from `length` on hold nothing yet."""

    keys: tuple[Float[Array, "batch beam head time dim"], ...]
    values: tuple[Float[Array, "batch beam head time dim"], ...]
    length: Int[Array, ""]


def init_cache(config: BartConfig, *, batch: int, beam: int, length: int, dtype=jnp.float32) -> Cache:
    """An empty cache for `length` tokens of every beam."""
    dim = config.d_model // config.decoder_attention_heads
    empty = jnp.zeros((batch, beam, config.decoder_attention_heads, length, dim), dtype)
    layers = (empty,) * config.decoder_layers
    return Cache(layers, layers, jnp.zeros((), jnp.int32))


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
    def __call__(self, states, mask: Bool[Array, "batch source"], config: BartConfig, dropout_key):
        keys = Dropout(dropout_key)
        with jax.named_scope("self_attention"):
            attention = self.self_attn
            key, value = attention.key_value(states)
            mixed = attend(attention.query(states), key, value, mask[:, None, None, :], keys, config.attention_dropout)
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
        scores = jnp.einsum("bpthd,bpshd->bphts", self.self_attn.query(states), key, preferred_element_type=_wide(key))
        weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1).astype(value.dtype)
        return jnp.einsum("bphts,bpshd->bpthd", keys.drop(weights, config.attention_dropout), value)

    def _attend_to_cache(self, states, cached_keys, cached_values, length):
        """Attends to the cache as it is and to the new token beside it, and writes the new token only then: a cache that
        is read after it was written is copied whole by XLA's CPU back end at every step."""
        query = self.self_attn.query(states)[:, :, 0]  # [batch, beam, head, dim]
        key, value = (array[:, :, 0] for array in self.self_attn.key_value(states))
        old = jnp.einsum("bphd,bphtd->bpht", query, cached_keys, preferred_element_type=_wide(key))
        held = jnp.arange(cached_keys.shape[3]) < length
        new = jnp.einsum("bphd,bphd->bph", query, key, preferred_element_type=_wide(key))[..., None]
        scores = jnp.concatenate([jnp.where(held, old, -jnp.inf), new], axis=-1)
        weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        mixed = jnp.einsum("bpht,bphtd->bphd", weights[..., :-1], cached_values) + weights[..., -1:] * value
        cached_keys = jax.lax.dynamic_update_slice_in_dim(cached_keys, key[:, :, :, None], length, axis=3)
        cached_values = jax.lax.dynamic_update_slice_in_dim(cached_values, value[:, :, :, None], length, axis=3)
        return mixed[:, :, None], (cached_keys, cached_values)


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
    """The encoder-decoder. Parameters are float32 (float64 where `dtype` is); `dtype` is what matrix products run in.

    `dropout_key` switches dropout on; without one a call is deterministic. `remat` recomputes every layer in the backward pass.
    """

    def __init__(self, config: BartConfig, *, rngs: nnx.Rngs, dtype=jnp.float32, remat: bool = False):
        self.config = config
        self.dtype = dtype
        self.remat = remat
        self.shared = _embedding(config, config.vocab_size, rngs, dtype, zero_row=config.pad_token_id)
        self.encoder = Encoder(config, rngs=rngs, dtype=dtype)
        self.decoder = Decoder(config, rngs=rngs, dtype=dtype)
        self.final_logits_bias = Buffer(jnp.zeros((config.vocab_size,), _param_dtype(dtype)))

    def encode(
        self, source_ids: Int[Array, "batch source"], source_mask: Bool[Array, "batch source"], *, dropout_key=None
    ) -> Float[Array, "batch source model"]:
        """The encoder's states. Sources are padded on the right; padded positions hold nothing of use."""
        states = self._embed(self.encoder, source_ids, jnp.arange(source_ids.shape[-1]), dropout_key)
        for number, layer in enumerate(self.encoder.layers):
            states = self._run(layer, states, source_mask, self.config, _fold(dropout_key, 1 + number))
        return states

    def memory(self, states: Float[Array, "batch source model"], source_mask: Bool[Array, "batch source"]) -> Memory:
        """The keys and values that every decoder layer reads, once for all beams, pairs and steps."""
        pairs = [layer.encoder_attn.key_value(states) for layer in self.decoder.layers]
        keys, values = zip(*pairs, strict=True)
        return Memory(keys, values, source_mask)

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
        if cache is not None and target != 1:
            raise ValueError(f"target_ids has {target} positions; against a cache it must have 1")
        positions = jnp.arange(target) if cache is None else cache.length[None]
        states = self._embed(self.decoder, target_ids, positions, dropout_key)
        layers = []
        for number, layer in enumerate(self.decoder.layers):
            cached = None if cache is None else (cache.keys[number], cache.values[number], cache.length)
            states, cached = self._run(
                layer, states, memory.keys[number], memory.values[number], memory.mask, cached, self.config,
                _fold(dropout_key, 1 + number),
            )  # fmt: skip
            layers.append(cached)
        if cache is None:
            return states, None
        keys, values = zip(*layers, strict=True)
        return states, Cache(keys, values, cache.length + 1)

    def logits(self, states: Float[Array, "... model"]) -> Float[Array, "... vocab"]:
        """Logits in float32, whatever the products ran in: equal logits would make ties of different tokens."""
        table = self.shared.embedding[...].astype(self.dtype)
        logits = jnp.einsum("...m,vm->...v", states, table, preferred_element_type=_param_dtype(self.dtype))
        return logits + self.final_logits_bias[...]

    def _embed(self, side: Encoder | Decoder, ids, positions, dropout_key):
        states = self.shared(ids)
        if self.config.scale_embedding:
            states = states * self.config.d_model**0.5
        states = side.layernorm_embedding(states + side.embed_positions(positions + POSITION_OFFSET))
        return Dropout(_fold(dropout_key, 0)).drop(states, self.config.dropout)

    def _run(self, layer, states, *arguments):
        """One layer, recomputed in the backward pass if asked for. The configuration is the last but one argument."""
        if not self.remat:
            return layer(states, *arguments)
        *arrays, config, dropout_key = arguments
        graph, weights = nnx.split(layer)

        def run(weights, states, arrays, dropout_key):
            return nnx.merge(graph, weights)(states, *arrays, config, dropout_key)

        return jax.checkpoint(run)(weights, states, arrays, dropout_key)


def attend(
    query: Float[Array, "batch target head dim"],
    key: Float[Array, "batch source head dim"],
    value: Float[Array, "batch source head dim"],
    mask: Bool[Array, "batch 1 1 source"],
    keys: Dropout,
    rate: float,
) -> Float[Array, "batch target head dim"]:
    """Scaled queries against masked keys; the softmax runs in float32 at least."""
    scores = jnp.einsum("bthd,bshd->bhts", query, key, preferred_element_type=_wide(key))
    weights = jax.nn.softmax(jnp.where(mask, scores, _lowest(scores)), axis=-1).astype(value.dtype)
    return jnp.einsum("bhts,bshd->bthd", keys.drop(weights, rate), value)


class Dropout:
    """Successive dropouts of one layer, each with a key of its own; without a key it does nothing."""

    def __init__(self, key):
        self.key = key
        self.uses = 0

    def drop(self, array: Float[Array, "..."], rate: float) -> Float[Array, "..."]:
        self.uses += 1
        if self.key is None or rate == 0:
            return array
        kept = jax.random.bernoulli(jax.random.fold_in(self.key, self.uses), 1 - rate, array.shape)
        return jnp.where(kept, array / (1 - rate), 0).astype(array.dtype)


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)  # Python's True is 1; a file's is not


def _is_whole(value, least: int, most: int) -> bool:
    return _is_number(value) and isinstance(value, int) and least <= value <= most


def _fold(key, number: int):
    return None if key is None else jax.random.fold_in(key, number)


def _wide(array):
    """The type in which scores and softmax are computed."""
    return jnp.promote_types(array.dtype, jnp.float32)


def _lowest(array):
    """Finite, so that a row whose source is padding alone yields numbers and not NaN."""
    return jnp.finfo(array.dtype).min


def _param_dtype(dtype):
    return jnp.float64 if dtype == jnp.float64 else jnp.float32


def _normal(config: BartConfig):
    return nnx.initializers.normal(config.init_std)


def _linear(config: BartConfig, inputs: int, outputs: int, rngs: nnx.Rngs, dtype) -> nnx.Linear:
    return nnx.Linear(
        inputs, outputs, kernel_init=_normal(config), dtype=dtype, param_dtype=_param_dtype(dtype), rngs=rngs
    )


def _layer_norm(config: BartConfig, rngs: nnx.Rngs, dtype) -> nnx.LayerNorm:
    # BART's: Flax's defaults (1e-6, and a variance that loses digits) are others.
    return nnx.LayerNorm(
        config.d_model, epsilon=1e-5, use_fast_variance=False, dtype=dtype, param_dtype=_param_dtype(dtype), rngs=rngs
    )


def _embedding(config: BartConfig, rows: int, rngs: nnx.Rngs, dtype, zero_row: int | None = None) -> nnx.Embed:
    def initial(key, shape, dtype=jnp.float32):
        table = _normal(config)(key, shape, dtype)
        return table if zero_row is None else table.at[zero_row].set(0)

    return nnx.Embed(
        rows, config.d_model, embedding_init=initial, dtype=dtype, param_dtype=_param_dtype(dtype), rngs=rngs
    )
