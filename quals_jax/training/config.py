"""What `train.py` can be told: dataclasses that check themselves and name what is wrong.

`config_flags` reads the types of the fields: they must be types, not strings (no `from __future__ import annotations`
here).
"""

import dataclasses
import math
from dataclasses import dataclass, field

from quals_jax.precision import PRECISIONS

KINDS = ("qagen", "mle", "questions", "infilling", "reader", "factcc")
# What is in a tuple, where it is not whole numbers.
TUPLES = {"false_kinds": ((str,), "texts"), "keep_at_epochs": ((int, float), "numbers")}
SUMMARIZERS = ("mle", "conseq", "conseq_rouge")


def _require(fits: bool, name: str, value, wanted: str) -> None:
    if not fits:
        raise ValueError(f"{name} is {value!r}; it must be {wanted}")


def check_types(config, prefix: str = "") -> None:
    """Raises ValueError for the first field whose value is not of the type it is declared as, or a number that is not finite."""
    for field_ in dataclasses.fields(config):
        name, value, wanted = prefix + field_.name, getattr(config, field_.name), field_.type
        if dataclasses.is_dataclass(value):
            check_types(value, f"{name}.")
        elif wanted is float:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            _require(number and math.isfinite(value), name, value, "a finite number")
        elif wanted is int:
            _require(isinstance(value, int) and not isinstance(value, bool), name, value, "a whole number")
        elif wanted is tuple:
            _require(isinstance(value, tuple | list), name, value, "a tuple")
            items, said = TUPLES.get(field_.name, ((int,), "whole numbers"))
            _require(all(type(one) in items for one in value), name, value, f"a tuple of {said}")
        elif wanted in (str, bool):
            _require(isinstance(value, wanted), name, value, "a text" if wanted is str else "True or False")


def _one_of(name: str, value, choices: tuple) -> None:
    _require(value in choices, name, value, "one of " + ", ".join(map(str, choices)))


@dataclass
class OptimizerConfig:
    """Adam with decoupled weight decay (on every parameter, as fairseq has it), behind clipping by the global norm."""

    name: str = "adamw"  # or "fairseq_adam": epsilon before bias correction, clipping by the norm + 1e-6
    learning_rate: float = 3e-5
    warmup_steps: int = 0
    decay: str = "constant"  # after the warm-up; or "polynomial", from `decay_start` to the last step
    decay_start: int = 0
    decay_power: float = 1.0
    end_learning_rate: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01
    clip_norm: float = 0.1  # 0: no clipping
    accumulate: int = 1  # parts of a batch whose gradients are added up before the one update

    def validate(self) -> None:
        _one_of("optimizer.name", self.name, ("adamw", "fairseq_adam"))
        _one_of("optimizer.decay", self.decay, ("constant", "polynomial"))
        for name in ("learning_rate", "epsilon", "decay_power"):
            _require(getattr(self, name) > 0, f"optimizer.{name}", getattr(self, name), "greater than 0")
        for name in ("warmup_steps", "decay_start", "end_learning_rate", "weight_decay", "clip_norm"):
            _require(getattr(self, name) >= 0, f"optimizer.{name}", getattr(self, name), "at least 0")
        for name in ("beta1", "beta2"):
            _require(
                0 <= getattr(self, name) < 1, f"optimizer.{name}", getattr(self, name), "at least 0 and less than 1"
            )
        _require(self.accumulate >= 1, "optimizer.accumulate", self.accumulate, "at least 1")


@dataclass
class ModelConfig:
    """Where the weights come from: a checkpoint, or (without one) a random draw of these sizes."""

    initial: str = ""  # a folder, a fairseq .pt or a hub id
    tokenizer: str = ""  # a folder; needed where the checkpoint has none
    d_model: int = 192
    ffn_dim: int = 768
    layers: int = 3  # of the encoder, and of the decoder
    heads: int = 6
    max_positions: int = 512
    pair_format: str = ""  # of a T5 QAGen: qag or sep; empty: as the checkpoint says, and a BART's connector
    copy_init: bool = False  # start from weights that copy what they read (training/copy_init.py), or compare it (a BERT: encoder_init.py)
    dropout: float = -1.0  # -1: as the checkpoint says
    attention_dropout: float = -1.0
    dtype: str = "float32"  # of matrix products; parameters are float32 always
    remat: bool = False  # compute every layer again in the backward pass: less memory, a third more time
    shard_params: bool = False  # parameters and optimizer state cut over the devices, for models that do not fit one

    def validate(self) -> None:
        _one_of("model.dtype", self.dtype, tuple(PRECISIONS))
        for name in ("dropout", "attention_dropout"):
            value = getattr(self, name)
            _require(value == -1 or 0 <= value < 1, f"model.{name}", value, "-1 or in 0 .. 1")
        for name in ("d_model", "ffn_dim", "layers", "heads", "max_positions"):
            _require(getattr(self, name) >= 1, f"model.{name}", getattr(self, name), "at least 1")
        _require(
            bool(self.initial or self.tokenizer), "model.tokenizer", self.tokenizer, "given when model.initial is not"
        )


@dataclass
class DataConfig:
    """What is read, and how it is cut into batches.

    A source is written `kind:place`, several with spaces between them: `squad:train-v1.1.json`,
    `newsqa:combined.json#train`, `hf:EdinburghNLP/xsum#train`, `tfds:xsum#train`, `jsonl:rows.jsonl`,
    `text:train.source,train.target`, `gazette:train` (see data/sources.py).
    """

    train: str = ""
    validation: str = ""
    validation_rows: int = 0  # the first so many texts only; 0: all
    folder: str = ""  # where tensorflow_datasets has prepared its sets
    clean: str = "reference"  # XSum, CNN/DailyMail: page furniture and links out, full stops in; or "none"
    collapse_spaces: bool = False  # every run of white space is a single space
    unanswerable: str = "skip"  # SQuAD 2.0: questions that their text does not answer; or "unknown", to be answered so
    batch_size: int = 8  # texts a step, over all devices; rows of each part where a batch has several
    batch_tokens: int = 0  # source tokens a step, padding included; 0: no bound
    batch_target_tokens: int = 0  # target positions a step, padding included; long targets then go apart; 0: no bound
    max_targets: int = 8  # targets trained against one encoding; a text with more stands in several rows
    max_target_tokens: int = 1024
    source_buckets: tuple = (64, 128, 192, 256, 384, 512, 768, 1024)
    pair_buckets: tuple = (1, 2, 4, 8)  # those below max_targets are used, and max_targets itself
    target_buckets: tuple = (16, 32, 64, 128, 256, 512, 1024)
    window: int = 64  # batches that are sorted by length together
    block_words: int = 360  # infilling: words of each block that the texts, one after the other, are cut into
    infill_share: float = 0.3  # infilling: of the words, masked
    infill_length: float = 3.0  # infilling: mean length in words of the spans that one mask each stands for
    shuffle_sentences: bool = False  # infilling: in the damaged text they stand in random order
    borrowed: float = 0.0  # a QAGen's questions of other texts for each of a text's own, to be answered with "unknown"
    copy_batches: int = 0  # Gazette: a QAGen's first batches that are copying lessons
    summaries_per_document: int = 1  # Gazette: summaries for each document of a QAGen's batch
    unanswered: int = 0  # Gazette: questions for each summary that it does not answer, to be answered with "unknown"
    longest_pair: int = 0  # Gazette: tokens of a pair of a summary, where a fact has so short a wording; 0: any
    false_share: float = 0.0  # Gazette: share of a summarizer's references that are false
    false_kinds: tuple = ()  # Gazette: how they are false: the first of these kinds that a story allows; else any kind

    def validate(self) -> None:
        _require(bool(self.train), "data.train", self.train, "a source such as jsonl:rows.jsonl")
        _one_of("data.clean", self.clean, ("reference", "none"))
        _one_of("data.unanswerable", self.unanswerable, ("skip", "unknown"))
        for name in ("batch_size", "max_targets", "max_target_tokens", "window", "summaries_per_document"):
            _require(getattr(self, name) >= 1, f"data.{name}", getattr(self, name), "at least 1")
        _require(0 <= self.false_share <= 1, "data.false_share", self.false_share, "in 0 .. 1")
        _require(self.block_words >= 1, "data.block_words", self.block_words, "at least 1")
        _require(0 < self.infill_share < 1, "data.infill_share", self.infill_share, "between 0 and 1")
        _require(0 < self.infill_length <= 100, "data.infill_length", self.infill_length, "more than 0 and at most 100")
        _require(self.borrowed >= 0, "data.borrowed", self.borrowed, "at least 0")
        for name in (
            "batch_tokens",
            "batch_target_tokens",
            "validation_rows",
            "copy_batches",
            "unanswered",
            "longest_pair",
        ):
            _require(getattr(self, name) >= 0, f"data.{name}", getattr(self, name), "at least 0")
        for name in ("source_buckets", "pair_buckets", "target_buckets"):
            buckets = tuple(getattr(self, name))
            fits = bool(buckets) and buckets == tuple(sorted(set(buckets))) and buckets[0] > 0
            _require(fits, f"data.{name}", getattr(self, name), "increasing lengths")
        longest = self.target_buckets[-1]
        fits = not self.batch_target_tokens or self.batch_target_tokens >= longest
        _require(fits, "data.batch_target_tokens", self.batch_target_tokens, f"0, or at least a target of {longest}")


@dataclass
class JudgedConfig:
    """Summaries that a summarizer in training writes of validation texts at every evaluation, and how good they are: ROUGE, and QUALS."""

    rows: int = 0  # the first so many texts of data.validation; 0: none is written
    qagen: str = ""  # what QUALS is by: a folder, a fairseq .pt, a hub id, or "embedded"; empty: ROUGE alone
    beams: int = 4
    min_length: int = 10
    max_length: int = 60
    batch_size: int = 8  # texts at a time on each device

    def validate(self) -> None:
        for name, least in (("rows", 0), ("beams", 1), ("min_length", 0), ("max_length", 1), ("batch_size", 1)):
            _require(getattr(self, name) >= least, f"judged.{name}", getattr(self, name), f"at least {least}")
        fits = self.min_length <= self.max_length
        _require(fits, "judged.min_length", self.min_length, f"at most judged.max_length, {self.max_length}")
        if not self.rows:
            changed = [f.name for f in dataclasses.fields(self) if getattr(self, f.name) != f.default]
            if changed:
                raise ValueError(f"judged.{changed[0]} has no effect: judged.rows is 0")


@dataclass
class TrainConfig:
    """One run of `train.py`."""

    kind: str = "mle"
    seed: int = 1
    steps: int = 1000
    epochs: float = 0.0  # instead of steps, which must be 0 then: so often through all texts
    checkpoint_every: int = 500  # steps
    checkpoint_minutes: float = 10.0  # and whenever so much time has passed; 0: by steps alone
    keep: int = 2  # the last so many checkpoints, beside the best
    keep_at: tuple = ()  # steps whose checkpoints are made and kept whatever comes; `--export STEP` writes one as a model
    keep_at_epochs: tuple = ()  # the same by epochs: (2,) is the end of the second
    eval_every: int = 500  # steps; 0: never
    patience: int = 0  # ends after so many evaluations without a lower validation loss; 0: never early
    log_every: int = 50
    tensorboard: bool = False  # metrics as event files too, in WORKDIR/tensorboard (extra [tensorboard])
    label_smoothing: float = 0.0
    export: str = "best"  # checkpoint that becomes WORKDIR/model: best (by validation loss) or last
    export_dtype: str = "float32"
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    judged: JudgedConfig = field(default_factory=JudgedConfig)

    def validate(self) -> None:
        """Raises ValueError naming the field, its value and what would be right."""
        check_types(self)
        _one_of("kind", self.kind, KINDS)
        _one_of("export", self.export, ("best", "last"))
        _one_of("export_dtype", self.export_dtype, ("float32", "float16", "bfloat16"))
        _require(self.epochs >= 0, "epochs", self.epochs, "at least 0")
        if self.epochs:
            _require(self.steps == 0, "steps", self.steps, f"0, as epochs is {self.epochs}")
            endless = self.data.train.split(":")[0] == "gazette"
            _require(not endless, "epochs", self.epochs, "0, and steps given: Gazette is endless")
        _require(all(step >= 1 for step in self.keep_at), "keep_at", self.keep_at, "steps, from 1")
        for name in ("steps", "checkpoint_every", "keep", "log_every")[bool(self.epochs) :]:
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        if self.keep_at_epochs:
            _require(all(epoch > 0 for epoch in self.keep_at_epochs), "keep_at_epochs", self.keep_at_epochs, "above 0")
            endless = self.data.train.split(":")[0] == "gazette"
            _require(not endless, "keep_at_epochs", self.keep_at_epochs, "(), and keep_at given: Gazette is endless")
        if self.patience or self.judged.rows:
            self._require_evaluation()
        for name in ("eval_every", "checkpoint_minutes", "seed", "patience"):
            _require(getattr(self, name) >= 0, name, getattr(self, name), "at least 0")
        _require(0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "at least 0 and less than 1")
        self.data.validate()
        gazette = self.data.train.split(":")[0] == "gazette"
        _require(
            self.kind != "infilling" or not gazette,
            "data.train",
            self.data.train,
            "texts: infilling has none of Gazette",
        )
        fits = not self.data.borrowed or (self.kind == "qagen" and not gazette)
        _require(fits, "data.borrowed", self.data.borrowed, "0: it is for a QAGen, and Gazette has data.unanswered")
        self.model.validate()
        self.optimizer.validate()
        self.judged.validate()
        batch, parts = self.data.batch_size, self.optimizer.accumulate
        fitting = max(number for number in range(1, parts + 1) if batch % number == 0)
        cure = f"optimizer.accumulate={fitting} would fit, or data.batch_size={-(-batch // parts) * parts}"
        wanted = f"a multiple of optimizer.accumulate, {parts}: {cure}"
        _require(batch % parts == 0, "data.batch_size", batch, wanted)

    def _require_evaluation(self) -> None:
        """Raises ValueError where settings that need evaluations would have no effect."""
        name = "patience" if self.patience else "judged.rows"
        value = self.patience or self.judged.rows
        _require(self.eval_every > 0, name, value, "0, as eval_every is 0: nothing is evaluated")
        held_out = bool(self.data.validation) or self.data.train.split(":")[0] == "gazette"
        _require(held_out, name, value, "0, as data.validation is empty")
        if self.judged.rows:
            _require(self.kind in SUMMARIZERS, name, value, f"0: a {self.kind} writes no summaries")

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)
