"""Scores of metrics against what people said, as a picture: one panel a metric, one dot a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

COLUMNS = 3
SPREAD = 0.012  # of the judgement's range: people give few different answers, and dots must not hide each other


def plot_correlation(
    path: Path, human: Sequence[float], scores: Mapping[str, Sequence[float | None]], titles: Mapping[str, str], judgement: str
) -> None:  # fmt: skip
    """Writes a PNG (or what the suffix says).

    Raises:
        OSError: if it cannot be written.
        ValueError: if matplotlib knows no format of that suffix.
        ImportError: if it is not installed.
    """
    import matplotlib
    import numpy as np

    matplotlib.use("Agg")
    from matplotlib import pyplot

    wide = min(COLUMNS, len(scores))
    high = -(-len(scores) // wide)
    figure, panels = pyplot.subplots(high, wide, figsize=(4 * wide, 3.4 * high), squeeze=False, layout="constrained")
    generator = np.random.default_rng(0)
    human = np.asarray(human, float)
    moved = human + generator.normal(size=len(human)) * SPREAD * (np.ptp(human) or 1)
    for panel, (name, own) in zip(panels.flat, scores.items(), strict=False):
        there = [place for place, score in enumerate(own) if score is not None]
        panel.scatter(moved[there], [own[place] for place in there], s=9, alpha=0.35, linewidths=0)
        panel.set(xlabel=judgement, ylabel=name, title=titles[name])
        panel.title.set_fontsize(9)
    for panel in list(panels.flat)[len(scores) :]:
        panel.set_axis_off()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
