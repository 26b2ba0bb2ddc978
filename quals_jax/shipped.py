"""Files that come with the package: the embedded models and the configurations, also where the repository is not at hand."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
# In the repository the configurations stand beside the package; setup.py puts them into it.
CONFIGS = (PACKAGE / "configs", PACKAGE.parent / "configs")


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
