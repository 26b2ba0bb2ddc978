"""How a folder says that its summarizer is read and searched: fields of `config.json` and `generation_config.json`, checked before use."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

from quals_jax.checkpoints.errors import CheckpointError, shown

MOST = 10**6
T5_TYPES = ("t5", "mt5")
# Field -> the least and the most that a whole number may be. Lengths count the start token, and `max_length` the end as well.
WHOLE = {
    "num_beams": (1, 1000),
    "min_length": (0, MOST),
    "max_length": (3, MOST),
    "min_new_tokens": (0, MOST),
    "max_new_tokens": (2, MOST),
    "no_repeat_ngram_size": (0, MOST),
}
IDS = ("bos_token_id", "forced_bos_token_id")
SWITCHES = ("force_bos_token_to_be_generated",)
# What would change the search and is not followed, with the value that changes nothing.
UNFOLLOWED = {
    "do_sample": False,
    "repetition_penalty": 1,
    "encoder_no_repeat_ngram_size": 0,
    "num_beam_groups": 1,
    "diversity_penalty": 0,
    "bad_words_ids": None,
    "suppress_tokens": None,
}


def summarization(config: dict, path: Path) -> dict:
    """What the `config.json` of a T5 says of summarization in its `task_specific_params`, the `prefix` of documents and the search. BART's
    is not followed: it stands at the top level, too, where it counts.

    Raises:
        CheckpointError: naming the file, if that is no object.
    """
    if config.get("model_type") not in T5_TYPES:
        return {}
    found: object = config
    for name in ("task_specific_params", "summarization"):
        found = {} if found.get(name) is None else found[name]
        if not isinstance(found, dict):
            raise CheckpointError(f"{path}: {name} is {shown(found)}; it must be an object")
    return found


def document_prefix(config: dict, path: Path) -> str | None:
    """What a summarizer with this `config.json` expects before every document; None for a T5 that does not say.

    This project's block says it, or `task_specific_params`, or `prefix`. BART expects nothing (the " " of the hub's BARTs is not
    followed: fairseq has none), and mT5, which has seen no tasks, nothing unless it says so.

    Raises:
        CheckpointError: naming the file and the field that is no text.
    """
    if config.get("model_type") not in T5_TYPES:
        return ""
    own = config.get("quals_jax") or {}
    said = own if "pair_format" not in own else {}  # what stands before the texts of a QAGen is no summarizer's
    for place in (said, summarization(config, path), config):
        if (found := place.get("prefix")) is not None:
            if not isinstance(found, str):
                raise CheckpointError(f"{path}: prefix is {shown(found)}; it must be a text")
            return found
    return "" if config["model_type"] == "mt5" else None


def check_generation(values: dict, path: Path | str, vocab_size: int) -> dict:
    """The values of a file, if every field that says how to search can be followed; a warning names those that are ignored.

    Raises:
        CheckpointError: naming the file, and the field of another type or out of range.
    """
    for name, (least, most) in WHOLE.items():
        _require(values, path, name, _whole(least, most), f"a whole number from {least} to {most}")
    last = vocab_size - 1
    for name in IDS:
        _require(values, path, name, _whole(0, last), f"an id, a whole number from 0 to {last}")
    for name in SWITCHES:
        _require(values, path, name, lambda v: isinstance(v, bool), "true or false")
    _require(values, path, "length_penalty", _finite, "a number")
    ignored = [name for name, neutral in UNFOLLOWED.items() if values.get(name, neutral) not in (None, neutral)]
    if ignored:
        warnings.warn(f"{path}: {', '.join(ignored)} is not followed here", stacklevel=2)
    return values


def _require(values: dict, path: Path | str, name: str, holds, wanted: str) -> None:
    value = values.get(name)
    if value is not None and not holds(value):
        raise CheckpointError(f"{path}: {name} is {shown(value)}; it must be {wanted}")


def _whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _finite(value) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
