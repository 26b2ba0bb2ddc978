"""An output whose place is a URL: it is made on this disk, where it can be resumed, and sent there when it is whole."""

from __future__ import annotations

import json
from pathlib import Path

from quals_jax.errors import UserError
from quals_jax.remote import fetch, is_url, local_name, open_binary, send, size

RECORD = ".run.json"


def bring(url: str, *, overwrite: bool) -> Path:
    """Where the output is made on this disk. A finished one that this disk has not is fetched with its record, unless it is made afresh.

    Raises:
        UserError: if there is an output without record, of which nothing says what made it; RemoteError: if the place cannot be reached.
    """
    local = local_name(url)
    if overwrite or Path(f"{local}{RECORD}").exists() or size(url) is None:
        return local
    if size(url + RECORD) is None:
        name = url.rpartition("/")[2] + RECORD
        raise UserError(f"{url}: is there without its {name}, so nothing says what made it; --overwrite starts afresh")
    fetch(url, local)
    fetch(url + RECORD, Path(f"{local}{RECORD}"))
    return local


def publish(local: Path, url: str) -> None:
    """Sends a finished output, and then its record.

    Raises:
        UserError: if it cannot be sent; it stays on this disk, and the same command sends it again.
    """
    record = Path(f"{local}{RECORD}")
    try:
        if size(url) == local.stat().st_size and size(url + RECORD) is not None:
            with open_binary(url + RECORD) as there:
                if there.read() == record.read_bytes():
                    return  # an earlier run has sent it
        send(local, url)
        send(record, url + RECORD)
    except ValueError as error:
        raise UserError(f"{error}; the output is in {local}, and the same command sends it again") from None


def write_json(place: str, values: dict) -> None:
    """Writes an object as JSON to a path or a URL.

    Raises:
        UserError: if it cannot be written; RemoteError: if it cannot be sent.
    """
    path = local_name(place) if is_url(place) else Path(place)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror or error})") from None
    if is_url(place):
        send(path, place)
