"""How far a long run is: rows a second and the time left, on a terminal at once, in a log once a minute."""

from __future__ import annotations

import sys
import time

TERMINAL_SECONDS = 0.5
LOG_SECONDS = 60.0


class Progress:
    """Silent unless standard error is a terminal or `verbose` is set."""

    def __init__(self, *, verbose: bool, clock=time.monotonic, stream=None):
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.shown = self.terminal or verbose
        self.clock = clock
        self.start = self.last = clock()
        self.rows = self.pairs = 0
        self.share = self.first_share = None

    def begin(self, share: float | None) -> None:
        """Says how much of the input an earlier run has done."""
        self.first_share = share

    def add(self, rows: int, pairs: int, share: float | None = None) -> None:
        """Counts rows that are done. `share`: how much of the input is behind them, from 0 to 1, where that is known."""
        self.rows, self.pairs, self.share = self.rows + rows, self.pairs + pairs, share
        now = self.clock()
        if self.shown and now - self.last >= (TERMINAL_SECONDS if self.terminal else LOG_SECONDS):
            self.last = now
            print(self.line(now), file=self.stream, end="\r" if self.terminal else "\n", flush=True)

    def line(self, now: float) -> str:
        rate = self.rows / max(now - self.start, 1e-9)
        text = f"{self.rows} rows, {rate:.2f} rows/s, {self.pairs / max(self.rows, 1):.1f} pairs kept per row"
        behind = (self.share or 0) - (self.first_share or 0)
        if behind > 0:
            left = (now - self.start) * max(1 - self.share, 0) / behind
            text += f", {int(left // 3600)}:{int(left % 3600 // 60):02d}:{int(left % 60):02d} left"
        return text

    def close(self) -> None:
        if self.shown and self.rows:
            print(self.line(self.clock()) + " " * 10, file=self.stream, flush=True)
