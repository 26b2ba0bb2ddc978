"""How far a long run is: rows a second and the time left, on a terminal at once, in a log once a minute."""

from __future__ import annotations

import sys
import time

TERMINAL_SECONDS = 0.5
LOG_SECONDS = 60.0


class Progress:
    """Silent unless standard error is a terminal or `verbose` is set."""

    def __init__(self, *, verbose: bool, total: int | None = None, clock=time.monotonic, stream=None):
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.shown = self.terminal or verbose
        self.total, self.clock = total, clock
        self.start = self.last = clock()
        self.rows = self.pairs = 0

    def add(self, rows: int, pairs: int) -> None:
        self.rows, self.pairs = self.rows + rows, self.pairs + pairs
        now = self.clock()
        if self.shown and now - self.last >= (TERMINAL_SECONDS if self.terminal else LOG_SECONDS):
            self.last = now
            print(self.line(now), file=self.stream, end="\r" if self.terminal else "\n", flush=True)

    def line(self, now: float) -> str:
        rate = self.rows / max(now - self.start, 1e-9)
        text = f"{self.rows} rows, {rate:.2f} rows/s, {self.pairs / max(self.rows, 1):.1f} pairs kept per row"
        if self.total and rate:
            left = max(self.total - self.rows, 0) / rate
            text += f", {int(left // 3600)}:{int(left % 3600 // 60):02d}:{int(left % 60):02d} left"
        return text

    def close(self) -> None:
        if self.shown and self.rows:
            print(self.line(self.clock()) + " " * 10, file=self.stream, flush=True)
