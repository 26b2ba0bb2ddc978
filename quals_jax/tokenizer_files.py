"""The files of a byte-level BPE: read, checked, and put together into one description. What cannot be followed is refused.

Hugging Face spreads a tokenizer over several files: pieces, merges and how texts are prepared stand in `tokenizer.json` (or
`vocab.json` and `merges.txt`), tokens that were added later there, in `added_tokens.json` or in `tokenizer_config.json`.
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")  # by their ids
MASK = "<mask>"
FAIRSEQ_FILES = ("dict.txt", "encoder.json", "vocab.bpe")
MOST_ENTRIES = 10**7
DICTIONARY_LINE = re.compile(r"\S+ \d+")
SPECIAL = re.compile(r"<.*>|madeupword\d+")  # pieces that no merges make, as a few more may be
FEW = 16
WORD_END = "</w>"  # how other kinds of BPE mark the last piece of a word
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
# Classes of `transformers` whose vocab.json and merges.txt are GPT-2's kind; others use files of these names too.
BYTE_LEVEL_CLASSES = ("Bart", "GPT2", "LED", "Longformer", "Mvp", "PreTrained", "Roberta", "TokenizersBackend")
# What a BPE may say of itself in tokenizer.json that would change ids or texts: the only values that can be followed.
NEVER = {"dropout": 0, "continuing_subword_prefix": "", "end_of_word_suffix": "", "byte_fallback": False}


@dataclass(frozen=True)
class AddedToken:
    """A token that was added to a vocabulary: found in a text before anything else is done, unless it is `special`.

    single_word: only between characters that are no letters. lstrip, rstrip: takes the spaces beside it. normalized: looked for in
    the normalised text. special: no text (`<s>`, a separator); here it is never found in one.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool = True
    special: bool = False


@dataclass(frozen=True)
class Description:
    """All that says how texts become ids. normalizer, pre_tokenizer: as in `tokenizer.json`. model: further settings of the BPE."""

    vocabulary: dict[str, int]
    merges: list[tuple[str, str]]
    added: tuple[AddedToken, ...] = ()
    normalizer: dict | None = None
    pre_tokenizer: dict | None = None
    model: dict | None = None


def read_huggingface(folder: Path) -> Description:
    """The tokenizer in a folder with `tokenizer.json`, or `vocab.json` and `merges.txt`.

    Raises:
        ValueError: naming the file and what in it is damaged, contradicts another file, or cannot be followed.
    """
    settings = _read_json(folder / "tokenizer_config.json", missing={})
    whole = folder / "tokenizer.json"
    if whole.exists():
        values = _read_json(whole)
        model = _model(values, whole)
        vocabulary = dict(_vocabulary(model["vocab"], whole))
        merges = [_merge(merge, f"{whole}, merge {number}") for number, merge in enumerate(model["merges"], 1)]
        normalizer, pre_tokenizer = values.get("normalizer"), _pre_tokenizer(values, whole)
        model = {name: model[name] for name in ("unk_token", "fuse_unk", "ignore_merges") if model.get(name)}
    else:
        path = folder / "vocab.json"
        _require_byte_level(settings, folder / "tokenizer_config.json")
        values, normalizer, pre_tokenizer, model = {}, None, dict(BYTE_LEVEL), {}
        vocabulary = dict(_vocabulary(_read_json(path), path))
        merges = _read_merges(folder / "merges.txt", vocabulary)
    _prefix_space(settings, pre_tokenizer, folder / "tokenizer_config.json", said="pre_tokenizer" in values)
    added = _added(folder, values, settings, vocabulary)
    for id, special in enumerate(SPECIAL_TOKENS):
        other = next((piece for piece, own in vocabulary.items() if own == id), special)
        if vocabulary.get(special, id) != id or other != special:
            raise ValueError(
                f"{folder}: in its tokenizer {id} is the id of {reprlib.repr(other)}; {special} must have it"
            )
    return Description(vocabulary, merges, added, normalizer, pre_tokenizer, model)


def read_fairseq(folder: Path) -> tuple[Description, int]:
    """GPT-2's pieces under the ids of fairseq's dictionary (the line of `dict.txt` that names a piece's number, plus four), and
    how many entries that has.

    Raises:
        ValueError: naming the file that is damaged.
    """
    numbers = _vocabulary(_read_json(folder / "encoder.json"), folder / "encoder.json")
    ids = {name: place + len(SPECIAL_TOKENS) for place, name in enumerate(_read_dictionary(folder / "dict.txt"))}
    size = len(SPECIAL_TOKENS) + len(ids)
    unlisted = (piece for piece, number in numbers.items() if str(number) not in ids)
    vocabulary = {piece: ids[str(number)] for piece, number in numbers.items() if str(number) in ids}
    # Pieces that the dictionary does not list are needed by the merges, and become <unk>.
    vocabulary |= {piece: size + place for place, piece in enumerate(unlisted)}
    return Description(vocabulary, _read_merges(folder / "vocab.bpe", numbers)), size


def _model(values: dict, path: Path) -> dict:
    """The BPE in a `tokenizer.json`, if that can be followed."""
    model = values.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or "vocab" not in model:
        raise ValueError(f"{path}: is no byte-level BPE; BART's tokenizer is")
    if not isinstance(model.get("merges"), list):
        raise ValueError(f"{path}: holds no merges")
    for name, followed in NEVER.items():
        if (model.get(name) or followed) != followed:
            raise ValueError(f"{path}: {name} of the model is {reprlib.repr(model[name])}, which is not followed here")
    return model


def _pre_tokenizer(values: dict, path: Path) -> dict:
    """How the file cuts texts before the merges: into bytes in the end, or decoding would be another."""
    if "pre_tokenizer" not in values:  # a file that leaves it out was written by hand, for this tokenizer
        return dict(BYTE_LEVEL)
    given = values["pre_tokenizer"]
    parts = given.get("pretokenizers") if isinstance(given, dict) and given.get("type") == "Sequence" else [given]
    kinds = [part.get("type") if isinstance(part, dict) else None for part in parts or [None]]
    if kinds[-1] != "ByteLevel" or kinds.count("ByteLevel") > 1:
        shown = " + ".join(str(kind or "none") for kind in kinds)
        raise ValueError(f"{path}: its pre_tokenizer is {shown}; only one that ends with ByteLevel is followed here")
    decoder = values.get("decoder")
    if decoder is not None and (not isinstance(decoder, dict) or decoder.get("type") != "ByteLevel"):
        kind = decoder.get("type") if isinstance(decoder, dict) else decoder
        raise ValueError(f"{path}: its decoder is {reprlib.repr(kind)}; only ByteLevel is followed here")
    return given


def _require_byte_level(settings: dict, path: Path) -> None:
    name = settings.get("tokenizer_class")
    if name is not None and not str(name).startswith(BYTE_LEVEL_CLASSES):
        raise ValueError(f"{path}: tokenizer_class is {reprlib.repr(name)}, which is no byte-level BPE as BART's is")


def _prefix_space(settings: dict, pre_tokenizer: dict, path: Path, *, said: bool) -> None:
    """Puts the `add_prefix_space` of `tokenizer_config.json` in, where `tokenizer.json` has not said it."""
    wanted = settings.get("add_prefix_space")
    if wanted is None:
        return
    if not isinstance(wanted, bool):
        raise ValueError(f"{path}: add_prefix_space is {reprlib.repr(wanted)}; it must be true or false")
    last = pre_tokenizer["pretokenizers"][-1] if pre_tokenizer["type"] == "Sequence" else pre_tokenizer
    if said and last.get("add_prefix_space", False) != wanted:
        raise ValueError(f"{path}: add_prefix_space is {str(wanted).lower()}, and tokenizer.json says the contrary")
    last["add_prefix_space"] = wanted


def _added(folder: Path, values: dict, settings: dict, vocabulary: dict[str, int]) -> tuple[AddedToken, ...]:
    """The tokens that were added, from all files, with their ids put into the vocabulary. `tokenizer.json` goes first, then
    `tokenizer_config.json`, then `added_tokens.json`; of their ids they may not say different things."""
    found: dict[str, AddedToken] = {}
    own = {id: piece for piece, id in vocabulary.items()}
    for token, id, path in _listed(folder, values, settings):
        if vocabulary.setdefault(token.content, id) != id or own.setdefault(id, token.content) != token.content:
            others = f"{reprlib.repr(own[id])} has it" if id in own and own[id] != token.content else "it has another"
            raise ValueError(
                f"{path}: the added token {reprlib.repr(token.content)} has id {id}, but elsewhere {others}"
            )
        found.setdefault(token.content, token)
    return tuple(found.values())


def _listed(folder: Path, values: dict, settings: dict) -> Iterator[tuple[AddedToken, int, Path]]:
    """Every added token with its id, and the file that says so."""
    path = folder / "tokenizer.json"
    listed = values.get("added_tokens") or []
    for token in listed if isinstance(listed, list) else [listed]:
        yield _token(token, token.get("id") if isinstance(token, dict) else None, path)
    path = folder / "tokenizer_config.json"
    listed = settings.get("added_tokens_decoder") or {}
    if not isinstance(listed, dict):
        raise ValueError(f"{path}: added_tokens_decoder is no object of ids and tokens")
    for id, token in listed.items():
        yield _token(token, int(id) if id.isdecimal() else id, path)
    special = {*_special(settings), *_special(_read_json(folder / "special_tokens_map.json", missing={}))}
    path = folder / "added_tokens.json"
    for content, id in _read_json(path, missing={}).items():
        own = content in special
        yield _token({"content": content, "special": own, "normalized": not own}, id, path)


def read_settings(folder: Path) -> dict:
    """What `special_tokens_map.json` and `tokenizer_config.json`, which wins, say of a tokenizer."""
    named = _read_json(folder / "special_tokens_map.json", missing={})
    return {**named, **_read_json(folder / "tokenizer_config.json", missing={})}


def listed_tokens(folder: Path, settings: dict) -> Iterator[tuple[AddedToken, int, Path]]:
    """Every added token that stands in other files than `tokenizer.json`, with its id, and the file that says so."""
    return _listed(folder, {}, settings)


def _special(values: dict) -> Iterator[str]:
    """The contents of the special tokens that a file names."""
    for name, token in values.items():
        if name.endswith(("_token", "special_tokens")):
            for one in token if isinstance(token, list) else [token]:
                yield one.get("content", "") if isinstance(one, dict) else str(one)


def _token(values, id, path: Path) -> tuple[AddedToken, int, Path]:
    if not isinstance(values, dict) or not isinstance(values.get("content"), str) or not values["content"]:
        raise ValueError(f"{path}: its added tokens hold {reprlib.repr(values)}, which is no token with its content")
    content = values["content"]
    if type(id) is not int or not 0 <= id < MOST_ENTRIES:
        shown = f"{reprlib.repr(content)} is {reprlib.repr(id)}"
        raise ValueError(f"{path}: the id of {shown}; it must be a whole number below {MOST_ENTRIES}")
    flags = {name: values[name] for name in AddedToken.__dataclass_fields__ if name in values and name != "content"}
    wrong = next((name for name, value in flags.items() if not isinstance(value, bool)), None)
    if wrong:
        raise ValueError(f"{path}: {wrong} of the added token {reprlib.repr(content)} must be true or false")
    if content in (*SPECIAL_TOKENS, MASK):
        flags["special"] = True
    return AddedToken(content, **flags), id, path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as text ({error})") from None


def _read_json(path: Path, *, missing: dict | None = None) -> dict:
    """The object in a file; `missing` where there is none and that is given."""
    if missing is not None and not path.exists():
        return missing
    text = _read(path)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: holds no JSON object")
    return values


def _vocabulary(values, path: Path) -> dict[str, int]:
    """Pieces with their ids, if they are that: every id of one piece alone."""
    if not isinstance(values, dict) or not values:
        raise ValueError(f"{path}: holds no vocabulary, an object with an id for every piece")
    seen: dict[int, str] = {}
    for piece, id in values.items():
        if not isinstance(piece, str) or type(id) is not int or not 0 <= id < MOST_ENTRIES:
            shown = f"{reprlib.repr(piece)} is {reprlib.repr(id)}"
            raise ValueError(f"{path}: the id of {shown}; it must be a whole number below {MOST_ENTRIES}")
        if seen.setdefault(id, piece) != piece:
            raise ValueError(f"{path}: {reprlib.repr(piece)} and {reprlib.repr(seen[id])} have one id, {id}")
    return values


def _merge(merge, place: str) -> tuple[str, str]:
    parts = tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) if isinstance(merge, list) else ()
    if len(parts) != 2 or not all(isinstance(part, str) and part for part in parts):
        raise ValueError(f"{place}: is {reprlib.repr(merge)}, no two pieces; the file is damaged or cut")
    return parts


def _read_merges(path: Path, vocabulary: dict[str, int]) -> list[tuple[str, str]]:
    """The merges in a file; those of nearly all long pieces must be there, or texts would silently become other ids."""
    lines = enumerate(_read(path).split("\n"), 1)
    merges = [
        _merge(line, f"{path}, line {number}") for number, line in lines if line and not line.startswith("#version")
    ]
    if any(second.endswith(WORD_END) for _, second in merges):
        raise ValueError(f"{path}: marks the ends of words ({WORD_END}), which no byte-level BPE as BART's does")
    made = {first + second for first, second in merges}
    unmade = [piece for piece in vocabulary if len(piece) > 1 and piece not in made and not SPECIAL.fullmatch(piece)]
    if len(unmade) > max(FEW, len(merges) // 100):
        raise ValueError(
            f"{path}: has no merges for {len(unmade)} pieces, such as {reprlib.repr(unmade[0])}; it is empty, cut or another's"
        )
    return merges


def _read_dictionary(path: Path) -> list[str]:
    """The names in fairseq's `dict.txt`, whose lines are a name and a count."""
    lines = _read(path).rstrip().splitlines()
    if not lines:
        raise ValueError(f"{path}: holds no entries")
    names = [line.rsplit(" ", 1)[0] for line in lines]
    seen: set[str] = set()
    for number, (line, name) in enumerate(zip(lines, names, strict=True), 1):
        if not DICTIONARY_LINE.fullmatch(line) or name in seen:
            place = f"{path}, line {number}"
            raise ValueError(
                f"{place}: is {reprlib.repr(line)}, not a name of its own and a count; the file is damaged or cut"
            )
        seen.add(name)
    return names


def has(folder: Path, names: Sequence[str]) -> bool:
    """Whether all of these files are there."""
    return all((folder / name).exists() for name in names)
