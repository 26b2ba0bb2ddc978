"""Ray Data on a real local cluster: two workers, one of which is killed in the middle. `make test-ray` runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pyarrow = pytest.importorskip("pyarrow")

from quals_jax.ray import Scorer  # noqa: E402

ROWS = 24
ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "gazette.jsonl"


def rows():
    return [json.loads(line) for line in EXAMPLES.read_text(encoding="utf-8").splitlines()][:ROWS]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What score.py writes of the same rows, by id."""
    folder = tmp_path_factory.mktemp("expected")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    flags = ["--input", folder / "rows.jsonl", "--output", folder / "scores.jsonl"]
    subprocess.run([sys.executable, "score.py", *flags], cwd=ROOT, check=True)  # JAX and Ray's forks do not mix
    return {row["id"]: row for row in map(json.loads, (folder / "scores.jsonl").read_text().splitlines())}


class KilledOnce(Scorer):
    """Notes which processes score, and kills the one that first comes to its second batch, once in the whole test."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.batches = Path(folder), 0
        (self.folder / f"started-{os.getpid()}").touch()

    def __call__(self, batch):
        self.batches += 1
        end = time.monotonic() + 600
        while len(list(self.folder.glob("started-*"))) < 2 and time.monotonic() < end:
            time.sleep(0.1)  # on a busy machine the first would do all before the second is there
        (self.folder / f"worker-{os.getpid()}").touch()
        if self.batches == 2:
            try:
                (self.folder / "killed").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


def test_two_workers_one_killed_score_as_score_py_does(expected, tmp_path):
    ray = pytest.importorskip("ray")
    import pyarrow.parquet

    for part in range(6):  # so that both workers have work
        own = rows()[part::6]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(own), tmp_path / f"rows-{part}.parquet")
    notes = tmp_path / "notes"
    notes.mkdir()
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import test files
    handler = signal.getsignal(signal.SIGTERM)  # Ray puts its own in the place
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    try:
        data = ray.data.read_parquet([str(path) for path in sorted(tmp_path.glob("rows-*.parquet"))])
        scored = data.map_batches(
            KilledOnce, fn_constructor_kwargs={"folder": str(notes)}, concurrency=2, num_cpus=1, batch_size=2
        )
        scored.write_parquet(str(tmp_path / "scored"))
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, handler)
    found = pyarrow.parquet.read_table(tmp_path / "scored").to_pylist()
    started, worked = (len(list(notes.glob(f"{what}-*"))) for what in ("started", "worker"))
    assert (notes / "killed").exists() and started >= 3 and worked >= 2  # two, and the one in the place of the killed
    assert sorted(row["id"] for row in found) == sorted(expected)  # each once
    for row in found:
        own = expected[row["id"]]
        assert row["quals"] == pytest.approx(own["quals"], abs=1e-5)
        assert row["kind"] == own["kind"] and row["num_pairs"] == own["num_pairs"]
        assert [pair["question"] for pair in json.loads(row["pairs"])] == [pair["question"] for pair in own["pairs"]]


class Told:
    """Stands for the metric: no model is needed to see what becomes of the columns."""

    signature = "told"

    def score(self, documents, summaries):
        from quals_jax.quals import QualsResult

        return [QualsResult(None if not summary else -1.0, (), False) for summary in summaries]


@pytest.mark.parametrize("kind", ["numpy", "pyarrow"])
def test_rows_keep_their_columns_and_a_missing_score_is_null(kind):
    import numpy as np

    scorer = object.__new__(Scorer)
    scorer.quals, scorer.columns = Told(), ("text", "claim")
    columns = {"text": ["a", "b"], "claim": ["x", ""], "quals": [3, 4], "extra": [[1], [2, 3]]}
    if kind == "pyarrow":
        batch = pyarrow.table(columns)
    else:
        batch = {name: np.array(values, object) for name, values in columns.items()}
    found = scorer(batch).to_pydict()
    assert found["quals"] == [-1.0, None] and found["extra"] == [[1], [2, 3]] and found["text"] == ["a", "b"]
    assert found["pairs"] == ["[]", "[]"] and found["num_pairs"] == [0, 0] and found["signature"] == ["told"] * 2
    with pytest.raises(ValueError, match="no column 'claim'; they have text"):
        scorer(pyarrow.table({"text": ["a"]}))
