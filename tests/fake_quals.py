"""A metric that costs nothing and whose numbers are known; and score.py run with it."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from quals_jax.commands import score
from quals_jax.quals import QualsResult, ScoredPair


class FakeQuals:
    """A summary's score is minus its length; one without letters has no pairs."""

    signature = "model:fake"
    blocks = 0

    def __init__(self):
        decode = " ".join
        self.qagen = SimpleNamespace(
            fingerprint="f",
            batch_size=16,
            runner=SimpleNamespace(rows_at_once=16),
            padding=0.0,
            tokenizer=SimpleNamespace(connector_id=9, decode=lambda ids: decode(map(str, ids))),
        )

    def percentile(self, quals):
        return None

    def score(self, documents, summaries):
        self.blocks += 1
        return [self._result(*both) for both in zip(documents, summaries, strict=True)]

    def _result(self, document, summary):
        logprobs = np.full(1, -float(len(summary)), np.float32)
        pair = ScoredPair(
            question="who?", answer=summary, tokens=[5], summary_logprobs=np.zeros(1, np.float32), beam_logprobs=np.zeros(1, np.float32),
            document_logprobs=logprobs, score=-float(len(summary)),
        )  # fmt: skip
        pairs = (pair,) if summary.strip() else ()
        return QualsResult(pair.score if pairs else None, pairs, len(document) > 50)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs score.py with these flags in a folder of its own; (status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("quals_jax.commands.runtime.prepare", lambda verbose: None)

    def run(*flags, stdin=b"", quals=None):
        monkeypatch.setattr("quals_jax.scoring.run.load_quals", lambda job: quals or FakeQuals())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            status = score.main(list(map(str, flags)))
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run
