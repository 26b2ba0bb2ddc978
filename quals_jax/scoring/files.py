"""Files of text, as streams of lines: packed or not, here or elsewhere, in any encoding; and standard input."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import os
import re
import sys
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from quals_jax.remote import RemoteError, open_binary
from quals_jax.scoring.row import RowError

# The marks that files of other encodings begin with; the longer first, as one begins with another.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
# What packed files begin with, and what unpacks them.
PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
SUFFIXES = (".gz", ".bz2", ".xz")
# What begins so is no text; and what to do about it.
NO_TEXT = (
    (b"PK\x03\x04", "is a ZIP archive or a spreadsheet; unpack it, or save the spreadsheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "is a spreadsheet or another Office file; save it as CSV"),
    (b"\x28\xb5\x2f\xfd", "is packed by zstd; unpack it first"),
    (b"PAR1", "is a Parquet file; let its name end in .parquet"),
    (b"ARROW1", "is an Arrow file; let its name end in .arrow"),
)
SAMPLE = 2**13  # bytes that are looked at to see how lines end
UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError)


class Lines:
    """The lines of a file, as UTF-8 with their ends. `peek` gives the first without taking them.

    encoding: of the file; without one UTF-8, or UTF-16 or UTF-32 where the file begins as such. What is packed is unpacked, whatever
    its name.

    Raises:
        RowError: if it cannot be read, or is no text.
    """

    def __init__(self, path: str, file: BinaryIO, encoding: str | None = None):
        self.path, self.dropped, self._head = path, 0, []
        self._raw = file = _with_peek(file)
        try:
            unpack = next((unpack for mark, unpack in PACKED if file.peek(8).startswith(mark)), None)
            file = unpack(file) if unpack else file
            start = file.peek(SAMPLE)
        except UNREADABLE as error:
            raise RowError(f"{path}: cannot be read ({error})") from None
        if cure := next((cure for mark, cure in NO_TEXT if start.startswith(mark)), None):
            raise RowError(f"{path}: {cure}")
        encoding = encoding or next((name for mark, name in MARKS if start.startswith(mark)), None)
        if encoding is None and start.count(b"\0") > len(start) // 4:
            raise RowError(f"{path}: is not UTF-8; if it is UTF-16, name it with --encoding, such as utf-16-le")
        if _ends_lines_with_returns(path, start):
            self._rest = _recoded(path, file, encoding or "utf-8", newline=None)
        else:
            self._rest = iter(file) if encoding is None else _recoded(path, file, encoding)

    def __iter__(self) -> Iterator[bytes]:
        while self._head:
            yield self._head.pop(0)
        yield from self._rest

    def peek(self, lines: int, size: int = 2**20) -> list[bytes]:
        """The first lines, at most so many and of about so many bytes; they are read all the same."""
        while len(self._head) < lines and sum(map(len, self._head)) < size:
            try:
                self._head.append(next(self._rest))
            except StopIteration:
                break
            except UNREADABLE:
                break  # it comes again where the lines are read
        return list(self._head)

    def drop(self) -> None:
        """Takes the first line, which is none of the text; lines are counted with it."""
        self.peek(1)
        self.dropped += len(self._head[:1])
        del self._head[:1]

    def share(self) -> float | None:
        """How much of the file is read, from 0 to 1; None of a pipe. Of a packed file, as packed."""
        try:
            return self._raw.tell() / max(os.fstat(self._raw.fileno()).st_size, 1)
        except (OSError, AttributeError):
            return None


def unpacked_name(path: str) -> str:
    """The name without what says that it is packed."""
    return next((path[: -len(own)] for own in SUFFIXES if path.lower().endswith(own)), path)


def _ends_lines_with_returns(path: str, start: bytes) -> bool:
    """Whether this is a table of an old Mac, or saved for one, as spreadsheets still offer it."""
    table = unpacked_name(path).lower().endswith((".csv", ".tsv", ".tab"))
    return table and b"\n" not in start and re.search(rb"\r(?!\Z)", start) is not None


def _with_peek(file: BinaryIO) -> BinaryIO:
    return file if hasattr(file, "peek") else io.BufferedReader(file)


def _recoded(path: str, file: BinaryIO, encoding: str, newline: str | None = "\n") -> Iterator[bytes]:
    number, text = 0, io.TextIOWrapper(file, encoding, newline=newline)
    try:
        for line in text:
            number += 1
            yield line.encode("utf-8", "surrogatepass")
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        raise RowError(f"{path}, after line {number}: is not {encoding} ({reason}); --encoding names another") from None
    finally:
        with contextlib.suppress(ValueError):  # of a file that has been closed before its end was read
            text.detach()  # or it would close the file, whose place is still asked for


@contextlib.contextmanager
def opened(path: str, encoding: str | None = None) -> Iterator[Lines]:
    """The lines of a file, a URL, or standard input (`-`).

    Raises:
        RowError: if it cannot be opened.
    """
    with _opened(path) as file:
        yield Lines(path, file, encoding)


def _opened(path: str) -> BinaryIO:
    if path == "-":
        if sys.stdin is None:
            raise RowError("standard input is closed; pipe the rows in, or name a file")
        return sys.stdin.buffer
    try:
        return open_binary(path)
    except IsADirectoryError:
        raise RowError(f"{path}: is a folder; name a file in it") from None
    except OSError as error:
        raise RowError(f"{path}: {error.strerror or error}") from None
    except RemoteError as error:
        raise RowError(str(error)) from None


def texts(lines: Lines, *, ends: bool = False) -> Iterator[str | RowError]:
    """The lines, without their ends unless they are wanted; in the place of one that is no UTF-8, the error."""
    path, number = lines.path, 0
    try:
        for number, line in enumerate(lines, 1 + lines.dropped):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not ends:
                line = line.removesuffix(b"\n").removesuffix(b"\r")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as error:
                bad = RowError(
                    f"{path}, line {number}: is not UTF-8 ({error.reason}); name the file's encoding with --encoding, such as cp1252"
                )
                bad.text = line.decode("utf-8", "replace")
                yield bad
    except UNREADABLE as error:
        raise RowError(f"{path}, after line {number}: cannot be read ({error})") from None


def whole(text: str | RowError) -> str:
    """The line, of which nothing is wrong.

    Raises:
        RowError: if it is no text.
    """
    if isinstance(text, RowError):
        raise text
    return text
