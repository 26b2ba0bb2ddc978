"""The recipe's training on S+ and S-: what they become, the run, its result and its plan."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np

from quals_jax import parallel
from quals_jax.data import loader
from quals_jax.data.summaries import JsonLines
from quals_jax.data.texts import Target, Text, Tokenise
from quals_jax.recipes import likelihood, model_folders, run_folder, steps, training_data
from quals_jax.recipes.candidates import make_quals, training_documents
from quals_jax.recipes.config import ConseqConfig
from quals_jax.recipes.documents import Documents
from quals_jax.recipes.judged import Judge, make_judge
from quals_jax.recipes.selection import expected_share
from quals_jax.summarizer import Conventions, Summarizer, described
from quals_jax.tokenizer import Tokenizer
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


def _marked(workdir: Path, inputs: dict) -> bool:
    """Whether the checkpoints in the folder were made from these inputs."""
    try:
        return json.loads((workdir / "training.json").read_text(encoding="utf-8-sig")) == json.loads(json.dumps(inputs))
    except (OSError, ValueError):
        return False
