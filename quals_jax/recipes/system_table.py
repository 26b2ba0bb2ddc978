"""The table of summarizers: means of every measure, their intervals, paired differences, and on Gazette what is true by kind of story.

Rows are those of `evaluation.evaluate`: dicts with the measures by name, None where a summary has no value.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

WIDTH = 100
TITLE, WIDE_TITLE = 10, 17  # letters of a title in a line, above numbers alone and above numbers with intervals
LONGEST_NAME = 26
REFERENCES = "references"
METRICS = {  # name in the rows -> (title, factor); of others, those of --metric, the name is the title
    "rouge1": ("ROUGE-1", 100),
    "rouge2": ("ROUGE-2", 100),
    "rougeL": ("ROUGE-L", 100),
    "quals": ("QUALS", 1),
    "supported_share": ("supported", 100),
    "fully_true": ("fully true", 100),
    "true_and_well_formed": ("fully true and well-formed", 100),
    "well_formed": ("well-formed", 100),
}
NARROW = {
    "rouge1": 6,
    "rouge2": 6,
    "rougeL": 6,
    "fully_true": 5,
    "well_formed": 6,
}  # those of which the numbers take less
FACTS = (
    "supported: mean share of the facts that a summary states, as far as the oracle can read them. fully true: shares of all"
    " summaries; every sentence can be read, and every fact is supported. well-formed: as the oracle has it, and every sentence"
    " can be read."
)
Rows = Sequence[Mapping]


def table(
    results: Mapping[str, Rows], signature: str, further: Mapping[str, str] | None = None, *, remarks: Sequence[str] = ()
) -> str:  # fmt: skip
    """All of it as text of at most `WIDTH` columns.

    Args:
        results: per system its rows, one a document, in the same order. signature: of QUALS. further: other metrics in the rows, and their
            signatures. remarks: lines for the end.
    """
    from quals_jax.statistics import interval_of_mean

    further = dict(further or {})
    first = next(iter(results.values()))
    metrics = [metric for metric in [*METRICS, *further] if any(metric in row for row in first)]
    labels = short_names(results)
    narrow = [_title(metric, NARROW.get(metric, TITLE)) for metric in metrics]
    titles = [_title(metric, WIDE_TITLE) for metric in metrics]
    facts = any("supported_share" in row for row in first)
    means = {label: [_number(mean_of(results[name], m), m) for m in metrics] for name, label in labels.items()}
    if facts:
        for name, label in labels.items():
            means[label].append(str(len(without_facts(results[name]))))
    lines = [f"means of {len(first)} documents"]
    lines += _blocks([*narrow, *([["states", "no", "fact"]] if facts else [])], means)

    def interval(name: str, metric: str) -> str:
        values = _values(results[name], metric)
        if not values:
            return "none"
        low, high = interval_of_mean(values)
        return f"{_number(sum(values) / len(values), metric)} ({_number(low, metric)} to {_number(high, metric)})"

    lines += ["", "with 95% bootstrap intervals"]
    lines += _blocks(titles, {label: [interval(name, m) for m in metrics] for name, label in labels.items()})
    systems = [name for name in results if name != REFERENCES]
    for place, baseline in enumerate(systems[:-1]):
        lines += ["", f"difference from {labels[baseline]}, p of a paired permutation test"]
        cells = {
            labels[name]: [_difference(results[name], results[baseline], metric) for metric in metrics]
            for name in systems[place + 1 :]
        }
        lines += _blocks(titles, cells)
    lines += by_kind(results, labels)
    lines.append("")
    for name, label in labels.items():
        if label != name:
            lines += _wrap(f"{label}: {name}")
    lines += _what_is_missing(results, labels, metrics, facts)
    if facts:
        lines += _wrap(FACTS)
    for remark in remarks:
        lines += _wrap(remark)
    for name, own in {"QUALS": signature, **further}.items():
        lines += _wrap(f"{name}: {own}")
    return "\n".join(lines)


def _what_is_missing(
    results: Mapping[str, Rows], labels: Mapping[str, str], metrics: Sequence[str], facts: bool
) -> list[str]:
    """Which means leave summaries out, how many, and why."""
    lines = []
    for metric in metrics:
        missing = {labels[name]: sum(row.get(metric) is None for row in rows) for name, rows in results.items()}
        if not any(missing.values()):
            continue
        counts = ", ".join(f"{label} {count}" for label, count in missing.items())
        if metric == "quals":
            lines += _wrap(f"QUALS leaves out summaries of which no pair was kept: {counts}")
        elif metric == "supported_share":
            lines += _wrap(f"supported leaves out summaries that state no fact that can be read: {counts}")
        else:
            lines += _wrap(f"{metric} leaves out summaries without a score: {counts}")
    return lines


def by_kind(results: Mapping[str, Rows], labels: Mapping[str, str]) -> list[str]:
    """How many summaries of every kind of story are fully true, of how many; nothing where rows have no kind."""
    kinds = sorted({row["kind"] for rows in results.values() for row in rows if "kind" in row})
    if not kinds:
        return []
    cells = {}
    for name, label in labels.items():
        own = {kind: [row["fully_true"] for row in results[name] if row.get("kind") == kind] for kind in kinds}
        cells[label] = [f"{sum(map(int, true))}/{len(true)}" for true in own.values()]
    return ["", "fully true, by kind of story", *_blocks([[kind] for kind in kinds], cells)]


def mean_of(rows: Rows, metric: str) -> float | None:
    """The mean over rows that have a value, in the table's units; None without any."""
    values = _values(rows, metric)
    return sum(values) / len(values) if values else None


def without_facts(rows: Rows) -> list[str]:
    """The ids of summaries that state no fact that the oracle can read."""
    return [row["id"] for row in rows if "supported_share" in row and row["supported_share"] is None]


def overview(results: Mapping[str, Rows]) -> list[list[str]]:
    """The measures that a page shows first, the oracle's in front: a row of titles, and one for every system."""
    order = ("supported_share", "true_and_well_formed", "fully_true", "well_formed", "quals", "rouge1")
    first = next(iter(results.values()))
    metrics = [metric for metric in order if any(metric in row for row in first)]
    facts = any("supported_share" in row for row in first)
    head = ["", *(METRICS[metric][0] for metric in metrics)]
    lines = [head + (["states no fact"] if facts else [])]
    for name, rows in results.items():
        lines.append([name, *(_number(mean_of(rows, metric), metric) for metric in metrics)])
        if facts:
            lines[-1].append(str(len(without_facts(rows))))
    return lines


def short_names(names: Mapping | Sequence[str]) -> dict[str, str]:
    """Names as the table has them: long ones lose their middle, and stay different."""
    found: dict[str, str] = {}
    for number, name in enumerate(names):
        half = (LONGEST_NAME - 4) // 2
        label = name if len(name) <= LONGEST_NAME else f"{name[:half]}…{name[-half:]}"
        found[name] = f"{label[:half]}…{number}" if label in found.values() else label
    return found


def _difference(rows: Rows, baseline: Rows, metric: str) -> str:
    """How far the rows' mean is above the baseline's, over documents of which both have a value, and the p of that."""
    from quals_jax.statistics import paired_significance

    both = [
        (row[metric] - base[metric]) * _factor(metric)
        for row, base in zip(rows, baseline, strict=True)
        if row[metric] is not None and base[metric] is not None
    ]
    if not both:
        return "none"
    p = paired_significance(both)
    return f"{sum(both) / len(both):+.{_digits(metric)}f} (p {'<0.001' if p < 0.001 else f'{p:.3f}'})"


def _blocks(titles: Sequence[Sequence[str]], rows: Mapping[str, Sequence[str]]) -> list[str]:
    """Columns below their titles, as many side by side as fit; what does not fit stands below, in another block."""
    name_width = max(map(len, rows)) + 1
    columns = [[*title, *cells] for title, *cells in zip(titles, *rows.values(), strict=True)]
    widths = [max(map(len, column)) + 2 for column in columns]
    lines, start = [], 0
    while start < len(titles):
        end, used = start, name_width
        while end < len(titles) and (end == start or used + widths[end] <= WIDTH):
            used += widths[end]
            end += 1
        own = range(start, end)
        deep = max(len(titles[column]) for column in own)
        if lines:
            lines.append("")
        for level in range(deep):
            parts = [["", *titles[c]][max(0, level - deep + len(titles[c]) + 1)] for c in own]
            head = "".join(f"{part:>{widths[column]}}" for column, part in zip(own, parts, strict=True))
            lines.append((" " * name_width + head).rstrip())
        for name, cells in rows.items():
            lines.append(f"{name:{name_width}}" + "".join(f"{cells[c]:>{widths[c]}}" for c in own))
        start = end
    return lines


def _title(metric: str, letters: int) -> list[str]:
    return textwrap.wrap(METRICS[metric][0] if metric in METRICS else metric, letters)


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _values(rows: Rows, metric: str) -> list[float]:
    return [row[metric] * _factor(metric) for row in rows if row.get(metric) is not None]


def _number(value: float | None, metric: str) -> str:
    return "none" if value is None else f"{value:.{_digits(metric)}f}"


def _factor(metric: str) -> int:
    return METRICS[metric][1] if metric in METRICS else 1


def _digits(metric: str) -> int:
    return 1 if _factor(metric) == 100 else 3
