"""What one run of `score.py` is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass

from quals_jax.scoring.blocks import RowSource

FILES = ("input", "documents", "summaries")
AUTO = "auto"  # of the batch size: as many rows as fit


@dataclass(frozen=True)
class ScoreJob(RowSource):
    """The rows (the fields of `RowSource`), the metric, and what is written; each field bears the name of its flag.

    shard: I/N, which of the blocks are this run's; None: all.
    """

    # the metric
    model: str | None = None
    tokenizer: str | None = None
    pair_format: str | None = None
    revision: str | None = None
    num_beams: int = 60
    num_groups: int | None = None
    diversity_strength: float = 0.5
    covering: bool = False
    max_pairs: int = 10
    summary_score: str = "likelihood"
    long_documents: str = "truncate"
    document_answers: bool = False
    f1: bool = False
    force: bool = False
    batch_size: int | str = 8
    dtype: str = "float32"
    kernels: str = "none"
    # what is written
    output: str | None = None
    report: str | None = None
    report_rows: int = 2000
    report_sentences: int = 20
    summary_json: str | None = None
    group_by: str | None = None
    fail_below: float | None = None
    quiet: bool = False
    overwrite: bool = False
    shard: str | None = None
    verbose: bool = False
    profile: str | None = None

    @property
    def piped(self) -> bool:
        """Whether the input is standard input, which cannot be read again."""
        return "-" in [getattr(self, name) for name in FILES]

    @property
    def search(self):
        """The settings of the search."""
        from quals_jax.decoding.search_config import SearchConfig

        return SearchConfig(self.num_beams, self.num_groups, self.diversity_strength, covering=self.covering)

    def paths(self) -> dict[str, str]:
        """The files of the input by the flags that name them."""
        given = {name: getattr(self, name) for name in FILES if getattr(self, name) is not None}
        if isinstance(several := given.get("input"), list):
            return {f"input {number}": path for number, path in enumerate(several)}
        return given

    def stamps(self) -> dict[str, list[int]]:
        """What changes when a file of the input is changed or replaced; nothing where one is no file."""
        paths = self.paths()
        if not all(map(os.path.isfile, paths.values())):
            return {}
        found = {name: os.stat(path) for name, path in paths.items()}
        return {name: [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino] for name, stat in found.items()}

    def arguments(self, quals) -> dict:
        """All that shapes the output, but for the rows of the input: those the ledger compares."""
        names = (*FILES, "document", "summary", "on_error", "block_rows", "batch_size", "shard", "tokenizer")
        values = {name: getattr(self, name) for name in names}
        sizes = {name: os.path.getsize(path) for name, path in self.paths().items() if os.path.isfile(path)}
        for name in ("document_column", "summary_column", "id_column", "encoding"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        for name in ("force", "document_answers", "f1"):
            if getattr(self, name):
                values[name] = True
        return {**values, "sizes": sizes, "signature": quals.signature, "weights": quals.qagen.fingerprint}
