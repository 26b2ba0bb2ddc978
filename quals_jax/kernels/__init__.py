"""Kernels of our own in Pallas, each beside a plain JAX twin that is what runs unless it is asked for.

None of them has run on an accelerator yet: compilers took them, and Pallas' interpreter compares them with their twins. So none is ever a
default; `Kernels` says which are wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

import jax


@dataclass(frozen=True)
class Kernels:
    """Which kernels programs are made with.

    choice: of the groups' candidates (`group_choice.py`), the same to the last bit. cache: a decoding step's attention to what
    was decoded, which is then never moved (`cache_attention.py`), of BART and GPUs alone. attention: the encoder's, in bfloat16
    (`encoder_attention.py`), of BART alone; the same but for rounding.
    """

    choice: bool = False
    cache: bool = False
    attention: bool = False

    @classmethod
    def of(cls, names: str) -> Kernels:
        """Those named, with commas between: "choice"; "" or "none": none of them; "all".

        Raises:
            ValueError: naming what is no kernel.
        """
        known = [field.name for field in fields(cls)]
        wanted = {"": [], "none": [], "all": known}.get(names, names.split(","))
        if strange := [name for name in wanted if name not in known]:
            raise ValueError(f"kernels is {names!r}; {strange[0]!r} is none of {', '.join(known)} (or all, or none)")
        return cls(**dict.fromkeys(wanted, True))

    def require(self, model, platform: str) -> None:
        """Raises ValueError if there are some among these that the model's architecture does not take, or the platform."""
        if self.cache and platform == "tpu":
            raise ValueError("kernels: cache is of GPUs alone, and this is a tpu; name others")
        if others := [name for name in self._names() if name not in model.takes_kernels]:
            taken = ", ".join(model.takes_kernels)
            raise ValueError(f"kernels: {type(model).__name__} does not take {', '.join(others)}; it takes {taken}")

    def changing(self, dtype: str) -> str:
        """Those that may change the last digits in this dtype, "+" between them, as a signature says it."""
        exact = {"choice"} if dtype == "bfloat16" else {"choice", "attention"}
        return "+".join(name for name in self._names() if name not in exact)

    def _names(self) -> list[str]:
        return [field.name for field in fields(self) if getattr(self, field.name)]


def on_this_platform(call: Callable, *arrays: jax.Array, warps: int = 4):
    """`call(*arrays, interpret=..., compiler_params=...)` as the platform that is lowered for needs it: by Triton on GPUs, by Mosaic on TPUs,
    and by Pallas' interpreter (slow) on CPUs, which have no compiler for kernels."""
    from jax.experimental.pallas import triton

    return jax.lax.platform_dependent(
        *arrays,
        cpu=partial(call, interpret=True, compiler_params=None),
        tpu=partial(call, interpret=False, compiler_params=None),
        default=partial(call, interpret=False, compiler_params=triton.CompilerParams(num_warps=warps)),
    )
