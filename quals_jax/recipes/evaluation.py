"""Summarizers on a data set: ROUGE, QUALS, and on Gazette what the oracle finds; the rows of every system, a table and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from quals_jax.metrics import Metric, compared_with
from quals_jax.recipes import steps
from quals_jax.recipes.documents import scores_of

METRICS = {  # name in the rows -> (title, factor); of others, those of --metric, the name is the title
    "rouge1": ("ROUGE-1", 100),
    "rouge2": ("ROUGE-2", 100),
    "rougeL": ("ROUGE-L", 100),
    "quals": ("QUALS", 1),
    "supported_share": ("supported", 100),
    "well_formed": ("well-formed", 100),
}
REFERENCES = "references"
BLOCK_ROWS = 256
COLUMN = 26


@dataclass(frozen=True)
class System:
    """What is evaluated: a summarizer by beam search, or (with `best_of`) the best by QUALS of so many of its beams."""

    name: str
    path: str
    best_of: int = 0


def evaluate(
    systems: Sequence[System], documents, quals, folder: Path, *, search: Mapping | None = None, tokenizer: str | None = None,
    dtype: str = "float32", batch_size: int = 16, metrics: Mapping[str, Metric] | None = None, say: Callable[[str], None] = lambda line: None,
) -> str:  # fmt: skip
    """The table of all systems, the references in front. Everything is kept in `folder`.

    Args:
        documents: a `Documents`. quals: the metric. search: fields of the summarizers' beam search; what is not in it
            is as each model says. metrics: further ones, by the names that their columns get.

    Raises:
        ValueError: naming what is wrong with a model, or a metric that is there already.
    """
    from quals_jax import parallel
    from quals_jax.report.side_by_side import write_side_by_side

    names = [REFERENCES, *(system.name for system in systems)]
    if len(set(names)) < len(names):
        raise ValueError(f"the systems are called {', '.join(names)}; every name must be another")
    metrics = dict(metrics or {})
    if taken := [name for name in metrics if name in (*METRICS, "id", "summary", "supported", "unsupported")]:
        raise ValueError(f"--metric {taken[0]}: is in the table without being asked for")
    signatures = {name: f"against {compared_with(metric, ())} | {metric.signature}" for name, metric in metrics.items()}
    folder.mkdir(parents=True, exist_ok=True)
    data = documents.fingerprint()
    results = {}
    for number, name in enumerate(names):
        say(f"evaluating {name}")
        path = folder / f"{number}-{_file_name(name)}.jsonl"
        if name == REFERENCES:
            write, made_by = _references, {}
        else:
            write, made_by = _writer(systems[number - 1], quals, search, tokenizer, dtype, batch_size)
        made_by |= {"metrics": signatures} if signatures else {}
        _evaluate_one(path, write, {"data": data, "quals": quals.signature, **made_by}, documents, quals, metrics)
        results[name] = list(steps.read_rows(path))
    text = table(results, quals.signature, signatures)
    if parallel.is_first_process():
        write_side_by_side(folder / "page.html", [row.document for row in documents], results, text)
        numbers = {name: {metric: _mean(results[name], metric) for metric in [*METRICS, *metrics]} for name in names}
        steps.write_whole(folder / "results.json", json.dumps(numbers, indent=2) + "\n")
        steps.write_whole(folder / "table.txt", text + "\n")
    return text


def _evaluate_one(path: Path, write: Callable, inputs: dict, documents, quals, metrics: Mapping[str, Metric]) -> None:
    from quals_jax.gazette import check
    from quals_jax.metrics.rouge import rouge

    def make(rows: range) -> list[dict]:
        own = [documents[row] for row in rows]
        summaries = write(own)
        overlaps = rouge([row.reference for row in own], summaries)
        texts, references = [row.document for row in own], [row.reference for row in own]
        scored = scores_of(quals, texts, summaries)
        further = {name: scores_of(metric, texts, summaries, references) for name, metric in metrics.items()}
        made = []
        for place, (row, summary, overlap, score) in enumerate(zip(own, summaries, overlaps, scored, strict=True)):
            made.append({"id": row.id, "summary": summary, "quals": score, **asdict(overlap)})
            made[-1] |= {name: scores[place] for name, scores in further.items()}
            if row.story is not None:
                made[-1] |= facts(check(row.story, summary))
        return made

    steps.in_blocks(path, inputs, len(documents), make, block_rows=BLOCK_ROWS)


def facts(verdict) -> dict:
    """What the oracle found, as fields of a row: the share of supported facts is None where no fact could be read."""
    read = len(verdict.supported) + len(verdict.unsupported)
    return {
        "supported": [f"{claim.slot}: {claim.value}" for claim in verdict.supported],
        "unsupported": [f"{claim.slot}: {claim.value}" for claim in verdict.unsupported],
        "supported_share": len(verdict.supported) / read if read else None,
        "well_formed": float(verdict.well_formed),
    }


def _references(rows) -> list[str]:
    return [row.reference for row in rows]


def _writer(system: System, quals, search, tokenizer, dtype, batch_size) -> tuple[Callable, dict]:
    """A function of documents to the system's summaries, and what they depend on."""
    from quals_jax.reranking import rerank
    from quals_jax.summarizer import Summarizer

    search = dict(search or {}) | ({"num_beams": system.best_of} if system.best_of else {})
    summarizer = Summarizer.from_pretrained(system.path, tokenizer, search=search, dtype=dtype, batch_size=batch_size)

    def by_search(rows):
        return summarizer.summarize([row.document for row in rows])

    def by_choice(rows):
        texts = [row.document for row in rows]
        beams = summarizer.beams(texts)
        there = [place for place, text in enumerate(texts) if text.strip()]
        chosen = rerank(quals, [texts[place] for place in there], [beams[place] for place in there])
        best = dict(zip(there, chosen, strict=True))
        return [best[place].summary if place in best else own[0] for place, own in enumerate(beams)]

    settings = asdict(summarizer.search)
    made_by = {"model": summarizer.fingerprint, "best_of": system.best_of, "dtype": dtype, "settings": settings}
    return (by_choice if system.best_of else by_search), made_by


def table(results: Mapping[str, Sequence[dict]], signature: str, further: Mapping[str, str] | None = None) -> str:
    """Means with 95% bootstrap intervals, and how every system differs from each before it, paired. further: other metrics in the
    rows, and their signatures."""
    from quals_jax.statistics import interval_of_mean

    names = list(results)
    further = dict(further or {})
    metrics = [metric for metric in [*METRICS, *further] if any(metric in row for row in results[names[0]])]
    wide = max(map(len, names)) + 2
    lines = [" " * wide + "".join(f"{_title(metric):>{COLUMN}}" for metric in metrics)]
    for name in names:
        cells = []
        for metric in metrics:
            values = [row[metric] * _factor(metric) for row in results[name] if row[metric] is not None]
            if not values:
                cells.append("none")
                continue
            low, high = interval_of_mean(values)
            cells.append(
                f"{_mean(results[name], metric):.{_digits(metric)}f} ({low:.{_digits(metric)}f} to {high:.{_digits(metric)}f})"
            )
        lines.append(f"{name:{wide}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells))
    systems = [name for name in names if name != REFERENCES]
    for place, baseline in enumerate(systems[:-1]):
        lines += ["", f"difference from {baseline}, p of a paired permutation test"]
        for name in systems[place + 1 :]:
            cells = [_difference(results[name], results[baseline], metric) for metric in metrics]
            lines.append(f"{name:{wide}}" + "".join(f"{cell:>{COLUMN}}" for cell in cells))
    without = {name: sum(row["quals"] is None for row in results[name]) for name in names}
    lines += ["", f"documents: {len(results[names[0]])}; in brackets 95% bootstrap intervals of the mean"]
    if any(without.values()):
        lines.append(
            "without QUALS, as no pair was kept: " + ", ".join(f"{name} {count}" for name, count in without.items())
        )
    return "\n".join([*lines, f"QUALS: {signature}", *(f"{name}: {own}" for name, own in further.items())])


def _difference(rows: Sequence[dict], baseline: Sequence[dict], metric: str) -> str:
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


def _title(metric: str) -> str:
    return METRICS[metric][0] if metric in METRICS else metric


def _factor(metric: str) -> int:
    return METRICS[metric][1] if metric in METRICS else 1


def _digits(metric: str) -> int:
    return 1 if _factor(metric) == 100 else 3


def _mean(rows: Sequence[dict], metric: str) -> float | None:
    values = [row[metric] for row in rows if row.get(metric) is not None]
    return _factor(metric) * sum(values) / len(values) if values else None


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
