"""Online ConSeq: every so many steps the model of that moment is sampled, QUALS scores, and S+ and S- are chosen anew, in one run.

The offline recipe samples once, from the model that training starts from. That model soon writes nothing of the kind any more, and what
is unlearnt then is yesterday's mistakes. Here the pool of S- is renewed: a *round* is

    rounds/007/candidates.jsonl, quals.jsonl, selected.jsonl, scores.png   as in the offline recipe, of the next documents
    checkpoints/                                                           `online.every` steps on them: one optimizer throughout

and the result is WORKDIR/model and evaluation/, as there. A run that is killed goes on in the middle of its round, to the same bytes: a
round's samples depend on the weights of the checkpoint with which it began, and that stays until they are all scored.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from quals_jax import parallel
from quals_jax.data import loader
from quals_jax.data.summaries import JsonLines
from quals_jax.precision import Precision
from quals_jax.quals import Quals
from quals_jax.recipes import candidates, conseq, conseq_training, model_folders, run_folder, selection, steps
from quals_jax.recipes.config import ONLINE_KIND, OnlineConseqConfig
from quals_jax.recipes.documents import Document, Documents
from quals_jax.summarizer import Summarizer
from quals_jax.training.checkpoint import Checkpoints
from quals_jax.training.contrastive import contrastive_training_loss
from quals_jax.training.events import require_package
from quals_jax.training.loop import prepare
from quals_jax.training.loop import train as train_loop
from quals_jax.training.plan import Plan
from quals_jax.training.state import take_apart

# What can change without the trained model becoming another.
FREE = ("evaluation", "epochs", "interpolate", *(name for name in run_folder.UNCHECKED if name != "steps"))


def run(
    config: OnlineConseqConfig, workdir: Path, *, terminal: TextIO | None = None, profile: Path | None = None
) -> str:
    """Runs what is missing of the rounds; the table of the evaluation.

    Raises:
        ValueError: for anything in the configuration, the data or the checkpoints that cannot be used, where a round selects nothing, and
            where another run is at work.
        FloatingPointError, Stopped: as training does.
    """
    config.validate()
    conseq.require_recipe_folder(workdir, (ONLINE_KIND,))

    def say(line: str) -> None:
        if terminal is not None and parallel.is_first_process():
            print(line, file=terminal, flush=True)

    conseq.evaluated_on(config)  # what is wrong with them would else show after hours
    conseq.further_metrics(config)
    if config.tensorboard:
        require_package()
    quals = candidates.make_quals(config)
    with run_folder.claimed(config, workdir):
        return conseq.compare(config, workdir, Rounds(config, workdir, quals, terminal, say, profile).all(), say)


def plan(config: OnlineConseqConfig, workdir: Path, *, limit: int | None = None) -> Plan:
    """What the rounds will do, each on S+ and S- of its own: as many as those of the last round that was selected; before that, as many as
    two independent rankings would leave.

    Raises:
        ValueError: for what is wrong with the configuration, the data or the model.
    """
    config.validate()
    made = sorted((workdir / "rounds").glob("*/selected.jsonl"))
    selected = made[-1] if made else workdir / "rounds" / "selected.jsonl"
    planned = conseq_training.plan_of(config, selected, limit=limit, read=config.online.documents)
    round_steps = min(config.online.every, config.steps)
    per_epoch = max(planned.steps_per_epoch, 1.0)
    return dataclasses.replace(
        planned, round_steps=round_steps, steps_per_epoch=per_epoch, epochs=round_steps / per_epoch
    )


class Rounds:
    """The rounds of one run: what they share is made once."""

    def __init__(
        self, config: OnlineConseqConfig, workdir: Path, quals: Quals, terminal: TextIO | None, say: Callable[[str], None],
        profile: Path | None = None,
    ):  # fmt: skip
        self.config, self.workdir, self.quals, self.terminal, self.say = config, workdir, quals, terminal, say
        self.profile = profile
        self.documents = candidates.training_documents(config)
        start = Summarizer.from_pretrained(config.model.initial, config.model.tokenizer or None)
        self.own = start.conventions(config.evaluation.search())
        chosen = run_folder.settings_without(FREE, config)
        made_from = {"documents": self.documents.fingerprint(), "start": start.identity, "score": quals.signature}
        self.inputs = chosen | made_from
        self.summarizer, self.planned, self.made = None, False, 0

    def all(self) -> Path:
        """The folder of the model after the last round."""
        config, folder, first = self.config, self.workdir / "model", parallel.is_first_process()
        exported = self.inputs | {"dtype": config.export_dtype, "search": dataclasses.asdict(self.own.search)}
        exported |= {"interpolate": config.interpolate}
        if not parallel.any_process(not steps.fits(folder, exported)):
            return folder
        if first:
            self._forget_other_runs()
        parallel.wait_for_all("ready for rounds")

        self.model, self.tokenizer, self.triples, self.data = conseq_training.prepare_training(config, self.own)
        towards = conseq_training.interpolation(self.model, config.interpolate)
        self.mesh = parallel.make_mesh()
        self.loss = contrastive_training_loss(config.label_smoothing)
        self.programs = prepare(config, self.model, self.loss, self.mesh)
        self.journal = run_folder.make_journal(config, self.workdir, self.terminal, self.profile)
        params, self.made = None, self._steps_made()
        for number, begin in enumerate(range(0, config.steps, config.online.every)):
            end = min(begin + config.online.every, config.steps)
            if end < self.made or (end == self.made and end < config.steps):
                continue  # a later round has begun, or can
            selected = self._pool(number, begin, params)
            params = self._train(selected, number, end)
        run_folder.close_journal(self.journal, self.workdir)
        model_folders.export(towards(params), self.model, self.tokenizer, folder, dtype=config.export_dtype)
        if first:
            conseq_training.keep_conventions(folder, self.own)
            steps.note(folder, exported)
        parallel.wait_for_all("trained")
        return folder

    def _forget_other_runs(self) -> None:
        """Removes the rounds and checkpoints of a run of other settings."""
        marker, wanted = self.workdir / "online.json", json.dumps(self.inputs, indent=2, sort_keys=True) + "\n"
        if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
            return
        for name in ("checkpoints", "rounds"):
            shutil.rmtree(self.workdir / name, ignore_errors=True)
        steps.write_whole(marker, wanted)

    def _steps_made(self) -> int:
        """The step of the last checkpoint."""
        folder = self.workdir / "checkpoints"
        if not folder.is_dir():
            return 0
        with Checkpoints(folder, keep=self.config.keep, read_only=True) as checkpoints:
            return checkpoints.manager.latest_step() or 0

    def _pool(self, number: int, begin: int, params: dict | None) -> Path:
        """The file of S+ and S- of a round, which begins after `begin` steps; `params`: the weights then, None where they are on disk."""
        folder, settings = self._folder(number), self.config.candidates
        folder.mkdir(parents=True, exist_ok=True)
        own = Part(self.documents, number * self.config.online.documents, self.config.online.documents)
        # Another seed for every round: a document that comes again gives other samples.
        settings = dataclasses.replace(settings, rows=len(own), seed=settings.seed + number)
        before = [steps.sha256(self._folder(earlier) / "selected.jsonl") for earlier in range(number)]
        made_from = {"run": self.inputs, "round": number, "pools": before}
        sampled = folder / "candidates.jsonl"
        wanted = candidates.candidate_inputs(settings, made_from)
        if parallel.any_process(not steps.fits(sampled, wanted)):
            if self.made > begin:
                raise ValueError(
                    f"{sampled}: is not what the checkpoints of this run were trained on; put it back, or give another --workdir"
                )
            if params is None and begin:  # the weights of the last checkpoint, which is that of this very step
                params = self._train(self._folder(number - 1) / "selected.jsonl", number - 1, begin)
            self._use(params)
            self.say(f"round {number + 1}, after {begin} steps")
            candidates.sample_from(self.summarizer, own, settings, folder, made_from, self.say)
        scores = candidates.score(self.config, folder, sampled, self.say, self.quals)
        return selection.select(self.config, folder, scores, self.say)

    def _use(self, params: dict | None) -> None:
        """Makes the summarizer write as the model with these weights (None: as at the start)."""
        skeleton, first = take_apart(self.model)
        model = skeleton.bart(first if params is None else params)
        if self.summarizer is None:
            self.summarizer = Summarizer(
                model, self.tokenizer, search=self.own.search, batch_size=self.config.candidates.batch_size,
                forced_first_id=self.own.forced_first_id, precision=Precision.of(self.config.model.dtype),
            )  # fmt: skip
        else:
            self.summarizer.runner.use_weights(model)

    def _train(self, selected: Path, number: int, end: int) -> dict:
        """The parameters after `end` steps, the last of them on this round's S+ and S-."""
        texts = JsonLines(selected)
        batches = loader.training_batches(texts, self.triples, self.data, seed=self.config.seed + number)
        sample = None if self.planned else conseq_training.sample_of(texts, self.triples, self.data)
        self.planned = True
        return train_loop(
            self.config, self.workdir, model=self.model, loss=self.loss, batches=OfRound(number, batches),
            journal=self.journal, mesh=self.mesh, programs=self.programs, sample=sample, until=end,
        )  # fmt: skip

    def _folder(self, number: int) -> Path:
        return self.workdir / "rounds" / f"{number:03}"


class Part(Sequence):
    """`count` of the documents from the place `start`; behind the last come the first."""

    def __init__(self, documents: Documents, start: int, count: int):
        self.documents, self.start, self.count = documents, start, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < self.count:
            raise IndexError(index)
        return self.documents[(self.start + index) % len(self.documents)]


class OfRound:
    """Batches of a round, which begin at the first where the position that a checkpoint holds is of another round."""

    def __init__(self, number: int, batches):
        self.number, self.batches = number, batches

    def __iter__(self):
        import grain

        number, inner = self.number, iter(self.batches)

        class Iterator(grain.DatasetIterator):
            def __next__(self):
                return next(inner)

            def get_state(self) -> dict:
                return {"round": number, "position": inner.get_state()}

            def set_state(self, state: dict) -> None:
                if state["round"] == number:
                    inner.set_state(state["position"])

        return Iterator(inner)
