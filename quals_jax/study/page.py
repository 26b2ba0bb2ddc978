"""One page for each annotator, without a word of which system wrote what; and the key, which says it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from quals_jax.study import QUESTIONS
from quals_jax.study.sample import Study

KEY = "key.json"


def write_study(study: Study, annotators: int, folder: Path, seed: int) -> list[Path]:
    """Writes `annotator-1.html` and so on, and `key.json`; the pages' paths. Every annotator gets all items, in an order and on
    sides of their own: each system stands on either side in half of them.

    Raises:
        ValueError: for no annotators, or a folder that holds another study.
        OSError: if it cannot be written.
    """
    if annotators < 1:
        raise ValueError(f"--annotators {annotators}: must be at least 1")
    found = folder / KEY
    if found.exists() and read_key(found)["study"] != study.id:
        raise ValueError(
            f"{folder}: holds another study; name another folder, or its answers could not be read any more"
        )
    folder.mkdir(parents=True, exist_ok=True)
    names = [str(number) for number in range(1, annotators + 1)]
    plans = {name: plan(len(study.items), f"{seed} {name}") for name in names}
    key = {
        "study": study.id,
        "systems": list(study.systems),
        "shared": study.shared,
        "identical": study.identical,
        "items": {str(place): item.id for place, item in enumerate(study.items, 1)},
        "baseline_left": {name: {str(place + 1): left for place, left in plans[name]} for name in names},
    }
    _write_whole(found, json.dumps(key, indent=1, ensure_ascii=False) + "\n")
    paths = []
    for name in names:
        paths.append(folder / f"annotator-{name}.html")
        _write_whole(paths[-1], render(study, name, plans[name]))
    return paths


def plan(count: int, seed: str) -> list[tuple[int, bool]]:
    """The items in this annotator's order, each with whether the baseline stands on the left."""
    generator = random.Random(seed)
    order = list(range(count))
    generator.shuffle(order)
    left = [place % 2 == 0 for place in range(count)]
    generator.shuffle(left)
    return list(zip(order, left, strict=True))


def render(study: Study, annotator: str, plan: Sequence[tuple[int, bool]]) -> str:
    """The page as text: no network, no server; texts cannot run as code."""
    from jinja2 import Environment, PackageLoader

    items = []
    for place, baseline_left in plan:
        item = study.items[place]
        left, right = item.summaries if baseline_left else item.summaries[::-1]
        items.append({"item": str(place + 1), "document": item.document, "left": left, "right": right})
    questions = [asdict(question) for question in QUESTIONS]
    data = {"study": study.id, "annotator": annotator, "items": items, "questions": questions}
    return (
        Environment(loader=PackageLoader("quals_jax.study", "."), autoescape=True)
        .get_template("page.html")
        .render(data=data)
    )


def read_key(path: Path) -> dict:
    """The key to a study's pages.

    Raises:
        ValueError: if it cannot be read, or is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not isinstance(found, dict) or not {"study", "systems", "items", "baseline_left"} <= set(found):
        raise ValueError(f"{path}: is no key of a study")
    return found


def _write_whole(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)
