"""Texts and pairs of texts as BERT reads them: `[CLS] first [SEP] second [SEP]`, with segments, and where every piece stands in its text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quals_jax.inputs import check_texts
from quals_jax.shipped import tokenizer_folder

# What plays the part of each special token: BERT's own, or that of a byte-level BPE.
SPECIAL = {"cls": ("[CLS]", "<s>"), "sep": ("[SEP]", "</s>"), "pad": ("[PAD]", "<pad>"), "unk": ("[UNK]", "<unk>")}


@dataclass(frozen=True)
class Pieces:
    """The ids of a text alone, and of each the (start, end) of its characters in the text."""

    ids: list[int]
    spans: list[tuple[int, int]]


class PairTokenizer:
    """A tokenizer of the `tokenizers` library without its special tokens. Such written in a text ("[SEP]") are ordinary text.

    cls_id, sep_id, pad_id: the ids of the special tokens. size: how many entries the vocabulary has.
    """

    def __init__(self, pieces, folder: Path | None = None):
        pieces.no_truncation()
        pieces.no_padding()
        pieces.encode_special_tokens = True
        self._pieces, self.folder = pieces, folder
        self.size = pieces.get_vocab_size(with_added_tokens=True)
        where = f"{folder}: " if folder else ""
        for name in ("cls", "sep", "pad"):
            found = next((id for text in SPECIAL[name] if (id := pieces.token_to_id(text)) is not None), None)
            if found is None:
                raise ValueError(f"{where}the tokenizer has none of {', '.join(SPECIAL[name])}")
            setattr(self, f"{name}_id", found)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> PairTokenizer:
        """The tokenizer in a folder: `tokenizer.json`, or WordPiece's `vocab.txt` (lower-cased unless `tokenizer_config.json` says
        otherwise).

        Raises:
            ValueError: if the folder holds neither, or one that cannot be read.
        """
        from tokenizers import Tokenizer

        folder = tokenizer_folder(folder)
        if (folder / "tokenizer.json").exists():
            try:
                return cls(Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8-sig")), folder)
            except Exception as error:  # the library raises bare Exceptions
                if isinstance(error, ValueError):
                    raise
                raise ValueError(f"{folder / 'tokenizer.json'}: cannot be read ({str(error)[:100]})") from None
        if not (folder / "vocab.txt").exists():
            raise ValueError(
                f"{folder}: holds neither tokenizer.json nor vocab.txt; name a folder that does as the tokenizer"
            )
        try:
            lines = (folder / "vocab.txt").read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
            config = folder / "tokenizer_config.json"
            settings = json.loads(config.read_text(encoding="utf-8-sig")) if config.exists() else {}
        except ValueError as error:
            raise ValueError(f"{folder}: the tokenizer cannot be read ({str(error)[:100]})") from None
        return cls(wordpiece({line: number for number, line in enumerate(lines)}, **_casing(settings)), folder)

    def encode(self, texts: Sequence[str]) -> list[Pieces]:
        """The pieces of every text: no special tokens, not cut.

        Raises:
            TypeError, ValueError: for what is no list of valid texts.
        """
        encodings = self._pieces.encode_batch(check_texts("texts", texts), add_special_tokens=False)
        return [Pieces(encoding.ids, encoding.offsets) for encoding in encodings]

    def pair(self, first: Sequence[int], second: Sequence[int]) -> tuple[list[int], list[int]]:
        """Ids and segments of `[CLS] first [SEP] second [SEP]`."""
        ids = [self.cls_id, *first, self.sep_id, *second, self.sep_id]
        return ids, [0] * (len(first) + 2) + [1] * (len(second) + 1)

    def save(self, folder: Path) -> None:
        self._pieces.save(str(folder / "tokenizer.json"))


def wordpiece(
    vocabulary: dict[str, int], *, lowercase: bool = True, strip_accents: bool | None = None, chinese: bool = True
):
    """BERT's own tokenizer over a vocabulary, as an object of the `tokenizers` library.

    Raises:
        ValueError: if the vocabulary lacks a special token.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

    missing = [texts[0] for texts in SPECIAL.values() if texts[0] not in vocabulary]
    if missing:
        raise ValueError(f"the vocabulary lacks {', '.join(missing)}")
    pieces = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    pieces.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece()
    special = [texts[0] for texts in SPECIAL.values()] + ["[MASK]"] * ("[MASK]" in vocabulary)
    pieces.add_special_tokens([AddedToken(text, special=True) for text in special])
    return pieces


def cut_longest(first: Sequence[int], second: Sequence[int], room: int) -> tuple[list[int], list[int], bool]:
    """The two so that together they have at most `room` ids, and whether anything was cut: of the longer one id after the other, of
    equally long ones the second's (as BERT's own programs cut pairs)."""
    first, second = list(first), list(second)
    over = len(first) + len(second) - room
    if over <= 0:
        return first, second, False
    # The longer loses until both are equal, then they take turns, the second first.
    alone = min(over, abs(len(first) - len(second)))
    left, right = (alone, 0) if len(first) > len(second) else (0, alone)
    rest = over - alone
    left, right = left + rest // 2, right + rest - rest // 2
    return first[: len(first) - left], second[: len(second) - right], True


def _casing(settings: dict) -> dict:
    lowercase = settings.get("do_lower_case", True)
    return {
        "lowercase": bool(lowercase),
        "strip_accents": settings.get("strip_accents"),
        "chinese": bool(settings.get("tokenize_chinese_chars", True)),
    }
