"""The sizes of a BART, and what they may be."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from quals_jax.models.layers import ACTIVATIONS
from quals_jax.models.sizes import is_number, is_whole, read_fields, require

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
            require(self, name, is_whole(getattr(self, name), least, most), f"a whole number from {least} to {most}")
        last = self.vocab_size - 1
        for name in IDS:
            require(self, name, is_whole(getattr(self, name), 0, last), f"an id, a whole number from 0 to {last}")
        for name in ("encoder_attention_heads", "decoder_attention_heads"):
            heads = getattr(self, name)
            require(self, "d_model", self.d_model % heads == 0, f"a multiple of {name}, {heads}")
        for name in RATES:
            rate = getattr(self, name)
            require(self, name, is_number(rate) and 0 <= rate < 1, "at least 0 and less than 1")
        require(self, "init_std", is_number(self.init_std) and 0 <= self.init_std < 100, "a number from 0 to 100")
        require(self, "scale_embedding", isinstance(self.scale_embedding, bool), "true or false")
        known = isinstance(self.activation_function, str) and self.activation_function in ACTIVATIONS
        require(self, "activation_function", known, f"one of {', '.join(ACTIVATIONS)}")

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
        return cls(**read_fields(cls, values))

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)
