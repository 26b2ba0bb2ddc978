"""Documents and their summaries: JSON lines, parallel text, and sets that tensorflow_datasets has prepared."""

from __future__ import annotations

import codecs
import json
from collections.abc import Sequence
from pathlib import Path

from quals_jax.data.rows import row_reader
from quals_jax.data.texts import Target, Text
from quals_jax.inputs import is_unicode


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
        if (
            b"\\ud" in line.lower()
        ):  # the only way to a lone surrogate, of which the tokenizer would not say where it stands
            for name, text in (("document", row["document"]), *(("summary", summary) for summary in summaries)):
                if not is_unicode(text):
                    raise ValueError(
                        f"{self.path}: line {number}: {name} holds a lone surrogate, which is no character"
                    )
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


# What a row of each set has, by which it is read.
COLUMNS = {
    "xsum": ("document", "summary"),
    "cnn_dailymail": ("article", "highlights"),
    "squad": ("context", "question", "answers"),
}
HUB_NAMES = {"xsum": "EdinburghNLP/xsum", "cnn_dailymail": "abisee/cnn_dailymail/3.0.0", "squad": "rajpurkar/squad"}


class PreparedSet(Sequence):
    """A split of a set that tensorflow_datasets prepared as array records, read without TensorFlow.

    Raises:
        ValueError: for a set whose fields are not known, or one that must be prepared first, saying what that needs.
    """

    def __init__(
        self, name: str, split: str, folder: str = "", *, clean: str = "reference", unanswerable: str = "skip"
    ):
        known = name.replace(":", "/").split("/")[0]
        if known not in COLUMNS:
            raise ValueError(f"{name!r} is no set of tensorflow_datasets that is read; known are {', '.join(COLUMNS)}")
        self.read = row_reader(COLUMNS[known], f"tfds:{name}", clean=clean, unanswerable=unanswerable)
        try:
            import tensorflow_datasets as tfds
            import tensorflow_datasets.summarization
        except ImportError as error:
            raise ValueError(f"tfds:{name} needs the package {error.name}: pip install 'quals_jax[train]'") from None
        try:
            self.rows = tfds.data_source(name, split=split, data_dir=folder or None, download=False)
        except (ValueError, AssertionError) as error:
            raise ValueError(f"tfds:{name}#{split}: {str(error).splitlines()[0]}") from None
        except Exception:  # nothing there, not as array records, or a package missing that looks
            archive = ", and an archive of the articles that you make by hand" if known == "xsum" else ""
            raise ValueError(
                f"tfds:{name} is not prepared as array records in {folder or 'the default data_dir'}; preparing it needs the"
                f" packages tensorflow and importlib_resources{archive} (docs/training.md); hf:{HUB_NAMES[known]}#{split}"
                " needs none of that: pip install 'quals_jax[data]'"
            ) from None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Text:
        return self.read(self.rows[index])
