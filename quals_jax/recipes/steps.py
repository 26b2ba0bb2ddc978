"""Steps of a recipe: a result on disk with a record of what it was made from, skipped where it still fits.

Beside a result lies `RESULT.made.json`: the inputs, and a hash of the result. A step whose inputs are others, or whose
result was changed, is made anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from quals_jax import parallel
from quals_jax.training.journal import clock as in_words

LOCK_SECONDS = 1.0  # between two looks at a lock that another run holds


def fits(result: Path, inputs: dict) -> bool:
    """Whether the result is there, unchanged, and made from these inputs."""
    try:
        record = json.loads(_record(result).read_text(encoding="utf-8"))
        return record["inputs"] == _plain(inputs) and record["sha256"] == sha256(result)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def note(result: Path, inputs: dict) -> None:
    """Writes down what the result was made from. Called when it is complete."""
    write_whole(_record(result), json.dumps({"inputs": _plain(inputs), "sha256": sha256(result)}, indent=2) + "\n")


def sha256(path: Path) -> str:
    """A hash of a file, or of a folder's files with their names."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.name.encode() if path.is_dir() else b"")
            with file.open("rb") as stream:
                while block := stream.read(2**20):
                    digest.update(block)
    return digest.hexdigest()


def in_blocks(
    result: Path, inputs: dict, total: int, make: Callable[[range], list[dict]], *, block_rows: int,
    say: Callable[[str], None] = lambda line: None, clock: Callable[[], float] = time.monotonic,
) -> None:  # fmt: skip
    """Writes `result`, the JSON lines of all blocks of rows in order. A block that is on disk is not made again.

    With several processes each makes every n-th block, and the first puts them together: `result` must lie where all
    of them see it. Nothing is done where the result fits. `say` is told after every block how far the first process is, how fast, and
    how long it will still take.
    """
    if _all_agree(fits(result, inputs)):
        return
    folder = result.with_name(result.name + ".blocks")
    if parallel.is_first_process():
        start_folder(folder, inputs)
    parallel.wait_for_all(f"{result.name} begun")
    starts = range(0, total, block_rows)
    numbers = range(parallel.process_index(), len(starts), parallel.process_count())
    missing = [number for number in numbers if not (folder / f"{number:06}.jsonl").exists()]
    began = clock()
    for made, number in enumerate(missing, 1):
        end = min(starts[number] + block_rows, total)
        rows = make(range(starts[number], end))
        write_whole(folder / f"{number:06}.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        seconds = max(clock() - began, 1e-9)
        left = seconds / made * (len(missing) - made)
        say(f"{end} of {total}, {made * block_rows / seconds:.1f}/s, {in_words(left)} left")
    parallel.wait_for_all(f"{result.name} made")
    if parallel.is_first_process():
        partial = result.with_name(result.name + ".partial")
        with partial.open("wb") as file:
            for number in range(len(starts)):
                file.write((folder / f"{number:06}.jsonl").read_bytes())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(result)
        note(result, inputs)
        shutil.rmtree(folder)
    parallel.wait_for_all(f"{result.name} whole")


def start_folder(folder: Path, inputs: dict) -> None:
    """Makes a folder for work on these inputs. One that is there for others is emptied."""
    marker = folder / "inputs.json"
    wanted = json.dumps(_plain(inputs), indent=2, sort_keys=True) + "\n"
    if folder.exists() and not (marker.exists() and marker.read_text(encoding="utf-8") == wanted):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(marker, wanted)


def read_rows(path: Path) -> Iterator[dict]:
    """The rows of a file of JSON lines."""
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def write_whole(path: Path, text: str) -> None:
    """Writes a file that is there whole or not at all."""
    partial = path.with_name(path.name + ".new")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def require_shared(folder: Path) -> None:
    """Makes the folder.

    Raises:
        ValueError: in every process, unless it is the same folder for all of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if parallel.process_count() == 1:
        return
    # Of a name that nobody has looked for before: network file systems remember what was not there.
    sign = folder / f".shared-{parallel.from_first(secrets.randbits(31))}"
    if parallel.is_first_process():
        sign.touch()
    parallel.wait_for_all("signed")
    seen = _all_agree(sign.exists())
    if parallel.is_first_process():
        sign.unlink()
    if not seen:
        raise ValueError(
            f"{folder}: is not the same folder for all processes; it must lie on a network file system, or in a bucket"
            " that all of them have mounted"
        )


@contextmanager
def alone(folder: Path, waiting: Callable[[], None]):
    """Waits, in every process, until no other run is at work in the folder, and keeps others waiting; the lock dies with the process.

    The first process holds the lock. The others ask it once a second: nobody goes on before it has it, and nobody waits in a collective
    for hours, where the end of another process would not be noticed.
    """
    require_shared(folder)
    with ExitStack() as stack:
        lock = stack.enter_context((folder / ".steps.lock").open("w")) if parallel.is_first_process() else None
        told = False
        while not parallel.any_process(lock is not None and _locked(lock)):
            if not told:
                waiting()
            told = True
            time.sleep(LOCK_SECONDS)
        yield


def _locked(file) -> bool:
    """Whether the file is this process's now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _record(result: Path) -> Path:
    return result.with_name(result.name + ".made.json")


def _plain(inputs: dict) -> dict:
    return json.loads(json.dumps(inputs))


def _all_agree(flag: bool) -> bool:
    return not parallel.any_process(not flag)
