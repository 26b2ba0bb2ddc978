"""What the ConSeq recipe can be told, beside what any training can.

`config_flags` reads the types of the fields: they must be types, not strings (no `from __future__ import annotations`
here).
"""

import dataclasses
import math
from dataclasses import dataclass, field

from quals_jax.decoding.diverse_beam import SearchConfig
from quals_jax.decoding.sampling import SamplingConfig
from quals_jax.metrics import require_known
from quals_jax.training.config import TrainConfig, check_types

ROUGE_KIND = "conseq_rouge"
KINDS = ("conseq", ROUGE_KIND)
ONLINE_KIND = "conseq_online"
POSITIVES = ("reference", "candidate", "either")
SUMMARY_SCORES = ("likelihood", "beam")
LEAST = (
    ("candidates", "samples", 0),
    ("candidates", "beams", 0),
    ("candidates", "batch_size", 1),
    ("candidates", "block_rows", 1),
    ("candidates", "rows", 0),
    ("scoring", "batch_size", 1),
    ("scoring", "max_pairs", 1),
    ("evaluation", "batch_size", 1),
    ("evaluation", "rows", 0),
    ("evaluation", "best_of", 0),
)


@dataclass
class CandidateConfig:
    """The summaries that the model at `model.initial` writes of every training document (`data.train`)."""

    folder: str = ""  # where candidates and their scores are kept, for several runs to share; empty: WORKDIR
    rows: int = 0  # the first so many documents; 0: all
    samples: int = 6
    beams: int = 0  # so many by beam search too, in front of the samples, likeliest first
    k: int = 50
    min_length: int = 10
    max_length: int = 60
    temperature: float = 1.0
    seed: int = 0
    story_seed: int = 2  # Gazette: which stories are read
    batch_size: int = 16  # documents on each device
    block_rows: int = 256  # documents between two savings

    def sampling(self) -> SamplingConfig:
        return SamplingConfig(self.k, self.min_length, self.max_length, self.temperature)

    def search(self, own: SearchConfig) -> SearchConfig:
        """The search for `beams`, in what is not said here as the model's `own`."""
        lengths = {"min_length": self.min_length, "max_length": self.max_length}
        return dataclasses.replace(own, num_beams=self.beams, num_groups=1, **lengths)


@dataclass
class ScoringConfig:
    """How QUALS is computed, of candidates and references as of what is evaluated."""

    qagen: str = ""  # a folder, a fairseq .pt or a hub id; empty: the embedded one
    tokenizer: str = ""
    beams: int = 60  # each a group of its own
    min_length: int = 8
    max_length: int = 60
    max_pairs: int = 10
    summary_score: str = "likelihood"  # or "beam": as the released code, diversity penalties included
    batch_size: int = 8
    dtype: str = "float32"

    def search(self) -> SearchConfig:
        return SearchConfig(num_beams=self.beams, min_length=self.min_length, max_length=self.max_length)


@dataclass
class SelectionConfig:
    """Which documents give S+ (their reference) and S- (their worst candidate): those in both shares. With another `positive` S+ may be a
    candidate that scores as high as the references of that share: see quals_jax/recipes/selection.py."""

    candidate_ratio: float = 0.3  # with the lowest-scored worst candidates
    reference_ratio: float = 0.3  # with the highest-scored references; of no use to conseq_rouge
    highest: bool = False  # S- from the best candidates instead, and the documents where they score highest
    margin: float = (
        0.0  # S- is drawn from all candidates that score so much lower than the reference; 0: it is the lowest
    )
    seed: int = 0  # of that draw
    positive: str = (
        "reference"  # S+; or "candidate", one of those; or "either", one of those where the reference is not good
    )

    def check(self, kind: str) -> None:
        """Raises ValueError naming the field, its value and what would be right."""
        for own in ("candidate_ratio", "reference_ratio"):
            value = getattr(self, own)
            if not 0 < value <= 1:
                raise ValueError(f"selection.{own} is {value}; it must be more than 0 and at most 1")
        if self.margin < 0:
            raise ValueError(f"selection.margin is {self.margin}; it must be at least 0")
        if self.positive not in POSITIVES:
            raise ValueError(f"selection.positive is {self.positive!r}; it must be one of {', '.join(POSITIVES)}")
        for own, value, usual in (("margin", self.margin, 0), ("positive", self.positive, POSITIVES[0])):
            if value != usual and (self.highest or kind == ROUGE_KIND):
                raise ValueError(
                    f"selection.{own} is {value!r}; it must be {usual!r} with selection.highest, and for conseq_rouge"
                )


@dataclass
class EvaluationConfig:
    """What the result is compared on with the model it started from."""

    data: str = "gazette:test"
    rows: int = 0  # the first so many documents; 0: all
    story_seed: int = 7  # Gazette: which stories
    best_of: int = 0  # also the best by QUALS of so many beams of the model at the start; 0: not
    beams: int = 6
    min_length: int = 10
    max_length: int = 60
    length_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    batch_size: int = 16
    metrics: str = (
        ""  # further columns, as "overlap2 likelihood=MODEL", or "none"; empty: Gazette's table has QAGS and FactCC
    )

    def search(self) -> SearchConfig:
        return SearchConfig(
            num_beams=self.beams,
            num_groups=1,
            min_length=self.min_length,
            max_length=self.max_length,
            length_penalty=self.length_penalty,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
        )


@dataclass
class ConseqConfig(TrainConfig):
    """One run of the recipe. `steps` is counted from `epochs` unless it is given."""

    kind: str = "conseq"  # or "conseq_rouge": the same with ROUGE for QUALS
    steps: int = 0
    epochs: float = 2.0
    label_smoothing: float = 0.1
    eval_every: int = 0
    export: str = "last"
    interpolate: float = (
        1.0  # WORKDIR/model lies so far on the way from the weights at the start (0) to the trained ones
    )
    candidates: CandidateConfig = field(default_factory=CandidateConfig)
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    selection: SelectionConfig = field(default_factory=SelectionConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def validate(self) -> None:
        """Raises ValueError naming the field, its value and what would be right."""
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; it must be one of {', '.join(KINDS)}")
        check_types(self)
        usual = {"kind": "mle", "steps": self.steps or 1, "epochs": 0.0}
        if any(epoch <= 0 for epoch in self.keep_at_epochs):
            raise ValueError(f"keep_at_epochs is {self.keep_at_epochs}; it must be above 0")
        usual |= {"keep_at_epochs": ()}  # of S+ and S-, which have an end, whatever they are made from
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(TrainConfig)}
        TrainConfig(**fields | usual).validate()
        self._check_validation()
        if not self.model.initial:
            raise ValueError("model.initial is ''; it must be a summarizer trained by likelihood")
        if not 0 < self.interpolate <= 1:
            raise ValueError(f"interpolate is {self.interpolate}; it must be more than 0 and at most 1")
        if not 0 < self.epochs < math.inf:
            raise ValueError(f"epochs is {self.epochs}; it must be greater than 0, and finite")
        for name, own, low in LEAST:
            value = getattr(getattr(self, name), own)
            if value < low:
                raise ValueError(f"{name}.{own} is {value}; it must be at least {low}")
        if self.scoring.summary_score not in SUMMARY_SCORES:
            raise ValueError(
                f"scoring.summary_score is {self.scoring.summary_score!r}; it must be one of {', '.join(SUMMARY_SCORES)}"
            )
        if not self.candidates.samples + self.candidates.beams:
            raise ValueError("candidates.samples is 0; it must be at least 1 where candidates.beams is 0 too")
        self.selection.check(self.kind)
        for part in (self.candidates.sampling, self.scoring.search, self.evaluation.search):
            part()  # they check themselves
        if (names := self.evaluation.metrics.split()) != ["none"]:
            for name in names:
                require_known(name)
        if self.data.train.split(":")[0] == "gazette" and not self.candidates.rows:
            raise ValueError("candidates.rows is 0; Gazette is endless, so it must be given")
        if self.evaluation.data.split(":")[0] == "gazette" and not self.evaluation.rows:
            raise ValueError("evaluation.rows is 0; Gazette is endless, so it must be given")

    def _check_validation(self) -> None:
        """Raises ValueError for settings of the validation that would have no effect."""
        if not self.data.validation:
            self._require_unused("data.validation is empty: nothing is held out")
            if self.data.validation_rows:
                raise ValueError(f"data.validation_rows is {self.data.validation_rows}; data.validation is empty")
            return
        if not self.eval_every:
            raise ValueError("eval_every is 0; with data.validation it must say how often, in steps")
        if self.data.validation.split(":")[0] == "gazette" and not self.data.validation_rows:
            raise ValueError("data.validation_rows is 0; Gazette is endless, so it must be given")
        if self.judged.qagen:
            raise ValueError(
                f"judged.qagen is {self.judged.qagen!r}; in ConSeq QUALS is by scoring.qagen, so it must be ''"
            )

    def _require_unused(self, reason: str) -> None:
        for name, value, unused in (
            ("eval_every", self.eval_every, 0),
            ("export", self.export, "last"),
            ("patience", self.patience, 0),
            ("judged.rows", self.judged.rows, 0),
        ):
            if value != unused:
                raise ValueError(f"{name} is {value!r}; it must be {unused!r}: {reason}")


@dataclass
class OnlineConfig:
    """How often S- is renewed, and from how many documents."""

    every: int = 50  # steps of a round
    documents: int = 256  # read in a round; the next round reads those after them, and behind the last come the first


@dataclass
class OnlineConseqConfig(ConseqConfig):
    """ConSeq that samples again as the model changes: `steps` in rounds of `online.every`."""

    kind: str = ONLINE_KIND
    steps: int = 300
    epochs: float = 0.0
    online: OnlineConfig = field(default_factory=OnlineConfig)

    def validate(self) -> None:
        """Raises ValueError naming the field, its value and what would be right."""
        if self.kind != ONLINE_KIND:
            raise ValueError(f"kind is {self.kind!r}; it must be {ONLINE_KIND!r}")
        check_types(self)
        for name, value in (("data.validation", self.data.validation), ("keep_at_epochs", self.keep_at_epochs)):
            if value:
                raise ValueError(f"{name} is {value!r}; it must be {value[:0]!r}: it has no effect on rounds")
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(ConseqConfig)}
        ConseqConfig(**fields | {"kind": KINDS[0], "epochs": 1.0}).validate()
        if self.epochs:
            raise ValueError(f"epochs is {self.epochs}; it must be 0: steps and online.every say how long a round is")
        for name, value in (
            ("steps", self.steps),
            ("online.every", self.online.every),
            ("online.documents", self.online.documents),
        ):
            if value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1")
        if self.candidates.folder:
            raise ValueError(
                f"candidates.folder is {self.candidates.folder!r}; it must be '': no other run has these candidates"
            )
