"""What a training step wants of a device's memory: from its compiled program, or by a formula where that device is not at hand."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from quals_jax import parallel

GIGABYTE = 1e9
LOGITS = 2**25  # elements of them that the losses make at a time


@dataclass(frozen=True)
class Sizes:
    """What of a model decides its activations. layers: of the encoder and of the decoder together."""

    layers: int
    model: int
    inner: int
    heads: int
    item: int  # bytes of a number in a product
    remat: bool


def batch_structs(batch, mesh: Mesh, parts: int):
    """The shapes of a batch as the step gets it: with rows added until devices and parts have equal numbers."""
    rows = NamedSharding(mesh, PartitionSpec(parallel.AXIS))

    def struct(array):
        count = -(-array.shape[0] // (mesh.size * parts)) * mesh.size * parts
        return jax.ShapeDtypeStruct((count, *array.shape[1:]), array.dtype, sharding=rows)

    return jax.tree.map(struct, batch)


def compiled_bytes(train_step, state_shapes, batch) -> int:
    """Bytes that the compiled step holds on each device at once: arguments, results and what lies between.

    On a CPU the devices are one machine's, and the figure is that of all of them.
    """
    found = train_step.lower(state_shapes, batch).compile().memory_analysis()
    own = (
        found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes + found.temp_size_in_bytes
    )
    return int(own) * (jax.local_device_count() if jax.default_backend() == "cpu" else 1)


def state_bytes(state_shapes) -> int:
    """Bytes of parameters, optimizer state and the rest of what a checkpoint holds."""
    return sum(math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(state_shapes))


def formula_bytes(state: int, parameters: int, batch, sizes: Sizes, *, parts: int, devices: int, sharded: bool) -> int:
    """An estimate of `compiled_bytes`: the state, the gradients in float32 and the updates made of them, the parameters in the type of
    products, and the activations of one part's rows.

    Of every position of a layer are kept about 8 vectors of the model's width, 2 of the inner width, and attention's
    probabilities in float32 and in the product's type (with dropout's mask), for itself and for its source. With `remat` each
    layer's input alone is kept, and one layer's inside. It is within 8% of what the TPU's compiler says of BART-large's training steps
    (docs/training.md); with `remat`, of BART-large's and T5-large's, from 13% below to 14% above it.
    """
    in_pieces = sharded and devices > 1
    held = (state + (2 + (parts > 1)) * 4 * parameters) // (devices if in_pieces else 1)
    held += sizes.item * parameters if in_pieces or sizes.item < 4 else 0  # brought together, and cast, for the step
    inside, inputs, most = 0.0, 0.0, 0.0
    for part in batch.values():
        rows = -(-part["source_ids"].shape[0] // (devices * parts))
        source = part["source_ids"].shape[1]
        layer = rows * source * _position(sizes, source)
        inside, inputs, most = inside + layer, inputs + rows * source * sizes.model * sizes.item, max(most, layer)
        if "target_ids" in part and part["target_ids"].ndim == 3:
            _, pair, target = part["target_ids"].shape
            positions = rows * pair * target
            layer = positions * (_position(sizes, target) + _attention(sizes, source) + 4 * sizes.model * sizes.item)
            inside, inputs = inside + layer, inputs + positions * sizes.model * sizes.item
            most = max(most, layer)
    half = sizes.layers / 2
    activations = half * inputs + 2 * most if sizes.remat else half * inside
    return int(held + activations + 3 * 4 * LOGITS)


def _position(sizes: Sizes, keys: int) -> float:
    return (8 * sizes.model + 2 * sizes.inner) * sizes.item + _attention(sizes, keys)


def _attention(sizes: Sizes, keys: int) -> float:
    return sizes.heads * keys * (4 + sizes.item + 1)


def device_bytes(device: jax.Device) -> int | None:
    """What the device has for programs; of a CPU the machine's memory, or the part of it that its container may use."""
    stats = device.memory_stats() or {} if device.platform != "cpu" else {}
    if device.platform != "cpu":
        return stats.get("bytes_limit")
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limits.append(int(file.read()))
    except (OSError, ValueError):  # no container, or no limit
        pass
    return min(limits)


def sizes_of(config, *, item: int, remat: bool) -> Sizes:
    """The sizes of a BART, T5 or BERT, which call them by different names."""

    def first(*names: str) -> int:
        return next(getattr(config, name) for name in names if getattr(config, name, None) is not None)

    encoder = first("encoder_layers", "num_layers", "num_hidden_layers")
    decoder = 0 if hasattr(config, "num_hidden_layers") else first("decoder_layers", "num_decoder_layers", "num_layers")
    return Sizes(
        layers=encoder + decoder,
        model=first("d_model", "hidden_size"),
        inner=first("encoder_ffn_dim", "d_ff", "intermediate_size"),
        heads=first("encoder_attention_heads", "num_heads", "num_attention_heads"),
        item=item,
        remat=remat,
    )
