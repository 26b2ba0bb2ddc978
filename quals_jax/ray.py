"""QUALS under Ray Data, for clusters whose machines come and go: one model on each worker, lost workers replaced by Ray.

    import ray
    from quals_jax.ray import Scorer

    rows = ray.data.read_parquet("rows/")                     # columns document and summary, and whatever else
    scored = rows.map_batches(Scorer, fn_constructor_kwargs={"model": "path"}, concurrency=8, num_gpus=1, batch_size=256)
    scored.write_parquet("scored/")

Where the machines stay, `score.py --distributed` or `--shard` needs no Ray (docs/clusters.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow

ADDED = ("quals", "num_pairs", "truncated", "summary_truncated", "pairs", "signature")


class Scorer:
    """A callable for `Dataset.map_batches`: rows with a document and a summary in, the same rows with their scores out.

    It adds the columns `quals` (null where no pair was kept), `num_pairs`, `truncated`, `summary_truncated`, `pairs` (JSON, as in
    the output of `score.py`) and `signature`. A column of one of these names is replaced.

    model, tokenizer, dtype: as for `QAGen.from_pretrained`. batch_size: rows that the device takes at once; Ray's own `batch_size`
    should be some hundred, since the rows of a batch are sorted by length. max_pairs, summary_score, long_documents: as for `Quals`.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        tokenizer: str | Path | None = None,
        dtype: str = "float32",
        batch_size: int = 8,
        max_pairs: int | None = 10,
        summary_score: str = "likelihood",
        long_documents: str = "truncate",
        document_column: str = "document",
        summary_column: str = "summary",
    ):
        # Imported where the worker runs: the driver needs neither JAX nor a device.
        from quals_jax.compiled import keep_compiled_programs
        from quals_jax.qagen import QAGen
        from quals_jax.quals import Quals

        keep_compiled_programs()
        qagen = QAGen.from_pretrained(model, tokenizer, dtype=dtype, batch_size=batch_size)
        self.quals = Quals(qagen, max_pairs, summary_score, long_documents)
        self.columns = document_column, summary_column

    def __call__(self, batch: Mapping[str, np.ndarray] | pyarrow.Table) -> pyarrow.Table:
        """Scores a batch, whichever of Ray's formats it has but pandas.

        Raises:
            ValueError: for a column that is missing, and an empty document.
            TypeError: for what is no text, naming column and row.
        """
        import pyarrow

        if not isinstance(batch, pyarrow.Table):
            batch = pyarrow.table({name: pyarrow.array(list(values)) for name, values in batch.items()})
        for name in self.columns:
            if name not in batch.column_names:
                raise ValueError(
                    f"the rows have no column {name!r}; they have {', '.join(batch.column_names) or 'none'}"
                )
        documents, summaries = (batch.column(name).to_pylist() for name in self.columns)
        results = self.quals.score(documents, summaries)
        listed = [result.to_json() for result in results]
        added = {
            "quals": pyarrow.array([row["quals"] for row in listed], pyarrow.float64()),
            "num_pairs": pyarrow.array([row["num_pairs"] for row in listed], pyarrow.int64()),
            "truncated": pyarrow.array([row["truncated"] for row in listed], pyarrow.bool_()),
            "summary_truncated": pyarrow.array([result.summary_truncated for result in results], pyarrow.bool_()),
            "pairs": pyarrow.array([json.dumps(row["pairs"], ensure_ascii=False) for row in listed], pyarrow.string()),
            "signature": pyarrow.array([self.quals.signature] * len(listed), pyarrow.string()),
        }
        batch = batch.select([name for name in batch.column_names if name not in ADDED])
        for name in ADDED:
            batch = batch.append_column(name, added[name])
        return batch
