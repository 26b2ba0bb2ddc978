"""The kinds of story: one file each, found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from quals_jax.gazette.kind import Kind

# What stories are drawn from unless kinds are named. It never grows: a ninth kind in it would change every story of every
# seed. A new kind is there for those who name it.
DRAWN = ("boxing", "election", "robbery", "storm", "strike", "takeover", "transfer", "trial")


@cache
def all_kinds() -> dict[str, Kind]:
    """Every kind by its name, in alphabetical order."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    kinds = [importlib.import_module(f"{__name__}.{module}").KIND for module in modules]
    return {kind.name: kind for kind in kinds}
