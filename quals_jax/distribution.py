"""The QUALS of reference summaries, kept in a file beside the model that gave them: what a score is compared with as a percentile."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

FILE = "quals_distribution.json"
WEIGHTS = re.compile(r"model:\S*@([0-9a-f]{8})\b")  # the beginning of the fingerprint, in a signature


def read_distribution(folder: Path, fingerprint: str) -> dict | None:
    """The distribution beside the model with these weights: `what` was scored, `signature`, and `quals`, sorted. None where there is
    none, or one of other weights, which a warning names.

    Raises:
        ValueError: naming a file that is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"))
        signature, quals = values["signature"], values["quals"]
        numbers = all(type(score) in (int, float) and math.isfinite(score) for score in quals)
        whole = isinstance(signature, str) and isinstance(quals, list) and quals and numbers and quals == sorted(quals)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(f"{path}: is damaged; write it again with `python -m quals_jax distribution`, or remove it")
    if not same_weights(fingerprint, values.get("weights"), signature):
        warnings.warn(
            f"{path}: was made with other weights than the model's, so there are no percentiles;"
            " write it again with `python -m quals_jax distribution`",
            stacklevel=2,
        )
        return None
    return values


def same_weights(fingerprint: str, weights: object, signature: str) -> bool:
    """Whether scores with this signature are of the weights with this fingerprint, `weights` being theirs where it was noted."""
    if isinstance(weights, str) and weights:
        return weights == fingerprint
    found = WEIGHTS.search(signature)
    return bool(found) and found[1] == fingerprint[:8]


def is_of(folder: Path, fingerprint: str) -> bool:
    """Whether the distribution in the folder is of the model with this fingerprint, wherever that lies."""
    try:
        values = json.loads((folder / FILE).read_text(encoding="utf-8-sig"))
        return same_weights(fingerprint, values.get("weights"), values["signature"])
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def write_distribution(folder: Path, what: str, signature: str, weights: str, quals: Sequence[float]) -> Path:
    """Writes the file, scores sorted and with four decimals; its path.

    Raises:
        OSError: if it cannot be written.
    """
    values = {"what": what, "signature": signature, "weights": weights, "quals": sorted(round(q, 4) for q in quals)}
    path = folder / FILE
    path.write_text(json.dumps(values) + "\n", encoding="utf-8")
    return path
