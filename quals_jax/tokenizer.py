"""Text to ids and back: byte-level BPE from a Hugging Face folder or from fairseq's files."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

BOS, PAD, EOS, UNK = 0, 1, 2, 3
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
TEXTLESS = re.compile(rf"{MASK}|madeupword\d{{4}}")  # entries of a vocabulary that are no text
SPECIAL = re.compile(r"<.*>|madeupword\d+")  # pieces that no merges make, as a few more may be
FEW = 16
CONNECTOR = " strutConnector"
CONNECTOR_ID = 50259  # GPT-2's piece 50009 in fairseq's dictionary
MAX_SOURCE_TOKENS = 1023
FAIRSEQ_FILES = ("dict.txt", "encoder.json", "vocab.bpe")
MOST_ENTRIES = 10**7
DICTIONARY_LINE = re.compile(r"\S+ \d+")


class Tokenizer:
    """One text to one list of ids.

    source_bos: whether sources begin with `<s>`. connector, connector_id: what stands between question and answer. max_source_tokens:
    where sources are cut, the final `</s>` included. exact: whether the model has a row for every entry and, a `<mask>` apart, no
    other. Special tokens written in a text ("</s>") are ordinary text.
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        merges: Sequence[tuple[str, str]],
        *,
        size: int | None = None,
        connector: str = CONNECTOR,
        connector_id: int = CONNECTOR_ID,
        max_source_tokens: int = MAX_SOURCE_TOKENS,
        source_bos: bool = False,
        folder: Path | None = None,
        exact: bool = False,
    ):
        from tokenizers import Tokenizer as Pieces
        from tokenizers import models, pre_tokenizers

        self.size = size or max(vocabulary.values()) + 1
        self.connector, self.connector_id = connector, connector_id
        self.max_source_tokens, self.source_bos = max_source_tokens, source_bos
        self.folder, self.exact = folder, exact
        self._vocabulary, self._merges = vocabulary, list(merges)
        try:
            self._pieces = Pieces(models.BPE(vocab=vocabulary, merges=self._merges))
        except Exception as error:  # the class itself: nothing narrower is raised
            reason = str(error).split("\n")[0]
            raise ValueError(
                f"{folder or 'the tokenizer'}: merges and vocabulary do not belong together ({reason})"
            ) from None
        self._pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, fairseq_first: bool = False, **settings) -> Tokenizer:
        """The tokenizer in a folder: `tokenizer.json`, or `vocab.json` and `merges.txt`, or fairseq's three files (or these first).

        Raises:
            ValueError: if the folder holds none of them, or one that cannot be read.
        """
        folder = Path(folder)
        if fairseq_first and _has(folder, FAIRSEQ_FILES):
            return cls._from_fairseq(folder, **settings)
        if _has(folder, ["tokenizer.json"]):
            return cls._from_tokenizer_json(folder / "tokenizer.json", **settings)
        if _has(folder, ["vocab.json", "merges.txt"]):
            vocabulary = _vocabulary(_read_json(folder / "vocab.json"), folder / "vocab.json")
            return cls(vocabulary, _read_merges(folder / "merges.txt", vocabulary), folder=folder, **settings)
        if _has(folder, FAIRSEQ_FILES):
            return cls._from_fairseq(folder, **settings)
        raise ValueError(
            f"{folder}: holds no tokenizer (tokenizer.json, or vocab.json and merges.txt, or fairseq's"
            f" {', '.join(FAIRSEQ_FILES)}); name a folder that does with --tokenizer"
        )

    @classmethod
    def _from_tokenizer_json(cls, path: Path, **settings) -> Tokenizer:
        values = _read_json(path)
        model, added = values.get("model"), values.get("added_tokens") or []
        if not isinstance(model, dict) or model.get("type", "BPE") != "BPE" or "vocab" not in model:
            raise ValueError(f"{path}: is no byte-level BPE; BART's tokenizer is")
        vocabulary = dict(_vocabulary(model["vocab"], path))
        for token in added if isinstance(added, list) else [added]:
            if not isinstance(token, dict) or not isinstance(token.get("content"), str):
                raise ValueError(
                    f"{path}: added_tokens holds {reprlib.repr(token)}, which is no token with its content"
                )
            vocabulary.setdefault(token["content"], token.get("id"))
        if not isinstance(model.get("merges"), list):
            raise ValueError(f"{path}: holds no merges")
        merges = [_merge(merge, f"{path}, merge {number}") for number, merge in enumerate(model["merges"], 1)]
        return cls(_vocabulary(vocabulary, path), merges, folder=path.parent, **settings)

    @classmethod
    def _from_fairseq(cls, folder: Path, **settings) -> Tokenizer:
        """GPT-2's pieces under the ids of fairseq's dictionary: the line of `dict.txt` that names a piece's number, plus four."""
        numbers = _vocabulary(_read_json(folder / "encoder.json"), folder / "encoder.json")
        ids = {name: place + len(SPECIAL_TOKENS) for place, name in enumerate(_read_dictionary(folder / "dict.txt"))}
        size = len(SPECIAL_TOKENS) + len(ids)
        unlisted = (piece for piece, number in numbers.items() if str(number) not in ids)
        vocabulary = {piece: ids[str(number)] for piece, number in numbers.items() if str(number) in ids}
        # Pieces that the dictionary does not list are needed by the merges, and become <unk>.
        vocabulary |= {piece: size + place for place, piece in enumerate(unlisted)}
        merges = _read_merges(folder / "vocab.bpe", numbers)
        return cls(vocabulary, merges, size=size, folder=folder, exact=True, **settings)

    @property
    def dictionary_size(self) -> int | None:
        """The entries of the model's dictionary, a last `<mask>` apart, for which it has a row or not; None where no file tells."""
        if self._vocabulary.get(MASK) == self.size - 1:
            return self.size - 1
        return self.size if self.exact else None

    def encode_pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of the texts alone: no special tokens, not cut.

        Raises:
            ValueError: for a text that is no valid Unicode (a lone surrogate).
            TypeError: for one text in the place of a list.
        """
        if isinstance(texts, str):
            raise TypeError("this is one text; a list of texts is wanted")
        try:
            encodings = self._pieces.encode_batch(list(texts), add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            for number, text in enumerate(texts):
                try:
                    text.encode("utf-8")
                except (AttributeError, UnicodeEncodeError):
                    raise ValueError(f"text {number} is no valid Unicode text") from None
            raise
        size = self.size
        return [[id if id < size else UNK for id in encoding.ids] for encoding in encodings]

    def encode_batch(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        """The source ids of every text, and whether it was cut. fairseq: cut to one piece less, then `</s>`."""
        limit = self.max_source_tokens - 1
        start = [BOS] if self.source_bos else []
        return [(start + ids[:limit] + [EOS], len(ids) > limit) for ids in self.encode_pieces(texts)]

    def encode(self, text: str) -> list[int]:
        """The source ids of one text."""
        return self.encode_batch([text])[0][0]

    def encode_pair(self, question: str, answer: str) -> list[int]:
        """The target ids of a pair: question, connector, answer, `</s>`."""
        question_ids, answer_ids = self.encode_pieces([question, answer])
        return [*question_ids, self.connector_id, *answer_ids, EOS]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, as it is: not stripped. `<s>`, `<pad>` and `</s>` vanish, `<unk>` stays as such, ids without text are nothing."""
        pieces = (self._texts.get(int(id), "") for id in ids if id not in (BOS, PAD, EOS))
        return bytes(_BYTES[character] for character in "".join(pieces) if character in _BYTES).decode(
            "utf-8", "replace"
        )

    @cached_property
    def _texts(self) -> dict[int, str]:
        texts = {
            id: piece for piece, id in self._vocabulary.items() if id < self.size and not TEXTLESS.fullmatch(piece)
        }
        return texts | {UNK: SPECIAL_TOKENS[UNK]}

    def save(self, folder: str | Path) -> None:
        """Writes files that `transformers` reads: `tokenizer.json`, `vocab.json`, `merges.txt` and `tokenizer_config.json`."""
        from tokenizers import AddedToken, decoders, models, processors
        from tokenizers import Tokenizer as Pieces

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # fairseq's files do not list the special tokens; without ids of their own they would be given new ones.
        vocabulary = {token: id for id, token in enumerate(SPECIAL_TOKENS)} | self._vocabulary
        written = Pieces(models.BPE(vocab=vocabulary, merges=self._merges))
        written.pre_tokenizer, written.decoder = self._pieces.pre_tokenizer, decoders.ByteLevel()
        start = f"{SPECIAL_TOKENS[BOS]} " if self.source_bos else ""
        written.post_processor = processors.TemplateProcessing(
            single=f"{start}$A {SPECIAL_TOKENS[EOS]}", special_tokens=[(SPECIAL_TOKENS[id], id) for id in (BOS, EOS)]
        )
        written.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
        written.save(str(folder / "tokenizer.json"))
        written.model.save(str(folder))
        settings = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL_TOKENS, strict=True))
        settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        settings["model_max_length"] = self.max_source_tokens + 1
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _byte_table() -> dict[str, int]:
    """GPT-2's printable stand-in for every byte: itself where it is printable, else the next free character from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_table()


def _has(folder: Path, names: Sequence[str]) -> bool:
    return all((folder / name).exists() for name in names)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as text ({error})") from None


def _read_json(path: Path) -> dict:
    text = _read(path)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: holds no JSON object")
    return values


def _vocabulary(values, path: Path) -> dict[str, int]:
    """Pieces with their ids, if they are that."""
    if not isinstance(values, dict) or not values:
        raise ValueError(f"{path}: holds no vocabulary, an object with an id for every piece")
    for piece, id in values.items():
        if not isinstance(piece, str) or type(id) is not int or not 0 <= id < MOST_ENTRIES:
            shown = f"{reprlib.repr(piece)} is {reprlib.repr(id)}"
            raise ValueError(f"{path}: the id of {shown}; it must be a whole number below {MOST_ENTRIES}")
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
