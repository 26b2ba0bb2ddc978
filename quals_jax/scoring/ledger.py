"""An output that can be resumed: rows in `OUTPUT.partial`, and beside it, in `OUTPUT.run.json`, what made them and how far it came.

The unit is a block of input rows. After each block the rows are on disk before the ledger says so; whatever a kill left behind
that point is cut off at the next start. So the finished output is byte for byte that of a run never stopped.

What the input held is kept as a hash over the rows of all blocks that are done; `check_input` compares.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path

from quals_jax.errors import UserError

# What a record holds beside the arguments.
STATE = {
    "blocks": int,
    "bytes": int,
    "skipped": int,
    "messages": list,
    "rows": list,
    "input": str,
    "whole": str,
    "stamps": dict,
    "finished": bool,
}
# The names of a run's files: its output's, with these behind it.
ENDINGS = ("", ".partial", ".run.json", ".run.json.new")
LOCKED = (errno.EACCES, errno.EAGAIN)
MESSAGES = 20  # about skipped rows, kept; the rest are counted


class Ledger:
    """The output of one run. `arguments` is all that shapes it; a run with others is refused.

    blocks: how many blocks of input rows are done. skipped: how many input rows were left out, and messages: why, of the first
    of them. rows: of a shard, how many output rows its blocks have, as runs [rows, blocks]. finished: the output is complete.
    input: a hash of the input rows of these blocks. whole: of a finished shard, and of what was merged from all, a hash of all input
    rows, the other shards' too.
    stamps: what tells without reading that the input's files are the same.

    Raises:
        UserError: if the output belongs to another run, is being written by one, or cannot be written.
    """

    def __init__(self, output: str | Path, arguments: dict, *, overwrite: bool = False, stamps: dict | None = None):
        self.output = Path(output)
        self.partial = Path(f"{output}.partial")
        self.record = Path(f"{output}.run.json")
        self.arguments = json.loads(json.dumps(arguments))
        self.blocks, self.bytes, self.skipped, self.finished = 0, 0, 0, False
        self.messages: list[str] = []
        self.rows: list[list[int]] = []
        self.input, self.whole, self.stamps, self._untouched = "", "", stamps or {}, False
        self._file = None
        refuse_special(self.output)
        with _told(self.output):
            if not overwrite and self.output.exists() and (found := self._found())["finished"]:
                self._resume(found)  # nothing is written, so the folder need not be ours
                return
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self._open(overwrite)

    def _open(self, overwrite: bool) -> None:
        file = open(self.partial, "ab")  # noqa: SIM115 - held, and locked, as long as the run
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if error.errno in LOCKED:
                raise UserError(
                    f"{self.output}: another run is writing it; wait for it, or name another output"
                ) from None
            raise UserError(
                f"{self.output}: cannot be locked there ({error.strerror or error}); name an output on a local disk"
            ) from None
        self._file = file
        started = file.tell() > 0
        if overwrite:
            self.record.unlink(missing_ok=True)
            self.output.unlink(missing_ok=True)
            file.truncate(0)
        elif self.record.exists():
            self._resume(self._found())
            return
        elif started or self.output.exists():
            held = self.partial if started else self.output
            self.close()
            raise UserError(
                f"{held}: is there without its {self.record.name}, so nothing says what made it; --overwrite starts afresh"
            )
        self._write_record()

    def _resume(self, found: dict) -> None:
        made_by, size = found["arguments"], found["bytes"]
        differing = sorted(
            name for name in {*made_by, *self.arguments} if made_by.get(name) != self.arguments.get(name)
        )
        if differing:
            name = differing[0]
            self.close()
            raise UserError(
                f"{self.output}: was made with {name} {made_by.get(name)!r}, not {self.arguments.get(name)!r};"
                " name another output, or start afresh with --overwrite"
            )
        self._untouched = found["finished"] and found["stamps"] == self.stamps != {}
        for name in set(STATE) - {"stamps"}:
            setattr(self, name, found[name])
        if self.finished and not self.output.exists() and self._file.tell() >= size:
            os.replace(self.partial, self.output)  # killed between the last two steps
        held = self.output.stat().st_size if self.finished and self.output.exists() else self._file.tell()
        if held < size or (self.finished and held != size):
            self.close()
            raise UserError(
                f"{self.output}: has not the length that {self.record.name} says; --overwrite starts afresh"
            )
        if not self.finished:
            self._file.truncate(size)
            self._file.seek(size)

    def _found(self) -> dict:
        """What the record says; of a run that is not there, that it is not finished."""
        if not self.record.exists():
            return {"finished": False}
        try:
            return read_record(self.record)
        except (ValueError, RecursionError):
            self.close()
            raise UserError(f"{self.record}: is damaged, or of another version; --overwrite starts afresh") from None

    def check_input(self, blocks: Iterator):
        """Reads what earlier runs have read, and compares; the last of these blocks. What is done is not read where its files are
        the same.

        Raises:
            UserError: if the input holds other rows by now.
        """
        found, block = "", None
        if self._untouched:
            return None
        if self.whole and not self.arguments.get("shard"):  # merged: its shards knew the blocks only together
            seen = hashlib.sha256()
            for block in blocks:
                seen.update(block.fingerprint.encode())
            self._require_same(seen.hexdigest() == self.whole)
            return block
        for block in itertools.islice(blocks, self.blocks):
            found = _chained(found, block.fingerprint)
        self._require_same(found == self.input and not (self.finished and next(blocks, None) is not None))
        return block

    def _require_same(self, same: bool) -> None:
        if not same:
            self.close()
            raise UserError(
                f"{self.output}: was made from other rows than the input holds now;"
                " name another output, or start afresh with --overwrite"
            )

    def append(self, lines: list[str], skipped: list[str] = (), fingerprint: str = "") -> None:
        """Adds the rows of one block, made from input rows of this hash: on disk, and then in the ledger.

        Raises:
            UserError: if the disk is full or the file cannot be written; what was finished before stays.
        """
        with _told(self.output):
            self._file.write("".join(line + "\n" for line in lines).encode("utf-8"))
            self._file.flush()
            os.fsync(self._file.fileno())
            self.bytes = self._file.tell()
            self.blocks += 1
            self.skipped += len(skipped)
            self.messages = [*self.messages, *skipped][:MESSAGES]
            self.input = _chained(self.input, fingerprint)
            if self.arguments.get("shard"):  # only a merge needs to know where blocks end
                if self.rows and self.rows[-1][0] == len(lines):
                    self.rows[-1][1] += 1
                else:
                    self.rows.append([len(lines), 1])
            self._write_record()

    def finish(self, whole: str = "") -> None:
        """Gives the output its name. `whole`: of a shard, a hash of all input rows."""
        self.whole = whole
        with _told(self.output):
            self._write_record(finished=True)
            os.replace(self.partial, self.output)
            self.finished = True
            self.close(keep=True)

    def close(self, *, keep: bool = False) -> None:
        """Lets go of the output. An empty partial file that no ledger speaks of is removed."""
        if self._file is None:
            return
        empty = self._file.tell() == 0
        if not keep and empty and (self.finished or not self.record.exists()):
            with contextlib.suppress(OSError):
                self.partial.unlink(missing_ok=True)
        self._file.close()
        self._file = None

    def _write_record(self, *, finished: bool = False) -> None:
        values = {"arguments": self.arguments, **{name: getattr(self, name) for name in STATE}, "finished": finished}
        write_record(self.record, values)


def write_record(path: Path, values: dict) -> None:
    """Writes a record: whole, or not at all."""
    fresh = Path(f"{path}.new")
    with open(fresh, "w", encoding="utf-8") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def read_record(path: Path) -> dict:
    """A record, as it was written.

    Raises:
        ValueError: if it is damaged.
        OSError: if it cannot be read.
    """
    found = json.loads(path.read_text(encoding="utf-8-sig"))
    kinds = {"arguments": dict, **STATE}
    if not isinstance(found, dict) or any(type(found.get(name)) is not kind for name, kind in kinds.items()):
        raise ValueError("fields are missing, or of another type")
    runs = [[found["blocks"], found["bytes"]], *found["rows"]]
    if not all(type(run) is list and len(run) == 2 and all(type(n) is int and n >= 0 for n in run) for run in runs):
        raise ValueError("counts are none")
    return found


def began_with(output: str | Path, argument: str):
    """What an output that is there was begun with; None where nothing is, or nothing that can be read."""
    try:
        return read_record(Path(f"{output}.run.json"))["arguments"].get(argument)
    except (OSError, ValueError, RecursionError):
        return None


def refuse_special(path: Path) -> None:
    """Refuses to replace what is no file.

    Raises:
        UserError: if there is a folder or a device of this name.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise UserError(f"{path}: is {'a folder' if os.path.isdir(path) else 'a device or a pipe'}; name a file")


def _chained(before: str, fingerprint: str) -> str:
    return hashlib.sha256(f"{before} {fingerprint}".encode()).hexdigest()


@contextlib.contextmanager
def _told(output: Path):
    """Turns what the file system objects to into one line."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or output}: cannot be written ({error.strerror or error})") from None
