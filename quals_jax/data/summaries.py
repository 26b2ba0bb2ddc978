"""Documents and their summaries: JSON lines, parallel text, and sets that tensorflow_datasets has prepared."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from quals_jax.data.pairs import squad_pairs
from quals_jax.data.texts import Target, Text

# Page furniture of the BBC's site, left out of XSum's documents (filter level 1 of the released code).
XSUM_FURNITURE = frozenset(
    line.lower()
    for line in (
        "Share this with", "Email", "Facebook", "Messenger", "Twitter", "Pinterest", "WhatsApp", "LinkedIn",
        "Copy this link", "These are external links and will open in a new window",
    )
)  # fmt: skip
CNNDM_LINKS = ("READ", "CLICK HERE")  # how highlights begin that are links
SENTENCE_ENDS = (".", "!", "?", "'", "`", '"', "\u2019", "\u201d", ")")


class JsonLines(Sequence):
    """The rows of a file of JSON lines: `document`, and `summary` (or `reference`, or a list `summaries`).

    Raises:
        ValueError: when opened, naming file, line and field of the first row that is not so.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.offsets = []
        try:
            with self.path.open("rb") as file:
                offset = 0
                for number, line in enumerate(file, 1):
                    if number == 1 and line.startswith(codecs.BOM_UTF8):
                        offset = len(codecs.BOM_UTF8)
                        line = line[offset:]
                    if line.strip():
                        self._row(line, number)
                        self.offsets.append((offset, number))
                    offset += len(line)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, index: int) -> Text:
        offset, number = self.offsets[index]
        with self.path.open("rb") as file:
            file.seek(offset)
            return self._row(file.readline(), number)

    def _row(self, line: bytes, number: int) -> Text:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{self.path}: line {number}: cannot be read as JSON ({error})") from None
        if not isinstance(row, dict):
            raise ValueError(f"{self.path}: line {number}: is no JSON object")
        if not isinstance(row.get("document"), str):
            raise ValueError(f"{self.path}: line {number}: document is missing, or no text")
        found = row.get("summaries", row.get("summary", row.get("reference")))
        summaries = found if isinstance(found, list) else [found]
        if not summaries or not all(isinstance(summary, str) for summary in summaries):
            raise ValueError(f"{self.path}: line {number}: summary is missing, or no text")
        return Text(row["document"], tuple(Target(summary) for summary in summaries))


def parallel_text(sources: str | Path, targets: str | Path) -> list[Text]:
    """Line by line: a document, and its summary in the other file.

    Raises:
        ValueError: if a file cannot be read, or the files have different numbers of lines.
    """
    columns = []
    for path in (sources, targets):
        try:
            with open(path, encoding="utf-8-sig", newline="\n") as file:
                columns.append([line.rstrip("\r\n") for line in file])
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(columns[0]) != len(columns[1]):
        raise ValueError(f"{sources} has {len(columns[0])} lines and {targets} {len(columns[1])}; they must be as many")
    return [Text(source, (Target(target),)) for source, target in zip(*columns, strict=True)]


class PreparedSet(Sequence):
    """A split of a set that tensorflow_datasets prepared as array records, read without TensorFlow.

    Raises:
        ValueError: for a set whose fields are not known, or one that must be prepared first, saying how.
    """

    def __init__(self, name: str, split: str, folder: str = ""):
        known = name.replace(":", "/").split("/")[0]
        if known not in READERS:
            raise ValueError(f"{name!r} is no set of tensorflow_datasets that is read; known are {', '.join(READERS)}")
        self.read = READERS[known]
        try:
            import tensorflow_datasets as tfds
            import tensorflow_datasets.summarization
        except ImportError as error:
            raise ValueError(f"tfds:{name} needs the package {error.name}: pip install 'quals_jax[train]'") from None
        try:
            self.rows = tfds.data_source(name, split=split, data_dir=folder or None, download=False)
        except (NotImplementedError, OSError):  # nothing there, or not as array records
            builder = f"tfds.builder({name!r}, data_dir={folder or None!r}, file_format='array_record')"
            raise ValueError(
                f"tfds:{name} is not prepared in {folder or 'the default data_dir'}; once, in Python: import"
                f" tensorflow_datasets as tfds, tensorflow_datasets.summarization; {builder}.download_and_prepare()"
            ) from None
        except (ValueError, AssertionError) as error:
            raise ValueError(f"tfds:{name}#{split}: {str(error).splitlines()[0]}") from None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Text:
        return self.read(self.rows[index])


def read_xsum(row: dict) -> Text:
    """fairseq: page furniture is left out, lines are joined by spaces, a missing full stop is added to each."""
    lines = [line for line in _lines(row["document"]) if line.lower() not in XSUM_FURNITURE]
    return Text(_joined(lines), (Target(_joined(_lines(row["summary"]))),))


def read_cnndm(row: dict) -> Text:
    """fairseq: highlights that are links are left out, lines joined by spaces, a missing full stop added to each."""
    highlights = [line for line in _lines(row["highlights"]) if not line.startswith(CNNDM_LINKS)]
    return Text(_joined(_lines(row["article"])), (Target(_joined(highlights)),))


def read_squad(row: dict) -> Text:
    """One question a row, as tensorflow_datasets has it."""
    answers = [{"text": _decoded(answer)} for answer in row["answers"]["text"]]
    question = {"question": _decoded(row["question"]), "answers": answers}
    return Text(_decoded(row["context"]), tuple(squad_pairs(question)))


READERS: dict[str, Callable[[dict], Text]] = {"xsum": read_xsum, "cnn_dailymail": read_cnndm, "squad": read_squad}


def _decoded(value: bytes | str) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _lines(value: bytes | str) -> list[str]:
    return [line.strip() for line in _decoded(value).splitlines() if line.strip()]


def _joined(lines: list[str]) -> str:
    return " ".join(line if line.endswith(SENTENCE_ENDS) else line + "." for line in lines)
