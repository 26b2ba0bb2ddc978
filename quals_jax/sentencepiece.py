"""Text to ids and back with SentencePiece, as T5 and mT5 have it: `tokenizer.json` through `tokenizers`, else `spiece.model`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from quals_jax.inputs import check_texts
from quals_jax.tokenizer_files import listed_tokens, read_settings

FILES = ("tokenizer.json", "spiece.model")
MAX_SOURCE_TOKENS = 512  # what T5 was trained with; it has no table of positions that would end
# What `clean_up_tokenization_spaces` of a tokenizer_config.json does to decoded texts, in this order.
CLEANED = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"),
    (" 're", "'re"),
)  # fmt: skip


class SentencePieceTokenizer:
    """One text to one list of ids; the same calls as the byte-level `Tokenizer`.

    prefix: what is put before every source ("generate question and answer: "). max_source_tokens: where sources are cut, prefix and end
    of sentence included. sep_token, sep_id: the tokenizer's `sep_token`, if it has one. Special tokens written in a text are ordinary
    text.
    """

    connector_id = None  # of the byte-level format alone
    source_bos = False
    exact = False
    dictionary_size = None

    def __init__(
        self,
        pieces,
        settings: dict | None = None,
        *,
        folder: Path | None = None,
        max_source_tokens: int = MAX_SOURCE_TOKENS,
        prefix: str = "",
    ):
        pieces.no_truncation()
        pieces.no_padding()
        pieces.encode_special_tokens = True
        self._pieces, self._settings, self.folder = pieces, dict(settings or {}), folder
        self.max_source_tokens, self.prefix = max_source_tokens, prefix
        vocabulary = pieces.get_vocab(with_added_tokens=True)
        self.size = 1 + max(vocabulary.values())
        self.pad_id, self.eos_id, self.unk_id = (
            self._id_of(vocabulary, name, usual)
            for name, usual in (("pad_token", "<pad>"), ("eos_token", "</s>"), ("unk_token", "<unk>"))
        )
        self.sep_token = _content(self._settings.get("sep_token"))
        self.sep_id = vocabulary.get(self.sep_token)
        special = {id: token.content for id, token in pieces.get_added_tokens_decoder().items() if token.special}
        self._silent = {self.pad_id, self.eos_id}
        # A piece may be written like a special token; in a text it is spelled out.
        self._spelled = {
            id: [vocabulary.get(character, self.unk_id) for character in content]
            for id, content in special.items()
            if id != self.unk_id
        }
        self._clean = self._settings.get("clean_up_tokenization_spaces") is True

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, extra_ids: int | None = None, **settings) -> SentencePieceTokenizer:
        """The tokenizer in a folder: `tokenizer.json`, or `spiece.model` (which needs the extra `sentencepiece`), with what
        `added_tokens.json`, `special_tokens_map.json` and `tokenizer_config.json` add.

        extra_ids: how many `<extra_id_...>` a `spiece.model` is given where its folder does not say (T5: 100, mT5: none).

        Raises:
            ValueError: if the folder holds neither, or one that cannot be read, or files that contradict each other.
        """
        folder = Path(folder)
        stated = read_settings(folder)
        if (folder / "tokenizer.json").exists():
            pieces = _read(folder / "tokenizer.json")
        elif (folder / "spiece.model").exists():
            pieces = _converted(folder, {} if extra_ids is None or "extra_ids" in stated else {"extra_ids": extra_ids})
        else:
            raise ValueError(
                f"{folder}: holds no tokenizer ({' or '.join(FILES)}); name a folder that does with --tokenizer"
            )
        _add(pieces, folder, stated)
        return cls(pieces, stated, folder=folder, **settings)

    def id(self, content: str) -> int | None:
        """The id of a piece or token, if there is one."""
        return self._pieces.token_to_id(content)

    def ids_with(self, character: str, *, last: bool = False) -> list[int]:
        """The ids of all pieces that contain a character, or have it last."""
        pieces = self._pieces.get_vocab(with_added_tokens=True).items()
        return sorted(id for piece, id in pieces if (piece.endswith(character) if last else character in piece))

    def encode_pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of the texts alone: no prefix, no end of sentence, not cut.

        Raises:
            TypeError, ValueError: for what is no text, naming its row.
        """
        encodings = self._pieces.encode_batch(check_texts("texts", texts), add_special_tokens=False)
        spelled = self._spelled
        return [[id for found in encoding.ids for id in spelled.get(found, (found,))] for encoding in encodings]

    def encode_batch(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        """The source ids of every text, and whether it was cut."""
        limit = self.max_source_tokens - 1
        pieces = self.encode_pieces([self.prefix + text for text in check_texts("texts", texts)])
        return [([*ids[:limit], self.eos_id], len(ids) > limit) for ids in pieces]

    def encode(self, text: str) -> list[int]:
        """The source ids of one text."""
        return self.encode_batch([text])[0][0]

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of ids. Padding and the end of sentence vanish, and so do the other special tokens unless `special`; ids without text
        are nothing."""
        kept = [int(id) for id in ids if int(id) not in self._silent]
        text = self._pieces.decode(kept, skip_special_tokens=not special)
        for written, meant in CLEANED if self._clean else ():
            text = text.replace(written, meant)
        return text

    def save(self, folder: str | Path) -> None:
        """Writes files that `transformers` reads: `tokenizer.json` and `tokenizer_config.json`, and the `spiece.model` if there is one."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._pieces.save(str(folder / "tokenizer.json"))
        kept = ("eos_token", "pad_token", "unk_token", "sep_token", "additional_special_tokens", "extra_ids")
        settings = {name: self._settings[name] for name in kept if name in self._settings}
        settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": self._clean}
        settings["model_max_length"] = self.max_source_tokens
        for name, id in (("pad_token", self.pad_id), ("eos_token", self.eos_id), ("unk_token", self.unk_id)):
            settings[name] = self._pieces.id_to_token(id)
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        if self.folder and (self.folder / "spiece.model").exists() and self.folder.resolve() != folder.resolve():
            shutil.copyfile(self.folder / "spiece.model", folder / "spiece.model")

    def _id_of(self, vocabulary: dict[str, int], name: str, usual: str) -> int:
        content = _content(self._settings.get(name)) or usual
        if content not in vocabulary:
            where = f"{self.folder}: " if self.folder else ""
            raise ValueError(f"{where}its tokenizer has no {content!r}, the {name}")
        return vocabulary[content]


def _content(token) -> str | None:
    return token.get("content") if isinstance(token, dict) else token


def _read(path: Path):
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8-sig"))
    except Exception as error:  # the class itself: nothing narrower is raised
        reason = str(error).split("\n")[0][:120]
        raise ValueError(f"{path}: is damaged, or no tokenizer that can be read ({reason})") from None


def _converted(folder: Path, options: dict):
    """`spiece.model` as `transformers`' own class for T5 reads it."""
    from tokenizers import Tokenizer

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # or it says that there is no PyTorch
    try:
        import sentencepiece  # noqa: F401
        from google.protobuf import descriptor  # noqa: F401
        from transformers import T5TokenizerFast
    except ImportError as error:
        needed = 'the extra "sentencepiece": pip install "quals-jax[sentencepiece]"'
        raise ValueError(
            f"{folder}: has a spiece.model and no tokenizer.json; reading it needs {needed} ({error})"
        ) from None
    try:
        return Tokenizer.from_str(T5TokenizerFast.from_pretrained(folder, **options).backend_tokenizer.to_str())
    except Exception as error:  # whatever a damaged file does to three libraries
        reason = str(error).split("\n")[0][:120]
        raise ValueError(f"{folder / 'spiece.model'}: is damaged, or no SentencePiece model ({reason})") from None


def _add(pieces, folder: Path, settings: dict) -> None:
    """Adds the tokens that other files name and the tokenizer lacks, under the ids that they say."""
    from tokenizers import AddedToken

    own = {id: content for content, id in pieces.get_vocab(with_added_tokens=True).items()}
    for token, id, path in sorted(listed_tokens(folder, settings), key=lambda found: found[1]):
        if own.get(id) == token.content:
            continue
        add = pieces.add_special_tokens if token.special else pieces.add_tokens
        add([AddedToken(**vars(token))])
        if pieces.token_to_id(token.content) != id:
            raise ValueError(
                f"{path}: the added token {token.content!r} has id {id}, which is not the next of the tokenizer"
            )
        own[id] = token.content
