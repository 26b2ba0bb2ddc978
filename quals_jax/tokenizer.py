"""Text to ids and back: byte-level BPE from a Hugging Face folder or from fairseq's files (`tokenizer_files` reads them)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from quals_jax.inputs import check_texts
from quals_jax.shipped import tokenizer_folder
from quals_jax.tokenizer_files import (
    BYTE_LEVEL,
    FAIRSEQ_FILES,
    MASK,
    SPECIAL_TOKENS,
    AddedToken,
    Description,
    has,
    read_fairseq,
    read_huggingface,
)

BOS, PAD, EOS, UNK = 0, 1, 2, 3
TEXTLESS = re.compile(rf"{MASK}|madeupword\d{{4}}")  # entries of a vocabulary that are no text
CONNECTOR = " strutConnector"
CONNECTOR_ID = 50259  # GPT-2's piece 50009 in fairseq's dictionary
MAX_SOURCE_TOKENS = 1023
FIRST_STAND_IN = 256  # characters from here on stand for bytes that cannot be printed


class Tokenizer:
    """One text to one list of ids.

    source_bos: whether sources begin with `<s>`. connector, connector_id: what stands between question and answer. max_source_tokens:
    where sources are cut, the final `</s>` included. exact: whether the model has a row for every entry and, a `<mask>` apart, no
    other. added, normalizer, pre_tokenizer, model: as in `tokenizer_files.Description`. Special tokens written in a text ("</s>") are
    ordinary text, and so is the connector.
    """

    pad_id, eos_id = PAD, EOS
    prefix = ""  # before every source: nothing

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
        added: Sequence[AddedToken] = (),
        normalizer: dict | None = None,
        pre_tokenizer: dict | None = None,
        model: dict | None = None,
    ):
        self.size = size or max(vocabulary.values()) + 1
        self.connector, self.connector_id = connector, connector_id
        self.max_source_tokens, self.source_bos = max_source_tokens, source_bos
        self.folder, self.exact = folder, exact
        self.prefix = ""  # put before every source
        self._vocabulary, self._merges, self._added, self._model = vocabulary, list(merges), tuple(added), model or {}
        self._pieces = _library_tokenizer(
            Description(vocabulary, self._merges, self._added, normalizer, pre_tokenizer or BYTE_LEVEL, self._model),
            without=connector_id, named=folder or "the tokenizer",
        )  # fmt: skip

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, fairseq_first: bool = False, **settings) -> Tokenizer:
        """The tokenizer in a folder: `tokenizer.json`, or `vocab.json` and `merges.txt`, or fairseq's three files (or these first).

        Raises:
            ValueError: if the folder holds none of them, or one that cannot be read, or not be followed.
        """
        folder = tokenizer_folder(folder)
        huggingface = has(folder, ["tokenizer.json"]) or has(folder, ["vocab.json", "merges.txt"])
        if has(folder, FAIRSEQ_FILES) and (fairseq_first or not huggingface):
            found, size = read_fairseq(folder)
            return cls(found.vocabulary, found.merges, size=size, folder=folder, exact=True, **settings)
        if huggingface:
            return cls(**vars(read_huggingface(folder)), folder=folder, **settings)
        raise ValueError(
            f"{folder}: holds no tokenizer (tokenizer.json, or vocab.json and merges.txt, or fairseq's"
            f" {', '.join(FAIRSEQ_FILES)}); name a folder that does with --tokenizer"
        )

    def check_connector(self) -> None:
        """Refuses a connector's id that stands for something else: no pair would ever be split there, or at the wrong place.

        Raises:
            ValueError: naming the id, what it stands for, and the folder.
        """
        found = self.decode([self.connector_id])
        if found != self.connector:
            where = f"{self.folder}: " if self.folder else ""
            raise ValueError(
                f"{where}the connector is {self.connector!r} with id {self.connector_id}, but the tokenizer's {self.connector_id} is"
                f" {found!r}; the quals_jax block of config.json must name the right two"
            )

    @property
    def dictionary_size(self) -> int | None:
        """The entries of the model's dictionary, a last `<mask>` apart, for which it has a row or not; None where no file tells."""
        if self._vocabulary.get(MASK) == self.size - 1:
            return self.size - 1
        return self.size if self.exact else None

    @property
    def mask_id(self) -> int | None:
        """The id of `<mask>`, if there is one."""
        return self._vocabulary.get(MASK)

    def encode_pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of the texts alone: no special tokens, not cut.

        Raises:
            ValueError: for a text that is no valid Unicode (a lone surrogate).
            TypeError: for one text in the place of a list, and for what is no text, naming its row and type.
        """
        if isinstance(texts, str):
            raise TypeError("this is one text; a list of texts is wanted")
        texts = check_texts("texts", texts, unicode=False)
        try:
            encodings = self._pieces.encode_batch(texts, add_special_tokens=False)
        except (TypeError, UnicodeEncodeError):
            for number, text in enumerate(texts):
                try:
                    text.encode("utf-8")
                except UnicodeEncodeError:
                    raise ValueError(f"text {number} is no valid Unicode text") from None
            raise
        size = self.size
        return [[id if id < size else UNK for id in encoding.ids] for encoding in encodings]

    def encode_batch(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        """The source ids of every text, and whether it was cut. fairseq: cut to one piece less, then `</s>`."""
        limit = self.max_source_tokens - 1
        start = [BOS] if self.source_bos else []
        return [(start + ids[:limit] + [EOS], len(ids) > limit) for ids in self._sources(texts)]

    def _sources(self, texts: Sequence[str]) -> list[list[int]]:
        return self.encode_pieces([self.prefix + text for text in texts] if self.prefix else texts)

    def ids_with(self, character: str, *, last: bool = False) -> list[int]:
        """The ids of all pieces that contain a character, or have it last."""
        wanted, texts = character.encode(), self._texts.items()
        return sorted(id for id, text in texts if (text.endswith(wanted) if last else wanted in text))

    def encode(self, text: str) -> list[int]:
        """The source ids of one text."""
        return self.encode_batch([text])[0][0]

    def encode_pair(self, question: str, answer: str) -> list[int]:
        """The target ids of a pair: question, connector, answer, `</s>`."""
        question_ids, answer_ids = self.encode_pieces([question, answer])
        return [*question_ids, self.connector_id, *answer_ids, EOS]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, as it is: not stripped. `<s>`, `<pad>` and `</s>` vanish, `<unk>` stays as such, ids without text are nothing."""
        texts = self._texts
        return b"".join(texts.get(int(id), b"") for id in ids).decode("utf-8", "replace")

    @cached_property
    def _texts(self) -> dict[int, bytes]:
        """The bytes of every id that has a text. A piece is written in stand-ins for bytes; so may an added token be, else it is a text."""
        texts = {
            id: _bytes_of(piece)
            for piece, id in self._vocabulary.items()
            if id < self.size and not TEXTLESS.fullmatch(piece)
        }
        for token in self._added:
            if (id := self._vocabulary[token.content]) in texts and not _stands_for_bytes(token.content):
                texts[id] = token.content.encode("utf-8")
        for silent in (BOS, PAD, EOS):
            texts.pop(silent, None)
        return texts | {UNK: SPECIAL_TOKENS[UNK].encode()}

    def save(self, folder: str | Path) -> None:
        """Writes files that `transformers` reads: `tokenizer.json`, `vocab.json`, `merges.txt` and `tokenizer_config.json`."""
        from tokenizers import AddedToken as Added
        from tokenizers import Tokenizer as Pieces
        from tokenizers import decoders, models, processors

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # fairseq's files do not list the special tokens; without ids of their own they would be given new ones.
        vocabulary = {token: id for id, token in enumerate(SPECIAL_TOKENS)} | self._vocabulary
        written = Pieces(models.BPE(vocab=vocabulary, merges=self._merges, **self._model))
        written.pre_tokenizer, written.decoder = self._pieces.pre_tokenizer, decoders.ByteLevel()
        if self._pieces.normalizer is not None:
            written.normalizer = self._pieces.normalizer
        start = f"{SPECIAL_TOKENS[BOS]} " if self.source_bos else ""
        written.post_processor = processors.TemplateProcessing(
            single=f"{start}$A {SPECIAL_TOKENS[EOS]}", special_tokens=[(SPECIAL_TOKENS[id], id) for id in (BOS, EOS)]
        )
        written.add_special_tokens([Added(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
        written.add_tokens([Added(**vars(token)) for token in self._added if token.content not in SPECIAL_TOKENS])
        written.save(str(folder / "tokenizer.json"))
        written.model.save(str(folder))
        settings = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL_TOKENS, strict=True))
        settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        settings["model_max_length"] = self.max_source_tokens + 1
        if getattr(self._pieces.pre_tokenizer, "add_prefix_space", False):
            settings["add_prefix_space"] = True
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def _byte_table() -> dict[str, int]:
    """GPT-2's printable stand-in for every byte: itself where it is printable, else the next free character from 256 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


_BYTES = _byte_table()


def _stands_for_bytes(content: str) -> bool:
    """Whether an added token is written like a piece: `ĠstrutConnector` is, `naïve` is not, though its characters may stand for bytes."""
    return all(character in _BYTES for character in content) and any(ord(c) >= FIRST_STAND_IN for c in content)


def _bytes_of(piece: str) -> bytes:
    return bytes(_BYTES[character] for character in piece if character in _BYTES)


def _library_tokenizer(described: Description, *, without: int, named):
    """The `tokenizers` object that cuts and merges as described, and finds the added tokens but special ones and that of id `without`.

    Raises:
        ValueError: for what it does not take.
    """
    from tokenizers import AddedToken as Added
    from tokenizers import Tokenizer as Pieces
    from tokenizers import models

    try:
        pieces = Pieces(models.BPE(vocab=described.vocabulary, merges=described.merges, **described.model))
    except Exception as error:  # the class itself: nothing narrower is raised
        reason = str(error).split("\n")[0]
        raise ValueError(f"{named}: merges and vocabulary do not belong together ({reason})") from None
    empty = {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}
    steps = {"normalizer": described.normalizer, "pre_tokenizer": described.pre_tokenizer}
    try:
        read = Pieces.from_str(json.dumps(empty | steps))
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"{named}: its normalizer or pre_tokenizer is unknown or damaged ({reason})") from None
    pieces.pre_tokenizer = read.pre_tokenizer
    if read.normalizer is not None:
        pieces.normalizer = read.normalizer
    found = [token for token in described.added if not token.special and described.vocabulary[token.content] != without]
    pieces.add_tokens([Added(**vars(token)) for token in found])
    return pieces
