"""The whole way of `python -m quals_jax correlate`: read, score, compare with people, write."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from quals_jax.judgements import read
from quals_jax.judgements.agreement import figures
from quals_jax.judgements.columns import RECORDED, columns
from quals_jax.judgements.scoring import score
from quals_jax.judgements.table import table
from quals_jax.metrics import MetricSettings
from quals_jax.metrics.correlation import RESAMPLES

WITHOUT_PLOTS = "it needs the package matplotlib: pip install 'quals_jax[train]'"


def correlate(
    data: str, metrics: Sequence[str], settings: MetricSettings | None = None, *, level: str = "summary", judgement: str | None = None,
    rows: int | None = None, resamples: int = RESAMPLES, output: Path | None = None, plot: Path | None = None, overwrite: bool = False,
    say: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[str, dict]:  # fmt: skip
    """The table and the figures of `metrics` on `data` (FORMAT:PATH).

    Args:
        rows: the first so many only. output: a JSON file for the figures; beside it, with other endings, the scores (JSONL) and
            the plot. plot: another place for that. say: called with the rows that are scored and those there are.

    Raises:
        ValueError: naming what of the data, the metrics or the models is not as it should be.
        OSError: if a file cannot be written.
    """
    if rows is not None and rows < 1:
        raise ValueError(f"--rows {rows}: must be at least 1")
    if resamples < 1:
        raise ValueError(f"--resamples {resamples}: must be at least 1")
    judged = read(data, level=level, judgement=judgement)
    if rows is not None:
        judged = dataclasses.replace(judged, rows=judged.rows[:rows])
    wanted = columns(metrics, judged, settings or MetricSettings())
    arguments = {"data": data, "level": level, "rows": rows}
    kept = beside(output, ".scores.jsonl") if output else None
    scores = score(judged, wanted, output=kept, arguments=arguments, overwrite=overwrite, say=say)
    about = {
        "format": data.partition(":")[0],
        "path": data.partition(":")[2],
        "level": level,
        "judgement": judged.judgement,
        "rows": len(judged.rows),
        "documents": len({row.document_id for row in judged.rows}),
        "systems": len({row.system for row in judged.rows}),
        "notes": list(judged.notes),
    }
    found = {"data": about, **figures(judged, wanted, scores, resamples=resamples)}
    text = table(found, judged.notes)
    if output:
        fresh = Path(f"{output}.new")
        fresh.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        os.replace(fresh, output)
    picture = plot or (beside(output, ".png") if output else None)
    if picture:
        from quals_jax.report.correlation_plot import plot_correlation

        titles = {name: _title(own) for name, own in found["metrics"].items()}
        try:
            plot_correlation(picture, judged.human, scores, titles, judged.judgement)
            text += f"\nplot: {picture}"
        except ImportError:
            if plot:
                raise ValueError(f"--plot {plot}: {WITHOUT_PLOTS}") from None
            text += f"\nno plot: {WITHOUT_PLOTS}"
    return text, found


def beside(output: Path, ending: str) -> Path:
    """The output's name with another ending in the place of `.json`."""
    return output.with_name(output.name.removesuffix(".json") + ending)


def _title(own: dict) -> str:
    value = "none" if own["pearson"] is None else f"{own['pearson'][0]:.3f}"
    how = own["compared"] if own["compared"] == RECORDED else f"against {own['compared']}"
    return f"Pearson {value}, n = {own['n']}, {how}"
