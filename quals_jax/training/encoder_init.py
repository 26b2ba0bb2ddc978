"""How a BERT begins: as the encoder of a BART (the two differ in their names, and in BERT's segments alone), or as one that compares."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import nnx

from quals_jax.models.bart import POSITION_OFFSET, Bart
from quals_jax.models.bert import Bert, BertConfig

COMPARING, SHARPNESS = 2, 1.2  # heads of a layer; at a width of 192 a piece's logit with itself is then about 6
SAME_LAYER = {
    "self_attn.q_proj": "query",
    "self_attn.k_proj": "key",
    "self_attn.v_proj": "value",
    "self_attn.out_proj": "mixed",
    "self_attn_layer_norm": "attention_norm",
    "fc1": "widen",
    "fc2": "narrow",
    "final_layer_norm": "norm",
}


def encoder_of(bart: Bart, *, head: str, seed: int, dtype=jnp.float32) -> Bert:
    """A BERT whose hidden states, until its segments are trained apart, are nearly those of the BART's encoder; the head is drawn.

    Raises:
        ValueError: if the BART scales its embeddings, which no BERT does.
    """
    own = bart.config
    if own.scale_embedding:
        raise ValueError("this BART scales its embeddings; a BERT cannot begin as its encoder")
    config = BertConfig(
        vocab_size=own.vocab_size,
        hidden_size=own.d_model,
        num_hidden_layers=own.encoder_layers,
        num_attention_heads=own.encoder_attention_heads,
        intermediate_size=own.encoder_ffn_dim,
        max_position_embeddings=own.max_position_embeddings,
        hidden_act=own.activation_function,
        hidden_dropout_prob=own.dropout,
        attention_probs_dropout_prob=own.attention_dropout,
        layer_norm_eps=1e-5,
        pad_token_id=own.pad_token_id,
    )
    bert = Bert(config, head=head, rngs=nnx.Rngs(seed), dtype=dtype)
    _copy(bart.shared, bert.words)
    _copy(bart.encoder.layernorm_embedding, bert.embedding_norm)
    table = np.asarray(bart.encoder.embed_positions.embedding[...])
    bert.positions.embedding[...] = jnp.asarray(table[POSITION_OFFSET:])
    segments = np.array(bert.segments.embedding[...])
    segments[0] = 0
    bert.segments.embedding[...] = jnp.asarray(segments)
    for theirs, ours in zip(bart.encoder.layers, bert.layers, strict=True):
        for path, name in SAME_LAYER.items():
            part = theirs
            for step in path.split("."):
                part = getattr(part, step)
            _copy(part, getattr(ours, name))
    return bert


def compare_init(bert: Bert, *, seed: int, heads: int = COMPARING) -> None:
    """Overwrites weights of a trained BERT in place, so that it soon compares a claim with a text.

    The first `heads` heads of every layer begin with keys made as queries are: in the first layer like pieces attend to each
    other, in the next ones pieces in like surroundings. And the two segments exchange their embeddings: a reader has its question in the
    first and the text in the second, where FactCC has the text in the first and the claim, which takes the question's part, in the second.
    """
    generator, width = np.random.default_rng(seed), bert.config.hidden_size
    dim = width // bert.config.num_attention_heads
    for layer in bert.layers:
        for head in range(heads):
            own = slice(head * dim, (head + 1) * dim)
            kernel = SHARPNESS * np.linalg.qr(generator.normal(size=(width, dim)))[0]
            for part in (layer.query, layer.key):
                part.kernel[...] = part.kernel[...].at[:, own].set(jnp.asarray(kernel, part.kernel[...].dtype))
                part.bias[...] = part.bias[...].at[own].set(0)
    bert.segments.embedding[...] = bert.segments.embedding[...][::-1]


def _copy(source: nnx.Module, target: nnx.Module) -> None:
    for path, variable in nnx.to_flat_state(nnx.state(source)):
        getattr(target, path[-1])[...] = variable[...]
