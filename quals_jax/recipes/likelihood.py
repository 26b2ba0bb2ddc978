"""Likelihood training from a configuration: its model, its data, the loop, and the folder that comes out."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TextIO

from jax.sharding import Mesh

from quals_jax import parallel
from quals_jax.data.texts import UNKNOWN
from quals_jax.qagen import QAGen
from quals_jax.quals import Quals
from quals_jax.recipes import encoders
from quals_jax.recipes.documents import Documents
from quals_jax.recipes.judged import EMBEDDED, Judge, make_judge
from quals_jax.recipes.model_folders import export, prepare_model
from quals_jax.recipes.run_folder import claimed, close_journal, make_journal, require_same_data, require_same_settings
from quals_jax.recipes.training_data import GAZETTE_VALIDATION_SEED, Data, prepare_data
from quals_jax.tokenizer import Tokenizer
from quals_jax.training.config import TrainConfig
from quals_jax.training.encoder_losses import encoder_loss
from quals_jax.training.events import require_package
from quals_jax.training.loop import load_params, prepare, train
from quals_jax.training.losses import Loss, likelihood_loss
from quals_jax.training.plan import Plan


def run(
    config: TrainConfig, workdir: Path, *, terminal: TextIO | None = None, mesh: Mesh | None = None,
    profile: Path | None = None,
) -> Path:  # fmt: skip
    """Trains, or goes on training, on all devices or those of `mesh`, and writes the folder WORKDIR/model; its path. `profile`: the folder
    for what the devices do in the first steps.

    Raises:
        ValueError: for anything in the configuration, the data or the checkpoint that cannot be used, and for a
            `workdir` of other settings, or one in which another run is at work.
        FloatingPointError, Stopped: as `train` does.
    """
    config.validate()
    require_same_settings(config, workdir)
    if config.tensorboard:
        require_package()
    model, tokenizer = prepare_model(config)
    data = prepare_data(config, model.config, tokenizer)
    judge = judge_of(config, model, tokenizer) if config.judged.rows else None
    config = with_steps(config, data)
    with claimed(config, workdir):
        journal = make_journal(config, workdir, terminal, profile)
        if data.fingerprint is not None:
            require_same_data(workdir, data.fingerprint())
        params = train(
            config,
            workdir,
            model=model,
            loss=loss_of(config),
            batches=data.batches,
            evaluate=data.evaluate,
            evaluation_batches=data.evaluation_batches,
            judge=judge,
            journal=journal,
            sample=data.sample(),
            mesh=mesh,
        )
        if data.counts:
            journal.write(
                {"step": journal.marked_step, **data.counts}
            )  # the last: with patience not always config.steps
            journal.say("  ".join(f"{name} {count:,}" for name, count in data.counts.items()))
        close_journal(journal, workdir)
        return export(
            params, model, tokenizer, workdir / "model", dtype=config.export_dtype, unknown=_unknown_of(config)
        )


def plan(config: TrainConfig, *, limit: int | None = None) -> Plan:
    """What `run` would do, without a step; `limit`: bytes of a device that is not at hand.

    Raises:
        ValueError: as `run` does.
    """
    config.validate()
    model, tokenizer = prepare_model(config)
    data = prepare_data(config, model.config, tokenizer)
    config = with_steps(config, data)
    return prepare(config, model, loss_of(config), parallel.make_mesh()).plan(config, data.sample(), limit=limit)


def export_now(config: TrainConfig, workdir: Path, step: int | None = None) -> Path:
    """Writes WORKDIR/model from the checkpoint that `config.export` names, or that of a step; a run may be at work meanwhile.

    Raises:
        ValueError: if there is no checkpoint, or it is one of other settings.
    """
    config.validate()
    require_same_settings(config, workdir)
    model, tokenizer = prepare_model(config)
    params = load_params(config, workdir, model=model, step=step)
    return export(params, model, tokenizer, workdir / "model", dtype=config.export_dtype, unknown=_unknown_of(config))


def with_steps(config: TrainConfig, data: Data) -> TrainConfig:
    """The configuration with the steps that its epochs take, and at which the checkpoints stay that are asked for by epochs.

    Raises:
        ValueError: where epochs cannot be counted.
    """
    if not (config.epochs or config.keep_at_epochs):
        return config
    if data.count_steps is None:
        name, instead = ("epochs", "steps") if config.epochs else ("keep_at_epochs", "keep_at")
        raise ValueError(f"{name} is {getattr(config, name)}; for kind {config.kind} give {instead}")
    return in_steps(config, data.count_steps(1.0))


def in_steps(config: TrainConfig, per_epoch: int) -> TrainConfig:
    """The configuration with `steps` and `keep_at` in the place of epochs of so many steps each.

    Raises:
        ValueError: where a checkpoint is asked for of an epoch behind the last step.
    """
    steps_made = config.steps or math.ceil(config.epochs * per_epoch)
    kept = [math.ceil(epoch * per_epoch) for epoch in config.keep_at_epochs]
    if late := [epoch for epoch, step in zip(config.keep_at_epochs, kept, strict=True) if step > steps_made]:
        raise ValueError(
            f"keep_at_epochs has {late[0]}, but training ends after {steps_made} steps, {steps_made / per_epoch:.2f} epochs"
        )
    return dataclasses.replace(config, steps=steps_made, keep_at=(*config.keep_at, *kept))


def loss_of(config: TrainConfig) -> Loss:
    """What this kind of training makes small."""
    if config.kind in encoders.HEADS:
        return encoder_loss(encoders.LOSSES[config.kind])
    return likelihood_loss(config.label_smoothing)


def judge_of(config: TrainConfig, model, tokenizer: Tokenizer) -> Judge:
    """What judges the summaries of a model in training.

    Raises:
        ValueError: for what is wrong with `config.judged`, the validation texts or the QAGen.
    """
    wanted, words = config.judged, config.data.validation or "gazette:validation"
    documents = Documents(
        words, rows=wanted.rows, story_seed=GAZETTE_VALIDATION_SEED, folder=config.data.folder, clean=config.data.clean
    )
    qagen = None if wanted.qagen == EMBEDDED else wanted.qagen
    quals = Quals(QAGen.from_pretrained(qagen, batch_size=wanted.batch_size)) if wanted.qagen else None
    return make_judge(wanted, documents, model, tokenizer, quals, dtype=config.model.dtype)


def _unknown_of(config: TrainConfig) -> str:
    data = config.data
    return UNKNOWN if config.kind == "qagen" and (data.borrowed or data.unanswerable == "unknown") else ""
