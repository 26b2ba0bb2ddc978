"""Programs with kernels, lowered for devices that are not there."""

from contextlib import nullcontext

import jax
from jax.sharding import AbstractDevice, AbstractMesh, use_abstract_mesh

# Newer versions of JAX lower a Triton kernel for one kind of GPU, and ask for it.
H100 = AbstractMesh((), (), abstract_device=AbstractDevice("NVIDIA H100 80GB HBM3", 132, "gpu"))


def lowered(function, *arrays: jax.ShapeDtypeStruct, platform: str) -> str:
    """The text of a jitted function of such arrays, as it is compiled for cpu, cuda or tpu."""
    with use_abstract_mesh(H100) if platform == "cuda" else nullcontext():
        return function.trace(*arrays).lower(lowering_platforms=(platform,)).as_text()
