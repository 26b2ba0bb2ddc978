"""How the scores of candidates and references are spread, and which of them were selected, as a picture."""

from __future__ import annotations

from pathlib import Path


def plot_scores(path: Path, rows: list[dict], triples: list[dict]) -> None:
    """Histograms of all scores, and of those selected."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    series = {
        "candidates": [score for row in rows for score in row["candidate_scores"]],
        "references": [row["reference_score"] for row in rows],
        "selected: S-": [row["negative_score"] for row in triples],
        "selected: S+": [row["positive_score"] for row in triples],
    }
    series = {name: [score for score in own if score is not None] for name, own in series.items()}
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    everything = [score for own in series.values() for score in own]
    if everything:
        edges = [min(everything) + (max(everything) - min(everything) + 1e-6) * place / 50 for place in range(51)]
        for name, own in series.items():
            if own:
                axes.hist(own, edges, density=True, histtype="step", label=f"{name} ({len(own)})")
        axes.legend()
    axes.set(xlabel="score", ylabel="density")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
