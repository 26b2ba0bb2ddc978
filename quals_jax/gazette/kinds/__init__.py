"""The kinds of story: one file each, found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from quals_jax.gazette.kind import Kind


@cache
def all_kinds() -> dict[str, Kind]:
    """Every kind by its name, in alphabetical order."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    kinds = [importlib.import_module(f"{__name__}.{module}").KIND for module in modules]
    return {kind.name: kind for kind in kinds}
