"""Text to ids and back: byte-level BPE from a Hugging Face folder or from fairseq's files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

BOS, PAD, EOS, UNK = 0, 1, 2, 3
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>")
CONNECTOR = " strutConnector"
CONNECTOR_ID = 50259  # GPT-2's piece 50009 in fairseq's dictionary
MAX_SOURCE_TOKENS = 1023
FAIRSEQ_FILES = ("dict.txt", "encoder.json", "vocab.bpe")


class Tokenizer:
    """One text to one list of ids.

    source_bos: whether sources begin with `<s>`. connector, connector_id: what stands between question and answer. max_source_tokens:
    where sources are cut, the final `</s>` included. Special tokens written in a text ("</s>") are ordinary text.
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
    ):
        from tokenizers import Tokenizer as Pieces
        from tokenizers import models, pre_tokenizers

        self.size = size or max(vocabulary.values()) + 1
        self.connector, self.connector_id = connector, connector_id
        self.max_source_tokens, self.source_bos = max_source_tokens, source_bos
        self.folder = folder
        self._vocabulary, self._merges = vocabulary, list(merges)
        self._pieces = Pieces(models.BPE(vocab=vocabulary, merges=self._merges))
        self._pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **settings) -> Tokenizer:
        """The tokenizer in a folder: `tokenizer.json`, or `vocab.json` and `merges.txt`, or fairseq's three files.

        Raises:
            ValueError: if the folder holds none of them, or one that cannot be read.
        """
        folder = Path(folder)
        if (folder / "tokenizer.json").exists():
            return cls._from_tokenizer_json(folder / "tokenizer.json", **settings)
        if (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
            vocabulary = _read_json(folder / "vocab.json")
            return cls(vocabulary, _read_merges(folder / "merges.txt"), folder=folder, **settings)
        if all((folder / name).exists() for name in FAIRSEQ_FILES):
            return cls._from_fairseq(folder, **settings)
        raise ValueError(
            f"{folder}: holds no tokenizer (tokenizer.json, or vocab.json and merges.txt, or fairseq's"
            f" {', '.join(FAIRSEQ_FILES)}); name a folder that does with --tokenizer"
        )

    @classmethod
    def _from_tokenizer_json(cls, path: Path, **settings) -> Tokenizer:
        values = _read_json(path)
        model = values.get("model", {})
        if model.get("type", "BPE") != "BPE" or "vocab" not in model:
            raise ValueError(f"{path}: is no byte-level BPE; BART's tokenizer is")
        merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
        vocabulary = dict(model["vocab"])
        for token in values.get("added_tokens", []):
            vocabulary.setdefault(token["content"], token["id"])
        return cls(vocabulary, merges, folder=path.parent, **settings)

    @classmethod
    def _from_fairseq(cls, folder: Path, **settings) -> Tokenizer:
        """GPT-2's pieces under the ids of fairseq's dictionary: the line of `dict.txt` that names a piece's number, plus four."""
        numbers = _read_json(folder / "encoder.json")
        lines = (folder / "dict.txt").read_text(encoding="utf-8").splitlines()
        ids = {line.rsplit(" ", 1)[0]: place + len(SPECIAL_TOKENS) for place, line in enumerate(lines) if line.strip()}
        size = len(SPECIAL_TOKENS) + len(ids)
        unlisted = (piece for piece, number in numbers.items() if str(number) not in ids)
        vocabulary = {piece: ids[str(number)] for piece, number in numbers.items() if str(number) in ids}
        # Pieces that the dictionary does not list are needed by the merges, and become <unk>.
        vocabulary |= {piece: size + place for place, piece in enumerate(unlisted)}
        return cls(vocabulary, _read_merges(folder / "vocab.bpe"), size=size, folder=folder, **settings)

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
        texts = {id: piece for piece, id in self._vocabulary.items() if id < self.size and id not in (BOS, PAD, EOS)}
        return texts | {UNK: SPECIAL_TOKENS[UNK]}

    def save(self, folder: str | Path) -> None:
        """Writes files that `transformers` reads: `tokenizer.json`, `vocab.json`, `merges.txt` and `tokenizer_config.json`."""
        from tokenizers import AddedToken, decoders
        from tokenizers import Tokenizer as Pieces

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        written = Pieces.from_str(self._pieces.to_str())
        written.decoder = decoders.ByteLevel()
        written.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
        written.save(str(folder / "tokenizer.json"))
        self._pieces.model.save(str(folder))
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


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from None


def _read_merges(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="utf-8").split("\n")
    return [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
