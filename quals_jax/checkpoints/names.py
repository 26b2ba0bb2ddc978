"""Names of tensors as different programs write them, brought to the one that the model's own file has."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from quals_jax.checkpoints.errors import CheckpointError

# What wraps a module in PyTorch puts its own name in front of every tensor: DataParallel and DistributedDataParallel; torch.compile.
WRAPPERS = ("module.", "_orig_mod.")
VERSION = re.compile(r"(model\.)?(en|de)coder\.version")  # a number of fairseq's layout, which no model has a use for


def plain_names(tensors: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """The tensors without the prefix that wrappers put in front of every name (a warning says which), and without version numbers.

    Raises:
        CheckpointError: if two tensors would have one name.
    """
    prefix = ""
    while tensors and (own := next((own for own in WRAPPERS if all(map(_begins(prefix + own), tensors))), None)):
        prefix += own
    if prefix:
        warnings.warn(f"{path}: every tensor's name begins with {prefix!r}; it is left out", stacklevel=2)
    plain = {name.removeprefix(prefix): array for name, array in tensors.items()}
    if len(plain) < len(tensors):
        raise CheckpointError(f"has tensors of one name but for {prefix!r}")
    return {name: array for name, array in plain.items() if not VERSION.fullmatch(name)}


def _begins(prefix: str):
    return lambda name: name.startswith(prefix)
