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
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from quals_jax.kernels import Kernels
from quals_jax.kernels.cache_attention import attend_in_kernel
from quals_jax.kernels.encoder_attention import fits, fused_attention
from quals_jax.models.wide_einsum import wide_einsum

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

    @property
    def max_positions(self) -> int:
        """The most tokens that a source or a target may have."""
        return self.max_position_embeddings

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
    """Keys and values of the tokens decoded so far; positions from `length` on hold nothing yet.

    With `ancestors` keys and values stay in the slot they were written to when beams change their parents, and the table says which slot
    that is (`kernels/cache_attention.py`).
    """

    keys: tuple[Float[Array, "batch beam head time dim"], ...]
    values: tuple[Float[Array, "batch beam head time dim"], ...]
    length: Int[Array, ""]
    ancestors: Int[Array, "batch beam time"] | None = None


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
        weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1).astype(value.dtype)
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
        self.final_logits_bias = Buffer(jnp.zeros((config.vocab_size,), _param_dtype(dtype)))

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
        graph, weights = stacked(self.encoder.layers)
        numbers = jnp.arange(1, 1 + len(self.encoder.layers))

        def run(states, layer):
            weights, number = layer
            key = _fold(dropout_key, number)
            return nnx.merge(graph, weights)(states, source_mask, self.config, key, self.kernels.attention), None

        return jax.lax.scan(self._recomputed(run), states, (weights, numbers))[0]

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
        if cache is None:
            return self._teacher_force(target_ids, memory, dropout_key), None
        if target != 1:
            raise ValueError(f"target_ids has {target} positions; against a cache it must have 1")
        states = self._embed(self.decoder, target_ids, cache.length[None], dropout_key)
        ancestors = cache.ancestors
        if ancestors is not None:  # of the new token: every beam itself
            ancestors = ancestors.at[:, :, cache.length].set(jnp.arange(ancestors.shape[1], dtype=ancestors.dtype))
        layers = []
        # Unrolled: a scan over the layers would copy the cache into and out of its loop at every step.
        for number, layer in enumerate(self.decoder.layers):
            cached = (cache.keys[number], cache.values[number], cache.length, ancestors)
            states, cached = layer(
                states, memory.keys[number], memory.values[number], memory.mask, cached, self.config,
                _fold(dropout_key, 1 + number),
            )  # fmt: skip
            layers.append(cached)
        keys, values = zip(*layers, strict=True)
        return states, Cache(keys, values, cache.length + 1, ancestors)

    def _teacher_force(self, target_ids, memory: Memory, dropout_key) -> Float[Array, "batch beam target model"]:
        """All positions at once, each attending to those before it: training, and scoring."""
        states = self._embed(self.decoder, target_ids, jnp.arange(target_ids.shape[-1]), dropout_key)
        graph, weights = stacked(self.decoder.layers)
        numbers = jnp.arange(1, 1 + len(self.decoder.layers))

        def run(states, layer):
            weights, keys, values, number = layer
            key = _fold(dropout_key, number)
            return nnx.merge(graph, weights)(states, keys, values, memory.mask, None, self.config, key)

        layers = (weights, jnp.stack(memory.keys), jnp.stack(memory.values), numbers)
        return jax.lax.scan(self._recomputed(run), states, layers)[0]

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
        return Dropout(_fold(dropout_key, 0)).drop(states, self.config.dropout)

    def _recomputed(self, run):
        return jax.checkpoint(run, prevent_cse=False) if self.remat else run


def stacked(layers: nnx.List) -> tuple[nnx.GraphDef, nnx.State]:
    """Equal layers as one, each parameter with a first axis `layer`, for `lax.scan`: one layer is compiled instead of all. The copy
    costs a program one pass over the weights, little beside its products."""
    graphs, states = zip(*map(nnx.split, layers), strict=True)
    return graphs[0], jax.tree.map(lambda *arrays: jnp.stack(arrays), *states)


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
    weights = jax.nn.softmax(jnp.where(mask, scores, _lowest(scores)), axis=-1).astype(value.dtype)
    return jnp.einsum("bhts,bshd->bthd", keys.drop(weights, rate), value)


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
    weights = jax.nn.softmax(jnp.where(held, scores, -jnp.inf), axis=-1).astype(value.dtype)
    mixed = jnp.einsum("bpht,bphtd->bphd", weights[..., :-1], values) + weights[..., -1:] * value
    return mixed, written(keys, key, length), written(values, value, length)


def write_first(query, key, value, keys, values, length, *, bias=None):
    """`attend_to_cache`, the new token in its place."""
    keys, values = written(keys, key, length), written(values, value, length)
    scores, places = wide_einsum("bphd,bphtd->bpht", query, keys), jnp.arange(keys.shape[3])
    if bias is not None:
        scores = scores + jnp.where(places == length, bias[:, -1:], bias[:, :-1])
    weights = jax.nn.softmax(jnp.where(places <= length, scores, -jnp.inf), axis=-1).astype(value.dtype)
    return jnp.einsum("bpht,bphtd->bphd", weights, values), keys, values


def written(cached: Float[Array, "batch beam head time dim"], new: Float[Array, "batch beam head dim"], length):
    """The cache with a token at position `length`."""
    return jax.lax.dynamic_update_slice_in_dim(cached, new[:, :, :, None], length, axis=3)


def attend_fused(query, key, value, mask, keys: Dropout, rate: float) -> Float[Array, "batch source head dim"]:
    """`attend` of a text to itself by the back end's own kernel, where that takes it: none of them drops weights."""
    if not fits(query) or (keys.key is not None and rate):
        return attend(query, key, value, mask, keys, rate)
    keys.uses += 1

    def plain(query, key, value, mask):
        return attend(query, key, value, mask[:, None, None, :], Dropout(None), 0.0)

    return fused_attention(query, key, value, mask[:, 0, 0], plain)


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


class LayerNorm(nnx.LayerNorm):
    """Computed in float32 at least, whatever the states' type."""

    def __call__(self, states: Float[Array, "... model"]) -> Float[Array, "... model"]:
        return super().__call__(states).astype(states.dtype)


def _layer_norm(config: BartConfig, rngs: nnx.Rngs, dtype) -> LayerNorm:
    # BART's: Flax's defaults (1e-6, and a variance that loses digits) are others.
    wide = _param_dtype(dtype)
    return LayerNorm(config.d_model, epsilon=1e-5, use_fast_variance=False, dtype=wide, param_dtype=wide, rngs=rngs)


def _embedding(config: BartConfig, rows: int, rngs: nnx.Rngs, dtype, zero_row: int | None = None) -> nnx.Embed:
    def initial(key, shape, dtype=jnp.float32):
        table = _normal(config)(key, shape, dtype)
        return table if zero_row is None else table.at[zero_row].set(0)

    return nnx.Embed(
        rows, config.d_model, embedding_init=initial, dtype=dtype, param_dtype=_param_dtype(dtype), rngs=rngs
    )
