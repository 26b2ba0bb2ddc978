"""ConSeq as one command: sample, score, select, train, evaluate; each step skipped where its result still fits.

Files, in WORKDIR (the first two in `candidates.folder`, where several runs can share them):

    candidates.jsonl             documents, references, and what was sampled
    quals.jsonl or rouge.jsonl   the same with the scores
    selected.jsonl, scores.png   S+ and S-: {"document", "summaries": [S+, S-], ...}; and how the scores are spread
    checkpoints/, model/         training, and what came of it
    evaluation/                  rows, table.txt, page.html
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from quals_jax import parallel
from quals_jax.data import loader
from quals_jax.data.summaries import JsonLines
from quals_jax.data.texts import Target, Text, Tokenise
from quals_jax.metrics import Metric, MetricSettings, load
from quals_jax.metrics.rouge import processes_for, rouge
from quals_jax.qagen import QAGen
from quals_jax.quals import Quals
from quals_jax.recipes import likelihood, model_folders, run_folder, steps, training_data
from quals_jax.recipes.config import KINDS, ROUGE_KIND, CandidateConfig, ConseqConfig
from quals_jax.recipes.documents import Document, Documents, scores_of
from quals_jax.recipes.evaluation import System, evaluate, metrics_for
from quals_jax.recipes.judged import Judge, make_judge
from quals_jax.recipes.selection import expected_share, select
from quals_jax.summarizer import Conventions, Summarizer, described
from quals_jax.tokenizer import Tokenizer
from quals_jax.training.events import require_package
from quals_jax.training.loop import prepare
from quals_jax.training.plan import Plan, Sample
from quals_jax.training.state import take_apart

# What can change without the trained model becoming another.
FREE = ("candidates", "scoring", "selection", "evaluation", "interpolate", *run_folder.UNCHECKED)


class Triples(Tokenise):
    """Examples whose two targets are S+ and S-. A row of which one is too long is left out, and counted."""

    together, noisy = True, False

    def __init__(self, tokenizer: Tokenizer, *, forced_first_id: int | None = None, **limits):
        super().__init__(tokenizer, **limits)
        self.start = [] if forced_first_id is None else [forced_first_id]

    def __call__(self, texts):
        examples = super().__call__(texts)
        whole = [example for example in examples if len(example.targets) == 2]
        self.counts["rows_dropped"] += len(examples) - len(whole)
        if not self.start:
            return whole
        return [dataclasses.replace(e, targets=tuple([*self.start, *ids] for ids in e.targets)) for e in whole]


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


def training_documents(config: ConseqConfig) -> Documents:
    """The documents that are read, with their references."""
    settings = config.candidates
    return Documents(
        config.data.train, rows=settings.rows, story_seed=settings.story_seed, false_share=config.data.false_share,
        false_kinds=config.data.false_kinds, folder=config.data.folder, clean=config.data.clean,
    )  # fmt: skip


def sample(config: ConseqConfig, folder: Path, say: Callable[[str], None]) -> Path:
    """The file of candidates: `beams` and `samples` of every document, from the model that training starts from."""
    documents, summarizer = training_documents(config), make_summarizer(config)
    inputs = {"model": summarizer.identity, "documents": documents.fingerprint(), "dtype": config.model.dtype}
    return sample_from(summarizer, documents, config.candidates, folder, inputs, say)


def make_summarizer(config: ConseqConfig) -> Summarizer:
    """The model that training starts from, to be sampled from."""
    return Summarizer.from_pretrained(
        config.model.initial, config.model.tokenizer or None, dtype=config.model.dtype,
        batch_size=config.candidates.batch_size,
    )  # fmt: skip


def sample_from(
    summarizer: Summarizer, documents: Sequence[Document], settings: CandidateConfig, folder: Path, inputs: dict,
    say: Callable[[str], None],
) -> Path:  # fmt: skip
    """Writes `folder`/candidates.jsonl; its path. inputs: what else the candidates are made from, beside the settings."""
    result, sampling = folder / "candidates.jsonl", settings.sampling()

    def make(rows: range) -> list[dict]:
        own = [documents[row] for row in rows]
        texts = [row.document for row in own]
        none = [[] for _ in own]
        sampled = summarizer.sample(texts, settings.samples, sampling, settings.seed) if settings.samples else none
        searched = summarizer.beams(texts) if settings.beams else none
        return [
            {"id": row.id, "document": row.document, "reference": row.reference, "candidates": [*beams, *samples]}
            for row, beams, samples in zip(own, searched, sampled, strict=True)
        ]

    if settings.beams:
        summarizer.use(settings.search(summarizer.search))
    say(f"sampling: {len(documents)} documents")
    steps.in_blocks(
        result, candidate_inputs(settings, inputs), len(documents), make, block_rows=settings.block_rows,
        say=lambda line: say(f"sampling: {line}"),
    )  # fmt: skip
    return result


def candidate_inputs(settings: CandidateConfig, inputs: dict) -> dict:
    """What candidates are made from: `inputs`, and those of the settings that they depend on."""
    return inputs | {
        "samples": settings.samples, "seed": settings.seed, "block_rows": settings.block_rows,
        "sampling": dataclasses.asdict(settings.sampling()),
    } | ({"beams": settings.beams} if settings.beams else {})  # fmt: skip


def score(
    config: ConseqConfig, folder: Path, candidates: Path, say: Callable[[str], None], quals: Quals | None = None
) -> Path:
    """The file of candidates with their scores, and with those of the references where QUALS is the score. `quals`: the metric, where it
    is made already."""
    rows = list(steps.read_rows(candidates))
    by_rouge = config.kind == ROUGE_KIND
    result = folder / ("rouge.jsonl" if by_rouge else "quals.jsonl")
    quals = None if by_rouge else quals or make_quals(config)
    signature = "mean of ROUGE-1, 2, L" if by_rouge else quals.signature
    inputs = {"candidates": steps.sha256(candidates), "score": signature, "block_rows": config.candidates.block_rows}

    with processes_for(sum(len(row["candidates"]) for row in rows) if by_rouge else 0) as pool:

        def make(block: range) -> list[dict]:
            own = [rows[row] for row in block]
            scored = rouge_scores(own, pool) if by_rouge else quals_scores(quals, own)
            return [row | found for row, found in zip(own, scored, strict=True)]

        say(f"scoring: {len(rows)} documents")
        block_rows = config.candidates.block_rows
        steps.in_blocks(
            result, inputs, len(rows), make, block_rows=block_rows, say=lambda line: say(f"scoring: {line}")
        )
    return result


def quals_scores(quals: Quals, rows: list[dict]) -> list[dict]:
    """QUALS of candidates and reference of every row; a document is encoded once for all of them. None of a blank document."""
    texts = [[*row["candidates"], row["reference"]] for row in rows]
    documents = [row["document"] for row, own in zip(rows, texts, strict=True) for _ in own]
    scores = iter(scores_of(quals, documents, [text for own in texts for text in own]))
    listed = [[next(scores) for _ in own] for own in texts]
    return [{"candidate_scores": own[:-1], "reference_score": own[-1]} for own in listed]


def rouge_scores(rows: list[dict], pool=None) -> list[dict]:
    """The mean of ROUGE-1, 2 and L of every candidate against the row's reference, which needs no score."""
    references = [row["reference"] for row in rows for _ in row["candidates"]]
    found = iter(rouge(references, [text for row in rows for text in row["candidates"]], pool=pool))
    return [
        {"candidate_scores": [next(found).mean for _ in row["candidates"]], "reference_score": None} for row in rows
    ]


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


def train(
    config: ConseqConfig,
    workdir: Path,
    selected: Path,
    terminal: TextIO | None,
    held_out: Path | None = None,
    profile: Path | None = None,
) -> Path:
    """The folder of the model trained on S+ and S-, evaluated on those `held_out`; goes on from the last checkpoint made on the same
    S+ and S-."""
    from quals_jax.training.contrastive import contrastive_sums, contrastive_training_loss
    from quals_jax.training.loop import train as train_loop

    first = parallel.is_first_process()
    start = Summarizer.from_pretrained(config.model.initial, config.model.tokenizer or None)
    own = start.conventions(config.evaluation.search())
    inputs = run_folder.settings_without(FREE, config) | {
        "selected": steps.sha256(selected),
        "start": start.identity,
    }
    inputs |= {"export": config.export} | ({"steps": config.steps} if config.steps else {})
    inputs |= {"held_out": steps.sha256(held_out)} if held_out else {}
    del start
    folder = workdir / "model"
    exported = inputs | {
        "dtype": config.export_dtype,
        "interpolate": config.interpolate,
        "patience": config.patience,
        "search": dataclasses.asdict(own.search),
    }
    if not parallel.any_process(not steps.fits(folder, exported)):
        return folder
    if first and not _marked(workdir, inputs):
        shutil.rmtree(workdir / "checkpoints", ignore_errors=True)
        steps.write_whole(workdir / "training.json", json.dumps(inputs, indent=2, sort_keys=True) + "\n")
    parallel.wait_for_all("ready to train")

    model, tokenizer, triples, data = prepare_training(config, own)
    towards = interpolation(model, config.interpolate)
    texts = JsonLines(selected)
    config = likelihood.in_steps(config, loader.count_steps(texts, triples, data, 1.0))
    counts = dict(triples.counts)  # of one epoch
    journal = run_folder.make_journal(config, workdir, terminal, profile)
    counts = "  ".join(f"{name} {count:,}" for name, count in counts.items())
    journal.say(f"training: {len(texts)} pairs of S+ and S-, {config.steps} steps  {counts}")
    params = train_loop(
        config,
        workdir,
        model=model,
        loss=contrastive_training_loss(config.label_smoothing),
        batches=loader.training_batches(texts, triples, data, seed=config.seed),
        evaluate=contrastive_sums,
        evaluation_batches=loader.evaluation_batches(JsonLines(held_out), fresh(triples), data) if held_out else (),
        judge=judge_of(config, model, tokenizer, own) if config.judged.rows else None,
        journal=journal,
        sample=sample_of(texts, triples, data),
    )
    run_folder.close_journal(journal, workdir)
    model_folders.export(towards(params), model, tokenizer, folder, dtype=config.export_dtype)
    if first:
        keep_conventions(folder, own)
        steps.note(folder, exported)
    parallel.wait_for_all("trained")
    return folder


def prepare_training(config: ConseqConfig, own: Conventions):
    """The model to start from, its tokenizer, how S+ and S- become examples, and how these are cut into batches."""
    model, tokenizer = model_folders.prepare_model(config)
    tokenizer.source_bos, tokenizer.prefix = own.source_bos, own.prefix
    data = dataclasses.replace(config.data, max_targets=2, pair_buckets=(2,))
    positions = model.config.max_positions
    triples = Triples(
        tokenizer,
        source_limit=min(training_data.LONGEST_SOURCE, positions, data.source_buckets[-1]),
        target_limit=min(data.max_target_tokens, positions, data.target_buckets[-1])
        - (own.forced_first_id is not None),
        forced_first_id=own.forced_first_id,
        collapse=data.collapse_spaces,
    )
    return model, tokenizer, triples, data


def interpolation(model, share: float) -> Callable[[dict], dict]:
    """A function of trained parameters: the weights that lie `share` of the way to them from those that the model has now.

    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models". Not in the article on ConSeq: `docs/results.md`, what it gains.
    """
    if share == 1:
        return lambda params: params
    begun = parallel.on_host(take_apart(model)[1])  # a copy: training gives the model's own arrays away
    begun = {name: np.array(array) for name, array in begun.items()}
    return lambda params: {name: (1 - share) * begun[name] + share * np.asarray(params[name]) for name in begun}


def judge_of(config: ConseqConfig, model, tokenizer: Tokenizer, own: Conventions) -> Judge:
    """What judges the summaries of the model in training, QUALS by the recipe's own QAGen."""
    documents = Documents(
        config.data.validation, rows=config.judged.rows, story_seed=config.candidates.story_seed,
        folder=config.data.folder, clean=config.data.clean,
    )  # fmt: skip
    return make_judge(
        config.judged, documents, model, tokenizer, make_quals(config), dtype=config.model.dtype,
        forced_first_id=own.forced_first_id,
    )  # fmt: skip


def fresh(triples: Triples) -> Triples:
    """The same, with counts of its own."""
    again = copy.copy(triples)
    again.counts = Counter()
    return again


def sample_of(texts, triples: Triples, data, *, of: int | None = None) -> Sample:
    """Some of the batches; `of`: how many rows there will be, where that is not known yet."""
    batches, count = loader.batches_of_sample(texts, fresh(triples), data, training_data.SAMPLE_TEXTS)
    return Sample(batches, count, of or len(texts))


def plan(config: ConseqConfig, workdir: Path, *, limit: int | None = None) -> Plan:
    """What the recipe's training will do. Before anything is sampled and selected, references stand for S-, and as many rows
    are expected as two independent rankings would leave.

    Raises:
        ValueError: for what is wrong with the configuration, the data or the model.
    """
    config.validate()
    return plan_of(config, workdir / "selected.jsonl", limit=limit)


def plan_of(config: ConseqConfig, selected: Path, *, limit: int | None = None, read: int | None = None) -> Plan:
    """The plan of training on these S+ and S-; where they are not there yet, of what may come of so many documents (None: of all)."""
    start = Summarizer.from_pretrained(config.model.initial, config.model.tokenizer or None)
    own = start.conventions(config.evaluation.search())
    model, _, triples, data = prepare_training(config, own)
    if selected.exists():
        texts, expected = JsonLines(selected), None
    else:
        documents = training_documents(config)
        places = [len(documents) * number // training_data.SAMPLE_TEXTS for number in range(training_data.SAMPLE_TEXTS)]
        rows = [documents[place] for place in sorted(set(places))]
        texts = [Text(row.document, (Target(row.reference), Target(row.reference))) for row in rows]
        expected = max(round(expected_share(config) * (read or len(documents))), 1)
    sample = sample_of(texts, triples, data, of=expected)
    config = likelihood.in_steps(config, max(math.ceil(sample.steps_per_epoch), 1))
    from quals_jax.training.contrastive import contrastive_training_loss

    programs = prepare(config, model, contrastive_training_loss(config.label_smoothing), parallel.make_mesh())
    return programs.plan(config, sample, limit=limit)


def keep_conventions(folder: Path, own: Conventions) -> None:
    """Writes into an exported folder how the model is to be searched, and what summaries are forced to begin with."""
    values = described(own)
    for name, kept in (("config.json", ("forced_bos_token_id",)), ("generation_config.json", values)):
        path = folder / name
        stored = json.loads(path.read_text(encoding="utf-8-sig")) | {entry: values[entry] for entry in kept}
        steps.write_whole(path, json.dumps(stored, indent=2, sort_keys=True) + "\n")


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


def make_quals(config: ConseqConfig) -> Quals:
    """The metric, as the configuration describes it."""
    settings = config.scoring
    qagen = QAGen.from_pretrained(
        settings.qagen or None, settings.tokenizer or None, settings.search(), settings.dtype, settings.batch_size
    )
    return Quals(qagen, settings.max_pairs, settings.summary_score)


def _marked(workdir: Path, inputs: dict) -> bool:
    """Whether the checkpoints in the folder were made from these inputs."""
    try:
        return json.loads((workdir / "training.json").read_text(encoding="utf-8-sig")) == json.loads(json.dumps(inputs))
    except (OSError, ValueError):
        return False
