"""BERT (Devlin et al., NAACL 2019) in Flax NNX: an encoder with learned positions and segments, post-norm blocks, and one of two heads.

Axes: batch, source (positions), head, dim (per head), model (width), label. Masks are True where a position may be attended to.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from quals_jax.models.attention import attend
from quals_jax.models.layers import ACTIVATIONS, Dropout, LayerNorm, fold, param_dtype, scan_layers
from quals_jax.models.sizes import is_number, is_whole, read_fields, require

HEADS = ("none", "span", "labels")
# The least and the most that a size may be.
SIZES = {
    "vocab_size": (4, 10**6),
    "hidden_size": (1, 10**5),
    "num_hidden_layers": (1, 200),
    "num_attention_heads": (1, 10**5),
    "intermediate_size": (1, 10**6),
    "max_position_embeddings": (4, 10**6),
    "type_vocab_size": (1, 100),
    "num_labels": (1, 10**4),
}
RATES = ("hidden_dropout_prob", "attention_probs_dropout_prob")


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT, under the names of Hugging Face's `config.json`; the defaults are its own."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int = 0
    num_labels: int = 2

    def __post_init__(self):
        """Raises a ValueError for the first field that no model can be made of: these values come from files."""
        for name, (least, most) in SIZES.items():
            require(self, name, is_whole(getattr(self, name), least, most), f"a whole number from {least} to {most}")
        last = self.vocab_size - 1
        require(self, "pad_token_id", is_whole(self.pad_token_id, 0, last), f"a whole number from 0 to {last}")
        heads = self.num_attention_heads
        require(self, "hidden_size", self.hidden_size % heads == 0, f"a multiple of num_attention_heads, {heads}")
        for name in RATES:
            rate = getattr(self, name)
            require(self, name, is_number(rate) and 0 <= rate < 1, "at least 0 and less than 1")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            require(self, name, is_number(value) and 0 < value < 1, "between 0 and 1")
        known = isinstance(self.hidden_act, str) and self.hidden_act in ACTIVATIONS
        require(self, "hidden_act", known, f"one of {', '.join(ACTIVATIONS)}")

    @classmethod
    def from_dict(cls, values: dict) -> BertConfig:
        """The configuration in the contents of a `config.json`; keys that the model has no use for are ignored.

        Raises:
            ValueError: if a size is missing, naming all that are, or a value cannot be.
        """
        found = read_fields(cls, values)
        if values.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError(f"position_embedding_type is {values['position_embedding_type']!r}; it must be absolute")
        if isinstance(values.get("id2label"), dict) and values["id2label"]:
            found.setdefault("num_labels", len(values["id2label"]))
        return cls(**found)

    def to_dict(self) -> dict:
        values = dataclasses.asdict(self)
        labels = values.pop("num_labels")
        return values | {"id2label": {str(number): f"LABEL_{number}" for number in range(labels)}}

    @property
    def max_positions(self) -> int:
        """The most tokens that a source may have."""
        return self.max_position_embeddings

    @property
    def dropout(self) -> float:
        return self.hidden_dropout_prob

    @property
    def attention_dropout(self) -> float:
        return self.attention_probs_dropout_prob

    @property
    def activation_dropout(self) -> float:
        return 0.0


class Layer(nnx.Module):
    """Self-attention and a feed-forward network, and a norm behind each (post-norm)."""

    def __init__(self, config: BertConfig, *, rngs: nnx.Rngs, dtype):
        width, wide = config.hidden_size, config.intermediate_size
        self.query, self.key, self.value, self.mixed = (_linear(config, width, width, rngs, dtype) for _ in range(4))
        self.attention_norm = _layer_norm(config, rngs, dtype)
        self.widen = _linear(config, width, wide, rngs, dtype)
        self.narrow = _linear(config, wide, width, rngs, dtype)
        self.norm = _layer_norm(config, rngs, dtype)

    def __call__(self, states, mask: Bool[Array, "batch source"], config: BertConfig, dropout_key):
        keys, heads = Dropout(dropout_key), config.num_attention_heads

        def split(array):
            return array.reshape(*array.shape[:-1], heads, -1)

        with jax.named_scope("self_attention"):
            query = split(self.query(states) * (config.hidden_size // heads) ** -0.5)
            mixed = attend(
                query, split(self.key(states)), split(self.value(states)), mask[:, None, None, :], keys,
                config.attention_dropout,
            )  # fmt: skip
            mixed = self.mixed(mixed.reshape(states.shape))
            states = self.attention_norm(states + keys.drop(mixed, config.dropout))
        with jax.named_scope("feed_forward"):
            hidden = self.narrow(ACTIVATIONS[config.hidden_act](self.widen(states)))
            return self.norm(states + keys.drop(hidden, config.dropout))


class Bert(nnx.Module):
    """The encoder with a head: "span" (where an answer begins and ends), "labels" (what a text, or a pair of texts, is), or "none"."""

    def __init__(self, config: BertConfig, *, head: str = "none", rngs: nnx.Rngs, dtype=jnp.float32):
        if head not in HEADS:
            raise ValueError(f"head is {head!r}; it must be one of {', '.join(HEADS)}")
        self.config, self.head, self.dtype = config, head, dtype
        self.words = _embedding(config, config.vocab_size, rngs, dtype)
        self.positions = _embedding(config, config.max_position_embeddings, rngs, dtype)
        self.segments = _embedding(config, config.type_vocab_size, rngs, dtype)
        self.embedding_norm = _layer_norm(config, rngs, dtype)
        self.layers = nnx.List([Layer(config, rngs=rngs, dtype=dtype) for _ in range(config.num_hidden_layers)])
        if head == "span":
            self.span = _linear(config, config.hidden_size, 2, rngs, dtype)
        elif head == "labels":
            self.pooler = _linear(config, config.hidden_size, config.hidden_size, rngs, dtype)
            self.classifier = _linear(config, config.hidden_size, config.num_labels, rngs, dtype)

    def stacks(self) -> dict[str, nnx.Module]:
        """What has `layers` that are equal."""
        return {"encoder": self}

    def encode(
        self,
        source_ids: Int[Array, "batch source"],
        segment_ids: Int[Array, "batch source"],
        mask: Bool[Array, "batch source"] | None = None,
        *,
        dropout_key=None,
    ) -> Float[Array, "batch source model"]:
        """The last hidden states. Without a mask, padding is not attended to."""
        mask = source_ids != self.config.pad_token_id if mask is None else mask
        states = self.words(source_ids) + self.positions(jnp.arange(source_ids.shape[1])) + self.segments(segment_ids)
        states = Dropout(fold(dropout_key, 0)).drop(self.embedding_norm(states), self.config.dropout)

        def run(layer, states, key):
            return layer(states, mask, self.config, key)

        return scan_layers(self.layers, run, states, dropout_key=dropout_key)

    def span_logits(self, states: Float[Array, "batch source model"]) -> Float[Array, "batch source 2"]:
        """Logits, float32, of every position being the first and the last of the answer."""
        return _wide(self.span(states))

    def label_logits(
        self, states: Float[Array, "batch source model"], *, dropout_key=None
    ) -> Float[Array, "batch label"]:
        """Logits, float32, of the labels, from the first position through the pooler."""
        pooled = jnp.tanh(self.pooler(states[:, 0]))
        return _wide(self.classifier(Dropout(dropout_key).drop(pooled, self.config.dropout)))


def _wide(array):
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))


def _normal(config: BertConfig):
    return nnx.initializers.normal(config.initializer_range)


def _linear(config: BertConfig, inputs: int, outputs: int, rngs: nnx.Rngs, dtype) -> nnx.Linear:
    return nnx.Linear(
        inputs, outputs, kernel_init=_normal(config), dtype=dtype, param_dtype=param_dtype(dtype), rngs=rngs
    )


def _layer_norm(config: BertConfig, rngs: nnx.Rngs, dtype) -> LayerNorm:
    wide, epsilon = param_dtype(dtype), config.layer_norm_eps
    return LayerNorm(config.hidden_size, epsilon=epsilon, dtype=wide, param_dtype=wide, rngs=rngs)


def _embedding(config: BertConfig, rows: int, rngs: nnx.Rngs, dtype) -> nnx.Embed:
    return nnx.Embed(
        rows,
        config.hidden_size,
        embedding_init=_normal(config),
        dtype=dtype,
        param_dtype=param_dtype(dtype),
        rngs=rngs,
    )
