"""The sizes of a T5 or mT5, and what they may be."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from quals_jax.models.layers import ACTIVATIONS
from quals_jax.models.sizes import is_number, is_whole, read_fields, require

MOST_POSITIONS = 2**16  # T5 has no table that ends; this is where a text is a mistake
NETWORKS = {"gelu": "gelu_new"}  # "gated-gelu" of a config.json is the approximate GELU
# The least and the most that a size may be.
SIZES = {
    "vocab_size": (4, 10**7),
    "d_model": (1, 10**5),
    "d_kv": (1, 10**5),
    "d_ff": (1, 10**6),
    "num_layers": (1, 200),
    "num_decoder_layers": (1, 200),
    "num_heads": (1, 10**5),
    "relative_attention_num_buckets": (4, 10**5),
    "relative_attention_max_distance": (4, 10**6),
}
IDS = ("pad_token_id", "eos_token_id", "decoder_start_token_id")


@dataclass(frozen=True)
class T5Config:
    """The sizes of a T5 or mT5, under the names of Hugging Face's `config.json`.

    num_decoder_layers: as many as the encoder's, unless given. scale_decoder_outputs: whether the decoder's states are scaled by
    d_model ** -0.5 before the output table (version 1.0). own_output: whether that table is another than the embeddings'.
    """

    vocab_size: int
    d_model: int
    d_kv: int
    d_ff: int
    num_layers: int
    num_heads: int
    num_decoder_layers: int | None = None
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    initializer_factor: float = 1.0
    feed_forward_proj: str = "relu"
    scale_decoder_outputs: bool = True
    own_output: bool = False
    model_type: str = "t5"
    pad_token_id: int = 0
    eos_token_id: int = 1
    decoder_start_token_id: int = 0

    def __post_init__(self):
        """Raises a ValueError for the first field that no model can be made of: these values come from files."""
        if self.num_decoder_layers is None:
            object.__setattr__(self, "num_decoder_layers", self.num_layers)
        for name, (least, most) in SIZES.items():
            require(self, name, is_whole(getattr(self, name), least, most), f"a whole number from {least} to {most}")
        buckets = self.relative_attention_num_buckets
        require(self, "relative_attention_num_buckets", buckets % 4 == 0, "a multiple of 4")
        farthest = self.relative_attention_max_distance > buckets // 2
        require(self, "relative_attention_max_distance", farthest, f"above {buckets // 2}")
        last = self.vocab_size - 1
        for name in IDS:
            require(self, name, is_whole(getattr(self, name), 0, last), f"an id, a whole number from 0 to {last}")
        for name in ("dropout_rate", "layer_norm_epsilon"):
            rate = getattr(self, name)
            require(self, name, is_number(rate) and 0 <= rate < 1, "at least 0 and less than 1")
        factor = self.initializer_factor
        require(self, "initializer_factor", is_number(factor) and 0 <= factor < 100, "a number from 0 to 100")
        require(self, "scale_decoder_outputs", isinstance(self.scale_decoder_outputs, bool), "true or false")
        known = isinstance(self.feed_forward_proj, str) and self.activation in ACTIVATIONS
        names = ", ".join(f"{name}, gated-{name}" for name in ACTIVATIONS)
        require(self, "feed_forward_proj", known, f"one of {names}")

    @property
    def gated(self) -> bool:
        return self.feed_forward_proj.startswith("gated-")

    @property
    def activation(self) -> str:
        """The name of the feed-forward network's activation."""
        name = self.feed_forward_proj.removeprefix("gated-")
        return NETWORKS.get(name, name) if self.gated else name

    @property
    def dropout(self) -> float:
        """One rate for states, attention and activations."""
        return self.dropout_rate

    attention_dropout = activation_dropout = dropout

    @property
    def max_positions(self) -> int:
        """The most tokens that a source or a target may have."""
        return MOST_POSITIONS

    @classmethod
    def from_dict(cls, values: dict) -> T5Config:
        """The configuration in the contents of a `config.json`; keys that the model has no use for are ignored.

        Whether the decoder's states are scaled is said outright by newer files, and by `tie_word_embeddings` in older ones (false:
        version 1.1); mT5's never are, whatever its files say.

        Raises:
            ValueError: if a size is missing, naming all that are, or a value cannot be.
        """
        given = read_fields(cls, values)
        if given.get("model_type") == "mt5":
            given["scale_decoder_outputs"] = False
        given.setdefault("scale_decoder_outputs", values.get("tie_word_embeddings") is not False)
        return cls(**given)

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)
