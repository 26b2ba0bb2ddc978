"""Likelihood training from a configuration: its model, its data, the loop, and the folder that comes out."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import jax
from flax import nnx
from jax.sharding import Mesh

from quals_jax import checkpoints, parallel
from quals_jax.checkpoints import huggingface
from quals_jax.checkpoints.bert import export_bert, save_bert
from quals_jax.checkpoints.generation import document_prefix
from quals_jax.data import gazette as gazette_data
from quals_jax.data import loader, sources
from quals_jax.data.infilling import Infilling
from quals_jax.data.lines import Blocks
from quals_jax.data.questions import AnswerConditioned, QuestionBatches
from quals_jax.data.texts import UNKNOWN, First, Text, Tokenise, fingerprint
from quals_jax.data.unanswered import WithUnanswered
from quals_jax.models.bart import Bart, BartConfig
from quals_jax.models.bert import Bert, BertConfig
from quals_jax.models.t5 import T5Config
from quals_jax.pair_formats import FORMATS, PairCodec, source_prefix
from quals_jax.precision import Precision
from quals_jax.qagen import QAGen, format_of, prefix_of
from quals_jax.quals import Quals
from quals_jax.recipes import encoders, steps
from quals_jax.recipes.documents import Documents
from quals_jax.recipes.judged import EMBEDDED, Judge, make_judge
from quals_jax.report.training_curve import plot_training
from quals_jax.tokenizer import CONNECTOR, Tokenizer
from quals_jax.training.config import ModelConfig, TrainConfig
from quals_jax.training.copy_init import copy_init
from quals_jax.training.encoder_losses import encoder_loss, encoder_sums
from quals_jax.training.events import Events, require_package
from quals_jax.training.journal import Journal
from quals_jax.training.loop import load_params, prepare, train
from quals_jax.training.losses import Loss, answer_sums, likelihood_loss, likelihood_sums
from quals_jax.training.plan import Plan, Sample
from quals_jax.training.state import take_apart
from quals_jax.wordpiece import PairTokenizer

LONGEST_SOURCE = 1024
GAZETTE_VALIDATION_BATCHES = 16
GAZETTE_VALIDATION_SEED = 0  # always the same stories, whatever the run's seed
SAMPLE_TEXTS, SAMPLE_BATCHES = 4096, 8  # of which a run says beforehand what it will do
UNCHECKED = (
    "steps",
    "epochs",
    "checkpoint_every",
    "checkpoint_minutes",
    "keep",
    "keep_at",
    "keep_at_epochs",
    "patience",
    "judged",
    "tensorboard",
    "log_every",
    "export",
    "export_dtype",
    # How a step is laid out on the devices at hand, which may be others tomorrow.
    "optimizer.accumulate",
    "model.remat",
    "model.shard_params",
)


@dataclass(frozen=True)
class Data:
    """What a run reads: a Grain dataset of batches, and what is evaluated on which other ones."""

    batches: object
    evaluate: Callable
    evaluation_batches: Sequence[dict]
    counts: Mapping[str, int]  # texts read since the start of this process, and what was cut or left out of them
    sample: Callable[[], Sample]  # some of the batches, and of how much they are made
    count_steps: Callable[[float], int] | None = None  # the steps of so many epochs; reads everything once
    fingerprint: Callable[[], str] | None = None  # a hash of all that is learnt from; reads everything once


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


def make_journal(config: TrainConfig, workdir: Path, terminal: TextIO | None, profile: Path | None = None) -> Journal:
    """What the run writes of itself; the first process alone writes anything."""
    if not parallel.is_first_process():
        return Journal(None, steps=config.steps)
    events = Events(workdir / "tensorboard") if config.tensorboard else None
    return Journal(workdir / "metrics.jsonl", steps=config.steps, terminal=terminal, events=events, profile=profile)


def close_journal(journal: Journal, workdir: Path) -> None:
    """Draws WORKDIR/curve.png from what the journal has."""
    if journal.events is not None:
        journal.events.close()
    if journal.path is not None:
        plot_training(workdir / "curve.png", journal.path)


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


def require_same_settings(config: TrainConfig, workdir: Path) -> None:
    """Raises ValueError if the folder is that of a run with other settings, naming the first of them."""
    path = workdir / "config.json"
    if not path.exists():
        return
    found = flat(json.loads(path.read_text(encoding="utf-8-sig")))
    # A setting that came after the run began was then at its default.
    found = flat(json.loads(json.dumps(type(config)().to_dict()))) | found
    for name, value in flat(json.loads(json.dumps(config.to_dict()))).items():
        if name not in UNCHECKED and found.get(name) != value:
            raise ValueError(
                f"{workdir} holds a run with {name}={found.get(name)!r}, not {value!r};"
                " give another --workdir, or remove this one"
            )


def require_same_data(workdir: Path, found: str) -> None:
    """Notes in WORKDIR/data.json what a run learns from.

    Raises:
        ValueError: in every process, where the run began on other data.
    """
    path = workdir / "data.json"
    before = json.loads(path.read_text(encoding="utf-8")).get("sha256") if path.exists() else None
    if before not in (None, found):
        raise ValueError(
            f"{workdir} holds a run on other data (sha256 {before[:12]}, now {found[:12]}): files of data.train have changed since;"
            " put them back, or give another --workdir"
        )
    parallel.wait_for_all("data compared")
    if before is None and parallel.is_first_process():
        steps.write_whole(path, json.dumps({"sha256": found}) + "\n")


@contextmanager
def claimed(config: TrainConfig, workdir: Path):
    """Writes down whose folder this is, and keeps other runs out of it; the lock dies with the process.

    Raises:
        ValueError: if another run is at work there.
    """
    parallel.wait_for_all("settings compared")
    steps.require_shared(workdir)
    with ExitStack() as stack:
        error = None
        if parallel.is_first_process():
            lock = stack.enter_context((workdir / ".lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                steps.write_whole(workdir / "config.json", json.dumps(config.to_dict(), indent=2) + "\n")
            except BlockingIOError:
                error = ValueError(f"{workdir}: another run is at work there")
        parallel.raise_together(error)
        yield


def prepare_model(config: TrainConfig) -> tuple[Bart, Tokenizer] | tuple[Bert, PairTokenizer]:
    """The model to start from, and its tokenizer."""
    if config.kind in encoders.HEADS:
        return encoders.prepare_model(config)
    wanted = config.model
    if wanted.initial:
        found = checkpoints.load_checkpoint(
            wanted.initial, tokenizer=wanted.tokenizer or None, dtype=wanted.dtype, remat=wanted.remat
        )
        found.model.config = _with_dropout(found.config, wanted)
        if config.kind == "qagen":
            format = format_of(found, wanted.pair_format or None)
            known = found.settings.pair_format == format.name  # or the folder's prefix is another task's
            found.tokenizer.prefix = prefix_of(found, format) if known else source_prefix(format, found.extra)
            found.tokenizer.pair_format = format.name
        elif config.kind == "mle":  # a T5 that does not say what it expects before a document learns to expect nothing
            found.tokenizer.prefix = document_prefix(found.extra, found.folder / "config.json") or ""
        return found.model, found.tokenizer
    tokenizer = Tokenizer.from_pretrained(wanted.tokenizer, max_source_tokens=min(1023, wanted.max_positions - 1))
    tokenizer.connector_id = _connector_id(tokenizer)
    sizes = BartConfig(
        vocab_size=tokenizer.size,
        d_model=wanted.d_model,
        encoder_layers=wanted.layers,
        decoder_layers=wanted.layers,
        encoder_attention_heads=wanted.heads,
        decoder_attention_heads=wanted.heads,
        encoder_ffn_dim=wanted.ffn_dim,
        decoder_ffn_dim=wanted.ffn_dim,
        max_position_embeddings=wanted.max_positions,
    )
    model = Bart(
        _with_dropout(sizes, wanted),
        rngs=nnx.Rngs(config.seed),
        dtype=Precision.of(wanted.dtype).compute,
        remat=wanted.remat,
    )
    if wanted.copy_init:
        copy_init(model, seed=config.seed, twins=gazette_data.twins(tokenizer))
    return model, tokenizer


def prepare_data(config: TrainConfig, sizes: BartConfig | BertConfig, tokenizer: Tokenizer | PairTokenizer) -> Data:
    """What the words of `config.data` mean for this kind of training."""
    data, seed = config.data, config.seed
    if config.kind in encoders.HEADS:
        training, held_out = encoders.prepare_data(config, sizes, tokenizer)
        return Data(training, encoder_sums(encoders.EVALUATED[config.kind]), held_out, {}, lambda: _first(training))
    pairs = config.kind == "qagen"
    if data.train.split(":")[0] == sources.GAZETTE:
        evaluate = answer_sums(tokenizer.connector_id, gazette_data.TYPES) if pairs else likelihood_sums
        training = gazette_batches(config, tokenizer, data.train, seed=seed, count=config.steps)
        held_out = gazette_batches(
            config, tokenizer, data.validation or "gazette:validation", seed=GAZETTE_VALIDATION_SEED,
            count=GAZETTE_VALIDATION_BATCHES, training=False,
        )  # fmt: skip

        def sample() -> Sample:
            places = sorted({len(training) * number // SAMPLE_BATCHES for number in range(SAMPLE_BATCHES)})
            return Sample([training[place] for place in places], len(places) * data.batch_size, None)

        return Data(loader.indexed_batches(training), evaluate, list(held_out), {}, sample)
    codec = (
        PairCodec(FORMATS[getattr(tokenizer, "pair_format", "connector")], tokenizer, eos_id=sizes.eos_token_id)
        if pairs
        else None
    )
    separated = codec is not None and codec.separator_id is not None
    evaluate = answer_sums(codec.separator_id, ("answer",)) if separated else likelihood_sums
    limits = {
        "source_limit": min(LONGEST_SOURCE, sizes.max_positions, data.source_buckets[-1]),
        "target_limit": min(data.max_target_tokens, sizes.max_positions, data.target_buckets[-1]),
    }

    def maker():
        if config.kind == "infilling":
            noise = {"share": data.infill_share, "mean_length": data.infill_length, "shuffle": data.shuffle_sentences}
            return Infilling(tokenizer, **limits, **noise)
        return Tokenise(tokenizer, codec=codec, collapse=data.collapse_spaces, **limits)

    tokenise = maker()
    texts = _texts(config, data.train)
    if data.borrowed:
        if not separated:
            raise ValueError("data.borrowed needs a pair format with one token between question and answer")
        texts = WithUnanswered(texts, data.borrowed, seed=seed)
    training = loader.training_batches(texts, tokenise, data, seed=seed)

    def sample() -> Sample:
        batches, count = loader.batches_of_sample(texts, maker(), data, SAMPLE_TEXTS)
        return Sample(batches, count, len(texts))

    held_out = []
    if data.validation:
        held = _texts(config, data.validation)
        held = First(held, data.validation_rows or len(held))
        held_out = loader.evaluation_batches(held, maker(), data)

    def count_steps(epochs: float) -> int:
        return loader.count_steps(texts, maker(), data, epochs)

    return Data(training, evaluate, held_out, tokenise.counts, sample, count_steps, lambda: fingerprint(texts))


def _first(training) -> Sample:
    """The first batches of those that are made from their numbers."""
    iterator = iter(training)
    batches = [batch for _, batch in zip(range(SAMPLE_BATCHES), iterator, strict=False)]
    iterator.close()
    return Sample(batches, len(batches), None)


def _texts(config: TrainConfig, words: str) -> Sequence[Text]:
    data = config.data
    texts = sources.open_sources(words, folder=data.folder, clean=data.clean, unanswerable=data.unanswerable)
    if config.kind == "infilling":
        return Blocks(texts, data.block_words)
    return AnswerConditioned(texts) if config.kind == "questions" else texts


def gazette_batches(
    config: TrainConfig, tokenizer: Tokenizer, word: str, *, seed: int, count: int, training: bool = True
):
    """Batches of Gazette for a QAGen or a summarizer. Validation has no copying lessons, and no false references."""
    split, rows = word.partition(":")[2] or "train", config.data.batch_size
    common = {"seed": seed, "split": split, "count": count, "rows": rows}
    if config.kind == "qagen":
        return gazette_data.QagenBatches(
            tokenizer,
            summaries=config.data.summaries_per_document,
            unanswered=config.data.unanswered,
            longest_pair=config.data.longest_pair,
            copy_batches=config.data.copy_batches if training else 0,
            **common,
        )
    if config.kind == "questions":
        return QuestionBatches(tokenizer, **common)
    share = config.data.false_share if training else 0.0
    return gazette_data.SummaryBatches(tokenizer, false_share=share, false_kinds=config.data.false_kinds, **common)


def export(
    params: dict[str, jax.Array], model: Bart | Bert, tokenizer: Tokenizer | PairTokenizer, folder: Path, *, dtype: str, unknown: str = ""
) -> Path:  # fmt: skip
    """Writes model and tokenizer where none was, or in place of the one there; the folder. `unknown`: the answer that the model learnt for
    what a text does not tell."""
    if parallel.is_first_process():
        trained = take_apart(model)[0].bart(params)
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(trained, Bert):
            save_bert(partial, trained, export_bert(trained), dtype=dtype)
        else:
            tensors, said = huggingface.export(trained), {"unknown": unknown} if unknown else {}
            huggingface.save_huggingface(
                partial, model.config, tensors, extra={"quals_jax": _block(trained, tokenizer) | said}, dtype=dtype
            )
        tokenizer.save(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    parallel.wait_for_all("exported")
    return folder


def _block(model, tokenizer) -> dict:
    """What the folder says of itself (`ModelSettings`)."""
    said = {"max_source_tokens": tokenizer.max_source_tokens}
    if not isinstance(model, Bart):
        own = {"pair_format": tokenizer.pair_format} if hasattr(tokenizer, "pair_format") else {}
        return said | own | {"prefix": tokenizer.prefix}
    own = {name: getattr(tokenizer, name) for name in ("source_bos", "connector", "connector_id")}
    return said | own | ({"prefix": tokenizer.prefix} if tokenizer.prefix else {})


def _unknown_of(config: TrainConfig) -> str:
    data = config.data
    return UNKNOWN if config.kind == "qagen" and (data.borrowed or data.unanswerable == "unknown") else ""


def _with_dropout(sizes: BartConfig, wanted: ModelConfig) -> BartConfig:
    rates = {"dropout": wanted.dropout, "attention_dropout": wanted.attention_dropout}
    if isinstance(sizes, T5Config):
        rates = {"dropout_rate": wanted.dropout}
    return dataclasses.replace(sizes, **{name: rate for name, rate in rates.items() if rate != -1})


def _connector_id(tokenizer: Tokenizer) -> int:
    for number in range(tokenizer.size - 1, -1, -1):
        if tokenizer.decode([number]) == CONNECTOR:
            return number
    raise ValueError(
        f"{tokenizer.folder}: the tokenizer has no entry {CONNECTOR!r} to stand between question and answer"
    )


def settings_without(free: Sequence[str], config: TrainConfig) -> dict:
    """The settings by their whole names, but for those in `free`, and the parts in it."""
    named = flat(config.to_dict()).items()
    return {name: value for name, value in named if name not in free and name.split(".")[0] not in free}


def flat(values: dict, prefix: str = "") -> dict:
    """Nested settings by their whole names, such as "optimizer.accumulate"."""
    found = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found
