"""Files that lie elsewhere (`gs://bucket/rows.jsonl`): opened, fetched and sent through fsspec, an extra that is imported only here.

A URL that is taken for a path makes a folder named `gs:`, and what is written there is lost with the machine's disk. So whatever takes
a path takes a URL as well, or refuses it (`is_url`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?=[^/])")
NEEDED = "needs the packages of the extra 'cloud': pip install 'quals_jax[cloud]'"


class RemoteError(ValueError):
    """A URL that cannot be read or written; the message is one line that names it."""


def is_url(path: object) -> bool:
    """Whether this is a URL (also one that a `Path` has robbed of a slash), and no path that is there."""
    return path is not None and URL.match(str(path)) is not None and not os.path.exists(str(path))


def as_url(path: object) -> str:
    """The URL with both slashes; of a file on this machine with all three."""
    text = str(path)
    if re.match(r"(file|local):/(?=[^/])", text):
        return text.replace(":/", ":///", 1)
    return text if "://" in text else text.replace(":/", "://", 1)


def open_binary(path: str) -> BinaryIO:
    """The bytes of a file or a URL, to be read.

    Raises:
        RemoteError: if the URL cannot be read. OSError: if the file cannot.
    """
    if not is_url(path):
        return open(path, "rb")
    with _told(path):
        files, place = _filesystem(path)
        if files.isdir(place):
            raise IsADirectoryError("is a folder; name a file in it")
        return files.open(place, "rb")


def reach(url: str) -> None:
    """Finds at once whether there is a way to the place of a URL that will be written hours later.

    Raises:
        RemoteError: if packages are missing, or the place is unknown or closed to us.
    """
    with _told(url):
        files, place = _filesystem(url)
        if files.isdir(place):
            raise IsADirectoryError("is a folder; name a file")


def size(url: str) -> int | None:
    """How many bytes there are; None if there is no such file."""
    with _told(url):
        files, place = _filesystem(url)
        return files.info(place)["size"] if files.isfile(place) else None


def send(file: Path, url: str) -> None:
    """Writes a local file to a URL, in the place of what is there.

    Raises:
        RemoteError: if it cannot be written, in whole.
    """
    with _told(url):
        files, place = _filesystem(url)
        parent = place.rpartition("/")[0]
        if parent:
            files.makedirs(parent, exist_ok=True)
        files.put_file(str(file), place)
        if (held := files.info(place)["size"]) != file.stat().st_size:
            raise OSError(f"holds {held} bytes after writing {file.stat().st_size}")


def fetch(url: str, file: Path) -> None:
    """Writes what a URL holds to a local file: whole, or not at all.

    Raises:
        RemoteError: if it cannot be read.
    """
    with _told(url):
        files, place = _filesystem(url)
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.fetched")
        files.get_file(place, str(partial))
        os.replace(partial, file)


def fetch_model(url: str) -> Path:
    """A local copy of a model's folder or file, kept in the user's cache folder and made anew where the files there have changed.

    Raises:
        RemoteError: if there is nothing, or it cannot be read.
    """
    with _told(url):
        files, place = _filesystem(url)
        if not files.exists(place):
            raise FileNotFoundError("there is no such file or folder")
        folder = place if files.isdir(place) else place.rpartition("/")[0]
        found = sorted((entry for entry in files.ls(folder, detail=True) if entry["type"] == "file"), key=_name)
        stamps = [(_name(entry), entry["size"], entry.get("etag"), str(entry.get("mtime"))) for entry in found]
        digest = hashlib.sha256(repr((as_url(url), stamps)).encode()).hexdigest()[:16]
        local = workplace() / "models" / digest / (folder.rstrip("/").rpartition("/")[2] or "model")
        if not local.exists():
            local.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=local.parent))
            for entry in found:
                files.get_file(entry["name"], str(fresh / _name(entry)))
            with contextlib.suppress(OSError):  # another process was faster
                os.replace(fresh, local)
            shutil.rmtree(fresh, ignore_errors=True)
        return local if folder == place else local / place.rpartition("/")[2]


def workplace() -> Path:
    """Where copies lie, and outputs until they are whole: in the user's cache folder, or the system's for what is temporary."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quals_jax" / "remote"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "quals_jax" / "remote"


def local_name(url: str) -> Path:
    """Where a file lies on this disk while it is written, always the same for one URL."""
    digest = hashlib.sha256(as_url(url).encode()).hexdigest()[:16]
    return workplace() / "outputs" / digest / as_url(url).rstrip("/").rpartition("/")[2]


def _name(entry: dict) -> str:
    return entry["name"].rstrip("/").rpartition("/")[2]


def _filesystem(url: str):
    """fsspec's file system for a URL, and the path there."""
    from fsspec.core import url_to_fs

    return url_to_fs(as_url(url))


@contextlib.contextmanager
def _told(url: str) -> Iterator[None]:
    """Turns whatever a cloud's client raises into one line that names the URL: there is no common class."""
    try:
        yield
    except ImportError as error:
        raise RemoteError(f"{as_url(url)}: {NEEDED} ({_line(error)})") from None
    except RemoteError:
        raise
    except Exception as error:
        raise RemoteError(f"{as_url(url)}: {_line(error)}") from error


def _line(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):  # whose message may be the name alone
        return "there is no such file or folder"
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
