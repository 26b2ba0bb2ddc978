"""Files of text, as streams of lines: packed or not, here or elsewhere, in any encoding; and standard input."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from quals_jax.remote import RemoteError, is_url, open_binary
from quals_jax.scoring.row import RowError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Lines:
    """The lines of a file, as UTF-8 with their ends. `first` is the first, or empty; `peek` gives more without taking them.

    encoding: of the file; without one UTF-8, or UTF-16 where the file begins as such.
    """

    def __init__(self, path: str, file: BinaryIO, encoding: str | None = None):
        file = file if hasattr(file, "peek") else io.BufferedReader(file)
        self.path, self.file, self._head = path, file, []
        try:
            encoding = encoding or ("utf-16" if file.peek(2)[:2] in UTF16 else None)
        except (OSError, EOFError, zlib.error) as error:
            raise RowError(f"{path}: cannot be read ({error})") from None
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
            except (OSError, EOFError, zlib.error):
                break  # it comes again where the lines are read
        return list(self._head)

    def share(self) -> float | None:
        """How much of the file is read, from 0 to 1; None of a pipe. Of a packed file, as packed."""
        try:
            raw = getattr(self.file, "fileobj", self.file)
            return raw.tell() / max(os.fstat(raw.fileno()).st_size, 1)
        except (OSError, AttributeError):
            return None


def _recoded(path: str, file: BinaryIO, encoding: str) -> Iterator[bytes]:
    number, text = 0, io.TextIOWrapper(file, encoding, newline="\n")
    try:
        for line in text:
            number += 1
            yield line.encode("utf-8", "surrogatepass")
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        raise RowError(f"{path}, after line {number}: is not {encoding} ({reason}); --encoding names another") from None
    finally:
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
        if path.endswith(".gz"):
            return gzip.GzipFile(fileobj=open_binary(path)) if is_url(path) else gzip.open(path, "rb")
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
        for number, line in enumerate(lines, 1):
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
    except (OSError, EOFError, zlib.error) as error:
        raise RowError(f"{path}, after line {number}: cannot be read ({error})") from None


def whole(text: str | RowError) -> str:
    """The line, of which nothing is wrong.

    Raises:
        RowError: if it is no text.
    """
    if isinstance(text, RowError):
        raise text
    return text
