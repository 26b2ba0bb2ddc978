"""`python -m quals_jax evaluate`: summarizers on a data set: ROUGE, QUALS, and on Gazette what the oracle finds.

    python -m quals_jax evaluate --system mle=out/mle/model --system conseq=out/conseq/model \\
        --data gazette:test --rows 500 --output out/evaluation

Writes the rows of every system, results.json and page.html to the output folder, and prints the table. What is there
and still fits is not made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from quals_jax.commands import steps
from quals_jax.commands.errors import Parser, UserError
from quals_jax.metrics import Metric, compared_with

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


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax evaluate", description=__doc__)
    parser.add_argument(
        "--system", action="append", required=True, metavar="NAME=PATH", help="a summarizer; the first is the baseline"
    )
    parser.add_argument(
        "--data", default="gazette:test", help="gazette:SPLIT, jsonl:FILE, text:SOURCES,TARGETS or tfds:NAME#SPLIT"
    )
    parser.add_argument("--rows", type=int, default=0, help="the first so many documents (all; of Gazette 500)")
    parser.add_argument("--seed", type=int, default=7, help="of Gazette's stories (7)")
    parser.add_argument("--folder", default="", help="where tensorflow_datasets keeps its sets")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--tokenizer", help="a folder, for summarizers that have none beside them")
    parser.add_argument(
        "--metric", nargs="+", default=[], metavar="NAME", help="further metrics: NAME or NAME=MODEL, as qags or factcc"
    )
    parser.add_argument("--qagen", help="the model of QUALS (the embedded one)")
    parser.add_argument("--qagen_tokenizer", help="a folder, if that model has none beside it")
    parser.add_argument("--qagen_beams", type=int, default=60, help="of QUALS, each a group of its own (60)")
    parser.add_argument(
        "--best_of", type=int, default=0, metavar="N", help="also the best by QUALS of the N beams of the baseline"
    )
    parser.add_argument(
        "--beams",
        type=int,
        help="of the summarizers' search; this and the next four: as each model says (6, 10, 60, 1.0, 0)",
    )
    parser.add_argument("--min_length", type=int)
    parser.add_argument("--max_length", type=int)
    parser.add_argument("--length_penalty", type=float)
    parser.add_argument("--no_repeat_ngram_size", type=int)
    parser.add_argument("--batch_size", type=int, default=16, help="documents on each device (16)")
    parser.add_argument("--dtype", default="float32", help="of matrix products: float32 or bfloat16")
    options = parser.parse_args(arguments)
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax.commands.documents import Documents
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.metrics import MetricSettings, load
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals

    given = {"num_beams": options.beams}
    given |= {
        name: getattr(options, name) for name in ("min_length", "max_length", "length_penalty", "no_repeat_ngram_size")
    }
    given = {name: value for name, value in given.items() if value is not None}
    try:
        systems = [_system(word) for word in options.system]
        if options.best_of:
            systems.append(System(f"{systems[0].name}, best of {options.best_of}", systems[0].path, options.best_of))
        rows = options.rows or (500 if options.data.startswith("gazette:") else 0)
        documents = Documents(options.data, rows=rows, story_seed=options.seed, folder=options.folder)
        questions = SearchConfig(num_beams=options.qagen_beams)
        qagen = QAGen.from_pretrained(
            options.qagen, options.qagen_tokenizer, questions, options.dtype, options.batch_size
        )
        settings = MetricSettings(dtype=options.dtype, batch_size=options.batch_size)
        text = evaluate(
            systems, documents, Quals(qagen), options.output, search=given, tokenizer=options.tokenizer,
            dtype=options.dtype, batch_size=options.batch_size, metrics={name: load(name, settings) for name in options.metric},
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    print(text)
    return 0


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
        scored = quals.score(texts, summaries)
        further = {name: metric.score(texts, summaries, references) for name, metric in metrics.items()}
        made = []
        for place, (row, summary, overlap, result) in enumerate(zip(own, summaries, overlaps, scored, strict=True)):
            made.append({"id": row.id, "summary": summary, "quals": result.quals, **asdict(overlap)})
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
        return [choice.summary for choice in rerank(quals, texts, summarizer.beams(texts))]

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


def _system(word: str) -> System:
    name, equals, path = word.partition("=")
    if not (name and equals and path):
        raise ValueError(f"--system {word}: must be NAME=PATH")
    return System(name, path)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
