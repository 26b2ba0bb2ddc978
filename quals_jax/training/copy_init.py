"""Initial weights under which a small BART copies what it reads: names are learnt in minutes instead of hours.

The model stays a plain BART; only where it starts differs from a random draw:
- the first learned positions are sinusoids, in dimensions of their own;
- in cross-attention, keys are made as queries are, and the output undoes the values: equal tokens attend to one
  another, and what is attended to is passed on;
- some heads of the first layers look one place left or right (encoder), one or two places back (decoder): their query
  is their key, turned by that many places;
- pieces that differ in a leading space alone ("Mar", " Mar") start alike.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from quals_jax.models.bart import POSITION_OFFSET, Bart

BASE = 100  # of the sinusoids: sharper than the usual 10,000, as texts here are short
POSITION_SHARE = 1 / 3  # of the width
TWIN_SHARE = 0.7
LOOK_SHARPNESS = 2.5


def copy_init(model: Bart, *, seed: int, twins: list[tuple[int, int]] = ()) -> None:
    """Overwrites the initial weights of `model` in place. `twins` are pairs of ids whose embeddings start alike."""
    generator = np.random.default_rng(seed)
    width = model.config.d_model
    placed = int(width * POSITION_SHARE) // 2 * 2  # the last dimensions hold positions
    table = generator.normal(size=(model.config.vocab_size, width))
    table[:, width - placed :] *= 0.1
    for first, second in twins:
        table[first] = TWIN_SHARE * table[second] + (1 - TWIN_SHARE**2) ** 0.5 * table[first]
    table[model.config.pad_token_id] = 0
    # Logits are products of states (of length sqrt(width)) with this table: at this scale they start near a standard
    # deviation of 1.
    scale = width**-0.5
    _set(model.shared.embedding, scale * table)
    for side in (model.encoder, model.decoder):
        rows = side.embed_positions.embedding.shape[0] - POSITION_OFFSET
        positions = np.zeros((rows + POSITION_OFFSET, width))
        positions[POSITION_OFFSET:, width - placed :] = sinusoids(rows, placed)
        _set(side.embed_positions.embedding, scale * positions)
    for layers in (model.encoder.layers, model.decoder.layers):
        for layer in layers:
            for attention in (layer.self_attn, *([layer.encoder_attn] if hasattr(layer, "encoder_attn") else [])):
                for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    _set(getattr(attention, name).kernel, generator.normal(size=(width, width)) * width**-0.5)
            inner = layer.fc1.kernel.shape[1]
            _set(layer.fc1.kernel, generator.normal(size=(width, inner)) * width**-0.5)
            _set(layer.fc2.kernel, generator.normal(size=(inner, width)) * inner**-0.5 * 0.5)
    for layer in model.decoder.layers:
        attention = layer.encoder_attn
        query = np.array(attention.q_proj.kernel[...])
        query[width - placed :] = 0  # places in the source and in the target have nothing to do with each other
        _set(attention.q_proj.kernel, query)
        _set(attention.k_proj.kernel, query)
        _set(attention.out_proj.kernel, np.asarray(attention.v_proj.kernel[...]).T)
    _look(model.encoder.layers[0].self_attn, width, placed, (-1, 1))
    _look(model.decoder.layers[0].self_attn, width, placed, (-1, -2))


def sinusoids(rows: int, width: int) -> np.ndarray:
    """[rows, width]: cosine and sine side by side, from a frequency of 1 down to 1 / BASE."""
    frequencies = BASE ** -(np.arange(width // 2) / (width // 2))
    angles = np.arange(rows)[:, None] * frequencies
    return 2**0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(rows, width)


def _look(attention, width: int, placed: int, steps: tuple[int, ...]) -> None:
    """A third of the heads attends `steps[0]` places away, a third `steps[1]`; the others stay as they are."""
    query, key = np.array(attention.q_proj.kernel[...]), np.array(attention.k_proj.kernel[...])
    dim = width // attention.num_heads
    pairs = min(dim, placed) // 2
    frequencies = BASE ** -(np.arange(placed // 2) / (placed // 2))
    for number, step in enumerate(steps):
        for head in range(number * attention.num_heads // 3, (number + 1) * attention.num_heads // 3):
            columns = slice(head * dim, (head + 1) * dim)
            query[:, columns], key[:, columns] = 0, 0
            for pair in range(pairs):  # the highest frequencies tell neighbours apart best
                rows = slice(width - placed + 2 * pair, width - placed + 2 * pair + 2)
                at = slice(head * dim + 2 * pair, head * dim + 2 * pair + 2)
                angle = step * frequencies[pair]
                turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
                key[rows, at] = LOOK_SHARPNESS * np.eye(2)
                query[rows, at] = LOOK_SHARPNESS * turn
    _set(attention.q_proj.kernel, query)
    _set(attention.k_proj.kernel, key)


def _set(variable, values: np.ndarray) -> None:
    variable[...] = jnp.asarray(values, variable.dtype)
