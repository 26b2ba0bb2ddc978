"""A QAGen of random weights that fits any machine: all bytes as tokens, and a liking for its connector and its end."""

from pathlib import Path

import numpy as np
from flax import nnx

from quals_jax.checkpoints import export, save_huggingface
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.tokenizer import Tokenizer


def make_tiny_qagen(folder: Path, seed: int = 0) -> Path:
    """Writes it as a Hugging Face folder."""
    from tokenizers import pre_tokenizers

    pieces = ["<s>", "<pad>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "ĠstrutConnector"]
    connector = len(pieces) - 1
    settings = {
        "source_bos": False,
        "connector": " strutConnector",
        "connector_id": connector,
        "max_source_tokens": 127,
    }
    tokenizer = Tokenizer(
        {piece: number for number, piece in enumerate(pieces)}, [], connector_id=connector, max_source_tokens=127
    )
    config = BartConfig(
        vocab_size=len(pieces), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=128, init_std=0.3,
    )  # fmt: skip
    tensors = export(Bart(config, rngs=nnx.Rngs(seed)))
    bias = np.zeros((1, len(pieces)), np.float32)
    letters = [pieces.index(letter) for letter in "aet"]
    bias[0, [connector, 2]] = 5.0
    bias[0, letters] = 4.0
    tensors["final_logits_bias"] = bias
    # Tied embeddings make a random model repeat itself; quieter states leave the choice to the bias.
    name = "model.decoder.layers.0.final_layer_norm.weight"
    tensors[name] = 0.05 * tensors[name]
    save_huggingface(folder, config, tensors, extra={"quals_jax": settings})
    tokenizer.save(folder)
    return folder
