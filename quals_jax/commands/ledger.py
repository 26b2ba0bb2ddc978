"""An output that can be resumed: rows in `OUTPUT.partial`, and beside it, in `OUTPUT.run.json`, what made them and how far it came.

The unit is a block of input rows. After each block the rows are on disk before the ledger says so; whatever a kill left behind
that point is cut off at the next start. So the finished output is byte for byte that of a run never stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path

from quals_jax.commands.errors import UserError

STATE = ("blocks", "bytes", "skipped", "messages", "rows", "finished")
FIRST_ROWS = "hash of the first rows"  # the argument that stands for the contents of the input
MESSAGES = 20  # about skipped rows, kept; the rest are counted


class Ledger:
    """The output of one run. `arguments` is all that shapes it; a run with others is refused.

    blocks: how many blocks of input rows are done. skipped: how many input rows were left out, and messages: why, of the first
    of them. rows: of a shard, how many output rows its blocks have, as runs [rows, blocks]. finished: the output is complete.

    Raises:
        UserError: if the output belongs to another run, is being written by one, or cannot be written.
    """

    def __init__(self, output: str | Path, arguments: dict, *, overwrite: bool = False):
        self.output = Path(output)
        self.partial = Path(f"{output}.partial")
        self.record = Path(f"{output}.run.json")
        self.arguments = json.loads(json.dumps(arguments))
        self.blocks, self.bytes, self.skipped, self.finished = 0, 0, 0, False
        self.messages: list[str] = []
        self.rows: list[list[int]] = []
        self._file = None
        if self.output.is_dir():
            raise UserError(f"{self.output}: is a folder; name a file")
        with _told(self.output):
            self.output.parent.mkdir(parents=True, exist_ok=True)
            self._open(overwrite)

    def _open(self, overwrite: bool) -> None:
        file = open(self.partial, "ab")  # noqa: SIM115 - held, and locked, as long as the run
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise UserError(f"{self.output}: another run is writing it; wait for it, or name another output") from None
        self._file = file
        started = file.tell() > 0
        if overwrite:
            self.record.unlink(missing_ok=True)
            self.output.unlink(missing_ok=True)
            file.truncate(0)
        elif self.record.exists():
            self._resume()
            return
        elif started or self.output.exists():
            held = self.partial if started else self.output
            self.close()
            raise UserError(
                f"{held}: is there without its {self.record.name}, so nothing says what made it; --overwrite starts afresh"
            )
        self._write_record()

    def _resume(self) -> None:
        try:
            found = json.loads(self.record.read_text(encoding="utf-8"))
            made_by, *state = (found[name] for name in ("arguments", *STATE))
            size = int(state[1])
        except (ValueError, KeyError, TypeError):
            self.close()
            raise UserError(f"{self.record}: is damaged; --overwrite starts afresh") from None
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
        self.blocks, self.bytes, self.skipped, self.messages, self.rows, self.finished = state
        if self.finished and not self.output.exists() and self._file.tell() >= size > 0:
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

    def append(self, lines: list[str], skipped: list[str] = ()) -> None:
        """Adds the rows of one block: on disk, and then in the ledger.

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
            if self.arguments.get("shard"):  # only a merge needs to know where blocks end
                if self.rows and self.rows[-1][0] == len(lines):
                    self.rows[-1][1] += 1
                else:
                    self.rows.append([len(lines), 1])
            self._write_record()

    def finish(self) -> None:
        """Gives the output its name."""
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
        fresh = Path(f"{self.record}.new")
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self.record)


@contextlib.contextmanager
def _told(output: Path):
    """Turns what the file system objects to into one line."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or output}: cannot be written ({error.strerror or error})") from None
