"""What a `dtype` means, the same on every back end: the type of parameters and activations, and how exact matrix products are.

Left alone, JAX computes a float32 product in TF32 on a GPU and in one bfloat16 pass on a TPU. So nothing is left alone: whatever is
traced inside `Precision.scope()` carries its precision in the program, gradients included.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Precision:
    """name: what the user asked for. compute: the type of activations and of the operands of matrix products. master: the type of
    parameters in training, and of what must stay exact (norms, softmax, log-probabilities, scores). products: JAX's name for how a
    product is computed."""

    name: str
    compute: jnp.dtype
    master: jnp.dtype
    products: str

    @classmethod
    def of(cls, name: str) -> Precision:
        """The precision of that name.

        Raises:
            ValueError: if there is none.
        """
        if name not in PRECISIONS:
            raise ValueError(f"dtype is {name!r}; it must be one of {', '.join(PRECISIONS)}")
        return PRECISIONS[name]

    @classmethod
    def of_model(cls, model) -> Precision:
        """The precision that a model's own type stands for."""
        return cls.of(jnp.dtype(model.dtype).name)

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Every matrix product that is traced inside is computed so. Ranks may differ inside, whatever the user's own programs forbid."""
        with jax.default_matmul_precision(self.products), jax.numpy_rank_promotion("allow"):
            yield

    def scoped(self, function: Callable) -> Callable:
        """The function, traced inside `scope`."""

        @wraps(function)
        def run(*arguments, **named):
            with self.scope():
                return function(*arguments, **named)

        return run

    def require(self, devices: Sequence[jax.Device]) -> None:
        """Raises ValueError if these devices cannot compute so."""
        others = {device.platform for device in devices} - {"gpu", "cuda", "rocm"}
        if self.name == "tf32" and others:
            raise ValueError(f"dtype tf32 is of GPUs alone, and this is a {', '.join(sorted(others))}; use float32")

    def prepare(self) -> None:
        """Switches JAX's x64 mode on where float64 needs it (tests)."""
        if self.name == "float64":
            jax.config.update("jax_enable_x64", True)


PRECISIONS = {
    "float32": Precision("float32", jnp.dtype("float32"), jnp.dtype("float32"), "highest"),
    "tf32": Precision("tf32", jnp.dtype("float32"), jnp.dtype("float32"), "TF32_TF32_F32"),
    "bfloat16": Precision("bfloat16", jnp.dtype("bfloat16"), jnp.dtype("float32"), "default"),
    "float64": Precision("float64", jnp.dtype("float64"), jnp.dtype("float64"), "highest"),
}
