"""How far a long run is: rows a second and the time left, on a terminal at once, in a log once a minute."""

from __future__ import annotations

import sys
import threading
import time

TERMINAL_SECONDS = 0.5
LOG_SECONDS = 60.0
TEXTS_A_ROW = 2  # read by the model: the summary, and the document with its pairs


class Progress:
    """Silent unless standard error is a terminal or `verbose` is set.

    Rows are done block by block; of those that are being worked on it is known how many texts the model has read of them, and they are
    shown as so many rows.
    """

    def __init__(self, *, verbose: bool, clock=time.monotonic, stream=None):
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.shown = self.terminal or verbose
        self.clock = clock
        self.start = self.last = clock()
        self.rows = self.pairs = self.begun = self.texts_read = 0
        self.share = self.first_share = self.begun_share = None
        self._lock = threading.Lock()

    def begin(self, share: float | None) -> None:
        """Says how much of the input an earlier run has done."""
        self.first_share = self.share = share

    def enter(self, rows: int, share: float | None) -> None:
        """Rows that are worked on from now. `share`: how much of the input ends with them, from 0 to 1, where that is known."""
        self.begun, self.begun_share = self.begun + rows, share

    def texts(self, count: int) -> None:
        """The model has read so many texts more."""
        with self._lock:  # of several blocks at once
            self.texts_read += count
            self._show()

    def add(self, rows: int, pairs: int, share: float | None = None) -> None:
        """Counts rows that are done. `share`: how much of the input ends with them."""
        with self._lock:
            self.rows, self.pairs, self.share = self.rows + rows, self.pairs + pairs, share
            self._show()

    def _show(self) -> None:
        now = self.clock()
        if self.shown and now - self.last >= (TERMINAL_SECONDS if self.terminal else LOG_SECONDS):
            self.last = now
            print(self.line(now), file=self.stream, end="\r" if self.terminal else "\n", flush=True)

    def line(self, now: float) -> str:
        working = max(self.begun - self.rows, 0)
        ahead = min(max(self.texts_read / TEXTS_A_ROW - self.rows, 0), working)
        rows, passed = self.rows + ahead, max(now - self.start, 1e-9)
        text = f"{int(rows)} rows, {rows / passed:.2f} rows/s"
        if self.rows:
            text += f", {self.pairs / self.rows:.1f} pairs kept per row"
        share = self.share or 0
        if working and self.begun_share is not None:
            share += max(self.begun_share - share, 0) * ahead / working
        behind = share - (self.first_share or 0)
        if behind > 0:
            left = passed * max(1 - share, 0) / behind
            text += f", {int(left // 3600)}:{int(left % 3600 // 60):02d}:{int(left % 60):02d} left"
        return text

    def close(self) -> None:
        if self.shown and self.rows:
            print(self.line(self.clock()) + " " * 10, file=self.stream, flush=True)
