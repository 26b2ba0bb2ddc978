"""Rows of Parquet and Arrow files, and of folders that Hugging Face's `datasets` has saved; the extra `data`, imported only here."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from quals_jax.remote import is_url, open_binary
from quals_jax.scoring.columns import Finder
from quals_jax.scoring.json_rows import sound
from quals_jax.scoring.row import Row, RowError, make_row

ENDINGS = (".parquet", ".arrow", ".feather")
SAVED = ("dataset_info.json", "dataset_dict.json")  # what `save_to_disk` leaves in a folder
BATCH_ROWS = 256
NEEDED = "needs the packages of the extra 'data': pip install 'quals-jax[data]'"


def is_columnar(path: str) -> bool:
    """Whether this is such a file or folder; of a folder with several splits, `FOLDER#SPLIT` is one."""
    return path.lower().endswith(ENDINGS) or _is_saved(path)


def _is_saved(path: str) -> bool:
    return any((Path(path.partition("#")[0]) / name).is_file() for name in SAVED)


def columnar_rows(path: str, finder: Finder) -> Iterator[Row | RowError]:
    """The rows, as of JSON; text is UTF-8 already.

    Raises:
        RowError: if it cannot be read, or the packages are not there.
    """
    try:
        batches, total = _opened(path)
        number = 0
        for batch in batches:
            for values in batch:
                place = f"{path}, row {number + 1}"
                try:
                    values = sound({name: plain(value) for name, value in values.items()}, place)
                    share = (number + 1) / total if total else None
                    yield make_row(
                        values, number, dict.fromkeys(("document", "summary"), place), share, finder.of(values)
                    )
                except RowError as error:
                    yield error
                number += 1
    except ModuleNotFoundError:
        raise RowError(f"{path}: {NEEDED}") from None
    except RowError:
        raise
    except (OSError, ValueError, LookupError) as error:  # pyarrow's errors are ValueErrors too
        raise RowError(f"{path}: cannot be read ({' '.join(str(error).split())[:200]})") from None


def plain(value: object) -> object:
    """The value as JSON has it: times as ISO 8601 says, decimal numbers as numbers, bytes as base64, what is not a number as null."""
    if isinstance(value, dict):
        return {str(name): plain(own) for name, own in value.items()}
    if isinstance(value, list | tuple):
        return [plain(own) for own in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _once(names: list[str], path: str) -> None:
    """Looks whether every column has a name of its own: of two with one name, the last would be taken without a word."""
    name, count = Counter(names).most_common(1)[0] if names else ("", 1)
    if count > 1:
        raise RowError(f"{path}: has {name!r} {count} times; every column needs a name of its own")


def _opened(path: str) -> tuple[Iterator[list[dict]], int]:
    """Batches of rows, and how many rows there are."""
    import pyarrow

    if _is_saved(path):
        return _saved(path)
    source = open_binary(path) if is_url(path) else pyarrow.OSFile(path)
    if path.lower().endswith(".parquet"):
        from pyarrow.parquet import ParquetFile

        file = ParquetFile(source)
        _once(file.schema_arrow.names, path)
        return (batch.to_pylist() for batch in file.iter_batches(BATCH_ROWS)), file.metadata.num_rows
    try:
        file = pyarrow.ipc.open_file(source)
        batches, names = (file.get_batch(number) for number in range(file.num_record_batches)), file.schema.names
    except pyarrow.ArrowInvalid:  # the form that `datasets` writes
        batches = pyarrow.ipc.open_stream(open_binary(path))
        names = batches.schema.names
    _once(names, path)
    return (part.to_pylist() for batch in batches for part in _parts(batch)), 0


def _parts(batch) -> Iterator:
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def _saved(path: str) -> tuple[Iterator[list[dict]], int]:
    from datasets import DatasetDict, load_from_disk

    folder, _, split = path.partition("#")
    rows = load_from_disk(folder)
    if isinstance(rows, DatasetDict):
        if not split and len(rows) == 1:
            split = next(iter(rows))
        if not rows:
            raise RowError(f"{path}: has no splits")
        if split not in rows:
            raise RowError(f"{path}: has the splits {', '.join(rows)}; name one as {folder}#{next(iter(rows))}")
        rows = rows[split]
    elif split:
        raise RowError(f"{path}: has no splits; leave out #{split}")
    rows = rows.with_format(None)
    batches = (rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS))
    return (
        [dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True)] for batch in batches
    ), len(rows)
