"""Summarizers on a data set: ROUGE, QUALS, and on Gazette what the oracle finds; the rows of every system, a table and a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from quals_jax.metrics import Metric, compared_with
from quals_jax.recipes import steps
from quals_jax.recipes.documents import scores_of
from quals_jax.recipes.system_table import METRICS, REFERENCES, mean_of, overview, table, without_facts

BLOCK_ROWS = 256
ORACLE = 2  # which fields the oracle gives a row; rows with others are made anew
TAKEN = (*METRICS, "id", "kind", "summary", "supported", "unsupported", "marks")
ON_GAZETTE = ("qags", "factcc")  # columns of Gazette's table that nobody need ask for
NONE = "none"


@dataclass(frozen=True)
class System:
    """What is evaluated: a summarizer by beam search, or (with `best_of`) the best by QUALS of so many of its beams."""

    name: str
    path: str
    best_of: int = 0


def evaluate(
    systems: Sequence[System], documents, quals, folder: Path, *, search: Mapping | None = None, tokenizer: str | None = None,
    dtype: str = "float32", batch_size: int = 16, metrics: Mapping[str, Metric] | None = None, remarks: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> str:  # fmt: skip
    """The table of all systems, the references in front. Everything is kept in `folder`.

    Args:
        documents: a `Documents`. quals: the metric. search: fields of the summarizers' beam search; what is not in it
            is as each model says. metrics: further ones, by the names that their columns get. remarks: lines for the table's end.

    Raises:
        ValueError: naming what is wrong with a model, or a metric that is there already.
    """
    from quals_jax import parallel
    from quals_jax.checkpoints import locate
    from quals_jax.report.side_by_side import write_side_by_side

    names = [REFERENCES, *(system.name for system in systems)]
    if len(set(names)) < len(names):
        raise ValueError(f"the systems are called {', '.join(names)}; every name must be another")
    metrics = dict(metrics or {})
    if taken := [name for name in metrics if name in TAKEN]:
        raise ValueError(f"--metric {taken[0]}: is in the table without being asked for")
    signatures = {name: f"against {compared_with(metric, ())} | {metric.signature}" for name, metric in metrics.items()}
    for system in systems:  # before the work of those in front of it
        locate(system.path)
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
        made_by |= {"oracle": ORACLE} if documents.split is not None else {}
        made_by |= {"data": data, "quals": quals.signature}
        _evaluate_one(path, write, made_by, documents, quals, metrics, lambda line, name=name: say(f"{name}: {line}"))
        results[name] = list(steps.read_rows(path))
    text = table(results, quals.signature, signatures, remarks=remarks)
    if parallel.is_first_process():
        write_side_by_side(folder / "page.html", [row.document for row in documents], results, text, overview(results))
        numbers = {
            name: {metric: mean_of(results[name], metric) for metric in [*METRICS, *metrics]}
            | {"states_no_fact": without_facts(results[name])}
            for name in names
        }
        steps.write_whole(folder / "results.json", json.dumps(numbers, indent=2) + "\n")
        steps.write_whole(folder / "table.txt", text + "\n")
    return text


def _evaluate_one(
    path: Path,
    write: Callable,
    inputs: dict,
    documents,
    quals,
    metrics: Mapping[str, Metric],
    say: Callable[[str], None],
) -> None:
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
                made[-1] |= {"kind": row.story.kind.name, **facts(check(row.story, summary))}
        return made

    steps.in_blocks(path, inputs, len(documents), make, block_rows=BLOCK_ROWS, say=say)


def facts(verdict) -> dict:
    """What the oracle found, as fields of a row: the share of supported facts is None where no fact could be read; `marks` are the facts'
    places in the summary, `[start, end, supported, slot]`, in its order."""
    claims = [*verdict.supported, *verdict.unsupported]
    true = verdict.judged and not verdict.unsupported
    return {
        "supported": [f"{claim.slot}: {claim.value}" for claim in verdict.supported],
        "unsupported": [f"{claim.slot}: {claim.value}" for claim in verdict.unsupported],
        "supported_share": len(verdict.supported) / len(claims) if claims else None,
        "fully_true": float(true),
        "true_and_well_formed": float(true and verdict.well_formed),
        "well_formed": float(verdict.well_formed),
        "marks": sorted([*claim.place, claim in verdict.supported, claim.slot] for claim in claims),
    }


def metrics_for(words: str, asked: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of the further metrics of a table on the data `words`, and remarks about those that it must do without.

    asked: what the user named; `none` for no further column. Where nothing was named Gazette's table has QAGS and FactCC, as far as a model
    of theirs is embedded.
    """
    from quals_jax.metrics.factcc import EMBEDDED

    if asked:
        return ([] if list(asked) == [NONE] else list(asked)), []
    if not words.startswith("gazette:"):
        return [], [
            "no QAGS and FactCC: their embedded models know only Gazette; --metric qags=GENERATOR,READER factcc=FOLDER"
        ]
    if EMBEDDED.is_dir():
        return list(ON_GAZETTE), []
    return ["qags"], ["no FactCC: no classifier is embedded; --metric factcc=FOLDER"]


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
    made_by = {"model": summarizer.identity, "best_of": system.best_of, "dtype": dtype, "settings": settings}
    return (by_choice if system.best_of else by_search), made_by


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
