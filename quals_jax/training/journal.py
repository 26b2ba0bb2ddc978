"""What a run says of itself: a JSON line now and then, and a line of progress on a terminal."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TextIO

import jax
import numpy as np

from quals_jax.training.events import Events
from quals_jax.training.losses import Sums

SHOWN = {"rouge1": "ROUGE-1", "rougeL": "ROUGE-L", "quals": "QUALS"}  # of what is held out, on the line of progress

Totals = dict[str, list[float]]  # numerator and denominator of every mean


def means(sums: list[Sums], before: Totals | None = None) -> dict[str, float]:
    """Numerators and denominators of all batches added up, to those `before`, then divided once; a mean over nothing is left out."""
    found = add_up(sums, before or {})
    return {name: float(total[0] / total[1]) for name, total in found.items() if total[1]}


def add_up(sums: list[Sums], before: Totals) -> Totals:
    """The totals `before` with those of all batches added, one after the other; waits for the device."""
    totals = {name: np.array(pair, np.float64) for name, pair in before.items()}
    for one in jax.device_get(sums):
        for name, pair in one.items():
            totals[name] = totals.get(name, 0) + np.array(pair, np.float64)
    return {name: total.tolist() for name, total in totals.items()}


class Journal:
    """`metrics.jsonl`, progress on `terminal` (None: silent), `events` for TensorBoard, and the folder of a `profile`."""

    def __init__(
        self, path: Path | None, *, steps: int, terminal: TextIO | None = None, events: Events | None = None,
        profile: Path | None = None,
    ):  # fmt: skip
        self.path, self.events, self.profile = path, events, profile
        self.steps = steps
        self.terminal = terminal
        self.started = self.marked = time.monotonic()
        self.first_step = self.marked_step = 0
        self.tokens = 0
        self.sums: list[Sums] = []
        self.before: Totals = {}
        self.shapes: set[str] = set()

    def begin(self, step: int, window: dict | None = None) -> None:
        """Forgets what a stopped run wrote of steps after the one that this run goes on from. `window`: what that run had gathered
        since its last line (`window` below), so that the next line is of the same steps as if it had not stopped."""
        self.first_step = self.marked_step = step
        self.started = self.marked = time.monotonic()
        self.sums, self.before, self.tokens = [], {}, 0
        if window:
            self.before, self.tokens = window["totals"], window["tokens"]
            self.marked, self.marked_step = self.started - window["seconds"], step - window["steps"]
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = []
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines(keepends=True):
                try:
                    kept += [line] if json.loads(line)["step"] <= step else []
                except ValueError:
                    continue  # a line cut off by the end of the process
        self.path.write_text("".join(kept), encoding="utf-8")
        if self.events is not None:
            self.events.begin(step)

    def window(self, step: int) -> dict:
        """What was gathered since the last line, for a checkpoint; waits for the device."""
        self.before, self.sums = add_up(self.sums, self.before), []
        seconds, steps = time.monotonic() - self.marked, step - self.marked_step
        return {"totals": self.before, "tokens": self.tokens, "seconds": seconds, "steps": steps}

    def add(self, sums: Sums, tokens: int) -> None:
        self.sums.append(sums)
        self.tokens += tokens

    def note_shapes(self, shapes: str, seconds: float) -> None:
        """Says when a batch had shapes for which a program had to be compiled first."""
        if shapes not in self.shapes:
            self.shapes.add(shapes)
            self.say(f"compiled for {shapes} in {seconds:.1f} s")

    def log(self, step: int, **values) -> dict[str, float]:
        """Writes the means since the last line; waits for the device."""
        now_means = means(self.sums, self.before)
        now = time.monotonic()
        seconds = max(now - self.marked, 1e-9)
        row = {
            "step": step,
            **now_means,
            **values,
            "tokens_per_second": round(self.tokens / seconds, 1),
            "seconds_per_step": round(seconds / max(step - self.marked_step, 1), 5),
        }
        self.write(row)
        left = (self.steps - step) * (now - self.started) / max(step - self.first_step, 1)
        loss, speed = row.get("loss", float("nan")), row["tokens_per_second"]
        self.say(f"step {step}/{self.steps}  loss {loss:.4f}  {speed:,.0f} tokens/s  {clock(left)} left")
        self.sums, self.before, self.tokens = [], {}, 0
        self.marked, self.marked_step = time.monotonic(), step
        return row

    def evaluated(self, step: int, loss_name: str, row: dict[str, float]) -> None:
        """Writes the means over what is held out."""
        self.write({"step": step, loss_name: row["nll"], **{f"validation/{name}": row[name] for name in row}})
        shown = "".join(f"  {title} {row[name]:.3f}" for name, title in SHOWN.items() if row.get(name) is not None)
        self.say(f"step {step}/{self.steps}  validation loss {row['nll']:.4f}{shown}")

    def write(self, row: dict) -> None:
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        if self.events is not None:
            self.events.write(row)

    def say(self, line: str) -> None:
        if self.terminal is not None:
            print(line, file=self.terminal, flush=True)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: "1:02:03"."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
