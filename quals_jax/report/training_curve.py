"""How a training run went, as a picture: losses over steps, and what its summaries were worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

LOSSES = {"loss": "training", "validation_loss": "validation"}
JUDGED = {"validation/rouge1": "ROUGE-1", "validation/rougeL": "ROUGE-L", "validation/quals": "QUALS"}


def plot_training(path: Path, metrics: Path) -> bool:
    """Draws what a `metrics.jsonl` holds; whether there was anything to draw."""
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()] if metrics.exists() else []
    losses = {title: curve(rows, name) for name, title in LOSSES.items()}
    judged = {title: curve(rows, name) for name, title in JUDGED.items()}
    if not any(losses.values()):
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [("loss (nats a token)", losses)] + ([("ROUGE (0 to 1), QUALS", judged)] if any(judged.values()) else [])
    figure, grid = pyplot.subplots(1, len(panels), figsize=(7 * len(panels), 4.5), layout="constrained", squeeze=False)
    for axes, (label, series) in zip(grid[0], panels, strict=True):
        for title, points in series.items():
            if points:
                steps, values = zip(*points, strict=True)
                axes.plot(steps, values, label=title, marker="." if len(points) < 50 else None)
        axes.set(xlabel="step", ylabel=label)
        axes.legend()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return True


def curve(rows: Sequence[dict], name: str) -> list[tuple[int, float]]:
    """(step, value) of every row that has the value."""
    return [(row["step"], row[name]) for row in rows if isinstance(row.get(name), int | float)]
