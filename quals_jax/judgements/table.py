"""The figures of `agreement.figures` as text."""

from __future__ import annotations

from collections.abc import Sequence

COEFFICIENTS = ("pearson", "spearman", "kendall")
CELL = 27
MOST_DIFFERENCES = 36  # in the table
MOST_SYSTEMS = 24
INTERVALS = "in brackets 95% intervals: documents resampled with all their summaries"


def table(found: dict, notes: Sequence[str] = ()) -> str:
    """All rows first; then, where there are such, within documents and between systems, labels and pairs, differences."""
    metrics = found["metrics"]
    lines = [f"judgement: {found['data']['judgement']} ({'; '.join(notes)})" if notes else ""]
    lines += _part("over all rows", metrics, [(name, name.capitalize()) for name in COEFFICIENTS], lambda own: own)
    if any(own["partial_pearson"] for own in metrics.values()):
        lines += _part("with the system held fixed", metrics, [("partial_pearson", "Pearson")], lambda own: own)
    labels = [("auc", "AUC"), ("balanced_accuracy", "balanced accuracy*"), ("pairwise_accuracy", "pairs in order")]
    labels = [(name, title) for name, title in labels if any(own[name] for own in metrics.values())]
    if labels:
        lines += _part("consistent or not", metrics, labels, lambda own: own)
        if any(name == "balanced_accuracy" for name, _ in labels):
            lines.append("* by the threshold that serves the other documents best, ten parts")
    levels = (("summary_level", "documents", "within documents"), ("system_level", "systems", "between systems"))
    for level, unit, title in levels:
        if any(own[level] for own in metrics.values()):
            columns = [(name, name.capitalize()) for name in COEFFICIENTS]
            counts = {name: own[level][unit] if own[level] else 0 for name, own in metrics.items()}
            lines += _part(title, metrics, columns, lambda own, level=level: own[level] or {}, counts, unit)
    if any(len(own["pairs_by_system"] or ()) > 1 for own in metrics.values()):
        lines += _pairs(metrics)
    if 1 < len(found["systems"]) <= MOST_SYSTEMS:
        lines += _means(found["systems"], found["data"]["judgement"])
    if len(found["differences"]) > MOST_DIFFERENCES:
        lines += ["", f"{len(found['differences'])} differences between two metrics: in the JSON (--output)"]
    elif found["differences"]:
        lines += ["", "differences on the rows that both score, p of a permutation test"]
        for own in found["differences"]:
            lines.append(
                f"  {own['first']} - {own['second']} (n = {own['n']}): Pearson {own['pearson']:+.3f} (p {_p(own['pearson_p'])}),"
                f" Spearman {own['spearman']:+.3f} (p {_p(own['spearman_p'])})"
            )
    lines += ["", INTERVALS]
    for name, own in metrics.items():
        left = ", ".join(f"{count} {reason}" for reason, count in own["left_out"].items())
        lines.append(f"{name}: n = {own['n']} of {own['rows']}{f' ({left})' if left else ''} | {own['signature']}")
        if own["note"]:
            lines.append(f"note: {name}: {own['note']}")
    return "\n".join(lines)


def _part(title: str, metrics: dict, columns, inside, counts: dict | None = None, unit: str = "n") -> list[str]:
    wide = max(12, *(len(name) + 2 for name in metrics))
    counts = counts or {name: own["n"] for name, own in metrics.items()}
    head = f"{'':{wide}}{'against':12}{unit:>9}" + "".join(f"{name:>{CELL}}" for _, name in columns)
    lines = ["", title, head]
    for name, own in metrics.items():
        cells = "".join(f"{_cell(inside(own).get(column)):>{CELL}}" for column, _ in columns)
        lines.append(f"{name:{wide}}{own['compared']:12}{counts[name]:9}{cells}")
    return lines


def _pairs(metrics: dict) -> list[str]:
    """Which share of the pairs is in order, by the worse one's system."""
    systems = list(dict.fromkeys(name for own in metrics.values() for name in own["pairs_by_system"] or ()))
    wide = max(len(name) for name in systems) + 2
    head = f"{'':{wide}}{'pairs':>9}" + "".join(f"{name:>{CELL}}" for name in metrics)
    lines = ["", "pairs in order, by the system of the inconsistent one", head]
    for system in systems:
        own = [one["pairs_by_system"].get(system, {"pairs": 0, "in_order": None}) for one in metrics.values()]
        cells = "".join(f"{_cell(one['in_order']):>{CELL}}" for one in own)
        lines.append(f"{system:{wide}}{max(one['pairs'] for one in own):9}{cells}")
    return lines


def _means(systems: dict, judgement: str) -> list[str]:
    """What people and metrics say of every system on average, the best first."""
    wide = max(len(name) for name in systems) + 2
    names = list(next(iter(systems.values()))["metrics"])
    widths = {name: max(12, len(name) + 2) for name in (judgement, *names)}
    head = f"{'':{wide}}{'n':>7}" + "".join(f"{name:>{width}}" for name, width in widths.items())
    lines = ["", "means of the systems", head]
    for system, own in sorted(systems.items(), key=lambda pair: -pair[1]["human"]):
        values = {judgement: own["human"], **own["metrics"]}
        cells = "".join(
            f"{'none' if values[name] is None else f'{values[name]:.3f}':>{width}}" for name, width in widths.items()
        )
        lines.append(f"{system:{wide}}{own['n']:7}{cells}")
    return lines


def _cell(interval: Sequence[float] | None) -> str:
    return "none" if interval is None else "{:.3f} ({:.3f} to {:.3f})".format(*interval)


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
