"""Sets that the package `datasets` reads: of the Hugging Face hub, or folders that it (or anything that writes Parquet) left behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from quals_jax.data.rows import row_reader
from quals_jax.data.texts import Text, by_source

SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves: of a set of splits, of one split
NEEDED = "needs the package datasets: pip install 'quals_jax[data]'"


class HubSet(Sequence):
    """A split of `owner/name`, `owner/name/config`, or of a local folder: one that `save_to_disk` wrote, or of Parquet, CSV or JSON
    files whose names begin with their splits (`train-00000-of-00001.parquet`).

    A local folder never touches the network. What the columns mean their names say (`rows.row_reader`).

    Args:
        clean: "reference" for the reference's cleaning of XSum and CNN/DailyMail, or "none".
        unanswerable: "skip" questions that have no answer, or answer them with "unknown".

    Raises:
        ValueError: in one line, for a set that cannot be had, an unknown split, or columns of unknown meaning.
    """

    def __init__(self, name: str, split: str, *, clean: str = "reference", unanswerable: str = "skip"):
        place = f"hf:{name}#{split}"
        try:
            import datasets
        except ImportError:
            raise ValueError(f"{place} {NEEDED}") from None
        folder = Path(name)
        if not folder.is_dir() and not _of_hub(name):
            raise ValueError(
                f"{place}: there is no such folder, and a set of the hub is owner/name or owner/name/config"
            )
        datasets.disable_progress_bars()
        datasets.logging.set_verbosity(datasets.logging.CRITICAL)  # what it logs of an error is told in one line below
        try:
            self.rows = _opened(datasets, folder, name, split)
        except Exception as error:  # of the network, the hub, the files: dozens of types
            said = " ".join(str(error).split())[:200] or type(error).__name__
            cure = "" if folder.is_dir() else "; without a network, give a folder: hf:FOLDER#SPLIT"
            raise ValueError(f"{place}: cannot be read ({said}){cure}") from None
        self.read = row_reader(self.rows.column_names, place, clean=clean, unanswerable=unanswerable)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Text:
        return self.read(self.rows[index])


def hub_set(name: str, split: str, *, clean: str = "reference", unanswerable: str = "skip") -> Sequence[Text]:
    """The texts of a `HubSet`; questions of one text together."""
    rows = HubSet(name, split, clean=clean, unanswerable=unanswerable)
    return by_source(rows) if "question" in rows.rows.column_names else rows


def _of_hub(name: str) -> bool:
    return 1 <= name.count("/") <= 2 and all(part and part not in (".", "..") for part in name.split("/"))


def _opened(datasets, folder: Path, name: str, split: str):
    if not folder.is_dir():
        owner, own, *config = name.split("/")
        return datasets.load_dataset(f"{owner}/{own}", *config, split=split)
    if not any((folder / file).exists() for file in SAVED):
        return datasets.load_dataset(str(folder), split=split)
    found = datasets.load_from_disk(str(folder))
    if not isinstance(found, datasets.DatasetDict):  # one split, saved alone
        return found
    if split not in found:
        raise ValueError(f"Unknown split {split!r}; there are {', '.join(found)}")
    return found[split]
