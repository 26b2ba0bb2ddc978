"""Files that come with the package: the embedded models and the configurations, also where the repository is not at hand."""

from __future__ import annotations

import json
from pathlib import Path

PACKAGE = Path(__file__).parent
ASSETS = PACKAGE / "assets"
# In the repository the configurations stand beside the package; setup.py puts them into it.
CONFIGS = (PACKAGE / "configs", PACKAGE.parent / "configs")
# And so do the texts of `check`.
NEWS = next(
    (
        path
        for path in (PACKAGE / "examples" / "news.jsonl", PACKAGE.parent / "examples" / "news.jsonl")
        if path.exists()
    ),
    None,
)


def shipped(path: str | Path) -> Path:
    """The path, if it is there; else what the package has under `quals_jax/assets/...` or `configs/...` (or a bare `NAME.py`).

    A path that is neither is given back as it is.
    """
    path = Path(path)
    try:
        if path.exists():
            return path
    except OSError:
        return path  # no path at all: too long
    if path.parts[:2] == ("quals_jax", "assets"):
        found = PACKAGE.joinpath(*path.parts[1:])
        return found if found.exists() else path
    if path.parent in (Path("configs"), Path()) and path.suffix == ".py":
        return next((folder / path.name for folder in CONFIGS if (folder / path.name).is_file()), path)
    return path


def tokenizer_folder(folder: str | Path) -> Path:
    """Where the tokenizer of a folder lies: there. But the embedded models share one, and `tokenizer` in the `quals_jax` block of an
    embedded model's `config.json` names the one of them that has it. Of any other folder the field is not followed."""
    folder = shipped(folder)
    if folder.absolute().parent.resolve() != ASSETS.resolve():
        return folder
    config = (
        json.loads((folder / "config.json").read_text(encoding="utf-8")) if (folder / "config.json").exists() else {}
    )
    named = config.get("quals_jax", {}).get("tokenizer")
    return ASSETS / named if named else folder
