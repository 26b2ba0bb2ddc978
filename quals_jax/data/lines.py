"""Plain text: a file with a paragraph a line, and texts cut into blocks of equal numbers of words."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Iterator, Sequence
from pathlib import Path

from quals_jax.data.texts import Text

OPENERS = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


def lines(path: str | Path) -> list[Text]:
    """The lines of a file that are not blank, each a text without targets. A name that ends in .xz, .gz or .bz2 is unpacked.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    try:
        with OPENERS.get(Path(path).suffix, open)(path, "rt", encoding="utf-8-sig", newline="\n") as file:
            return [Text(line.strip(), ()) for line in file if line.strip()]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 ({error.reason})") from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


class Blocks(Sequence):
    """The sources of texts, one after the other, cut after every `words` words; a shorter rest is the last block. White space between words
    is one space."""

    def __init__(self, texts: Sequence[Text], words: int):
        self._blocks = list(_blocks(texts, words))

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> Text:
        return Text(self._blocks[index], ())


def _blocks(texts: Sequence[Text], words: int) -> Iterator[str]:
    kept: list[str] = []
    for number in range(len(texts)):
        kept += texts[number].source.split()
        while len(kept) >= words:
            yield " ".join(kept[:words])
            del kept[:words]
    if kept:
        yield " ".join(kept)
