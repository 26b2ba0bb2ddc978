"""ConSeq as one command: sample, score, select, train, evaluate; each step skipped where its result still fits.

Files, in WORKDIR (the first two in `candidates.folder`, where several runs can share them):

    candidates.jsonl             documents, references, and what the summarizer wrote
    quals.jsonl or rouge.jsonl   the same with the scores
    selected.jsonl, scores.png   S+ and S-: {"document", "summaries": [S+, S-], ...}; and how the scores are spread
    checkpoints/, model/         training, and what came of it
    evaluation/                  rows, table.txt, page.html
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from quals_jax import parallel
from quals_jax.metrics import Metric, MetricSettings, load
from quals_jax.recipes import run_folder, steps
from quals_jax.recipes.candidates import make_quals, sample, score
from quals_jax.recipes.config import KINDS, ConseqConfig
from quals_jax.recipes.conseq_training import plan_of, train
from quals_jax.recipes.documents import Documents
from quals_jax.recipes.evaluation import System, evaluate, metrics_for
from quals_jax.recipes.selection import select
from quals_jax.training.events import require_package
from quals_jax.training.plan import Plan


def run(config: ConseqConfig, workdir: Path, *, terminal: TextIO | None = None, profile: Path | None = None) -> str:
    """Runs what is missing of the recipe; the table of its evaluation.

    Raises:
        ValueError: for anything in the configuration, the data or the checkpoints that cannot be used, and where
            another run is at work.
        FloatingPointError, Stopped: as training does.
    """
    config.validate()
    require_recipe_folder(workdir)

    def say(line: str) -> None:
        if terminal is not None and parallel.is_first_process():
            print(line, file=terminal, flush=True)

    # Opened now: what is wrong with them would else show after hours of sampling and training.
    evaluated_on(config)
    further_metrics(config)
    make_quals(config)
    if config.tensorboard:
        require_package()
    with run_folder.claimed(config, workdir):
        shared = Path(config.candidates.folder) if config.candidates.folder else workdir
        with steps.alone(shared, lambda: say(f"waiting for another run in {shared}")):
            candidates = sample(config, shared, say)
            scores = score(config, shared, candidates, say)
            held_out = hold_out(config, shared, workdir, say) if config.data.validation else None
        selected = select(config, workdir, scores, say)
        model = train(config, workdir, selected, terminal, held_out, profile)
        return compare(config, workdir, model, say)


def require_recipe_folder(workdir: Path, kinds: Sequence[str] = KINDS) -> None:
    """Raises ValueError for the folder of a run of another kind, such as likelihood training: the recipe would take the place of its
    model."""
    path = workdir / "config.json"
    kind = json.loads(path.read_text(encoding="utf-8-sig")).get("kind") if path.exists() else None
    if kind not in (None, *kinds):
        raise ValueError(f"{workdir} holds a run of kind {kind!r}; give another --workdir")


def hold_out(config: ConseqConfig, shared: Path, workdir: Path, say: Callable[[str], None]) -> Path:
    """The file of S+ and S- of `data.validation`, made as those of the training documents are, in folders `validation`.

    Raises:
        ValueError: if nothing was selected.
    """
    say(f"validation: {config.data.validation}")
    own = dataclasses.replace(
        config,
        data=dataclasses.replace(config.data, train=config.data.validation, false_share=0.0),
        candidates=dataclasses.replace(config.candidates, rows=config.data.validation_rows),
    )
    folders = shared / "validation", workdir / "validation"
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    try:
        return select(own, folders[1], score(own, folders[0], sample(own, folders[0], say), say), say)
    except ValueError as error:
        raise ValueError(f"validation ({config.data.validation}): {error}") from None


def plan(config: ConseqConfig, workdir: Path, *, limit: int | None = None) -> Plan:
    """What the recipe's training will do. Before anything is sampled and selected, references stand for S-, and as many rows
    are expected as two independent rankings would leave.

    Raises:
        ValueError: for what is wrong with the configuration, the data or the model.
    """
    config.validate()
    return plan_of(config, workdir / "selected.jsonl", limit=limit)


def compare(config: ConseqConfig, workdir: Path, model: Path, say: Callable[[str], None]) -> str:
    """The table: where training started, what came of it, and (if asked for) what mere choosing gains."""
    settings = config.evaluation
    systems = [System("MLE", config.model.initial), System(config.kind, str(model))]
    if settings.best_of:
        systems.append(System(f"MLE, best of {settings.best_of}", config.model.initial, settings.best_of))
    metrics, remarks = further_metrics(config)
    return evaluate(
        systems, evaluated_on(config), make_quals(config), workdir / "evaluation",
        search=dataclasses.asdict(settings.search()), tokenizer=config.model.tokenizer or None,
        dtype=config.model.dtype, batch_size=settings.batch_size,
        metrics=metrics, remarks=remarks, say=say,
    )  # fmt: skip


def further_metrics(config: ConseqConfig) -> tuple[dict[str, Metric], list[str]]:
    """The metrics that the table has beside QUALS and ROUGE, and remarks about those that it must do without."""
    names, remarks = metrics_for(config.evaluation.data, config.evaluation.metrics.split())
    settings = MetricSettings(dtype=config.scoring.dtype, batch_size=config.scoring.batch_size)
    return {name: load(name, settings) for name in names}, remarks


def evaluated_on(config: ConseqConfig) -> Documents:
    """The documents of the evaluation."""
    settings = config.evaluation
    return Documents(
        settings.data, rows=settings.rows, story_seed=settings.story_seed, folder=config.data.folder,
        clean=config.data.clean,
    )  # fmt: skip
