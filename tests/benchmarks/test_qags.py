"""QUALS beside QAGS: what is counted, by hand, and one run of the smallest shape."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import qags  # noqa: E402
from models import DOCUMENT, SUMMARY  # noqa: E402


def test_the_windows_are_those_of_the_reader():
    from quals_jax.windows import windows

    class Ids:
        @staticmethod
        def pair(first, second):
            ids = [2, *first, 3, *second, 3]
            return ids, [0] * (len(first) + 2) + [1] * (len(second) + 1)

    for length in (1, 355, 356, 357, 484, 600, 2000):
        cut = list(windows(Ids, [9] * qags.QUESTION, [8] * length, length=qags.WINDOW, stride=qags.STRIDE))
        assert [window.count for window in cut] == qags.parts(length, qags.WINDOW - qags.QUESTION - qags.SPECIAL)


def test_both_metrics_read_as_many_tokens():
    """Ten answers, ten questions each, and twenty of them in the three windows of 600 tokens: 361, 361 and 344 of them."""
    texts = qags.Inputs.of(2, 1000)
    assert [len(ids) for ids in texts.asked] == [SUMMARY + qags.ANSWER] * 2 * 10
    assert [len(ids) for ids in texts.summaries] == [qags.QUESTION + 3 + SUMMARY] * 2 * 100
    assert sorted({len(ids) for ids in texts.documents}) == [367, 384] and DOCUMENT == 600
    assert len(texts.documents) == 2 * 20 * 3
    segments = qags.segmented(texts.documents)[0][1]
    assert segments.count(0) == qags.QUESTION + 2 and segments == sorted(segments)


def test_the_ratios_are_those_of_the_seconds(capsys):
    stages = [stage for own in qags.STAGES.values() for stage in own]
    found = {
        "ours": dict(zip(stages, (1.0, 3.0, 10.0, 1.0, 9.0), strict=True)),
        "PyTorch": dict(zip(stages, (2.0, 8.0, 30.0, 20.0, 50.0), strict=True)),
    }
    assert qags.report(found) == pytest.approx(
        {"QAGS ours / QUALS ours": 5, "QAGS PyTorch / QUALS ours": 25, "QAGS PyTorch / QUALS PyTorch": 10}
    )
    assert "25.00" in capsys.readouterr().out


def test_it_runs(tmp_path):
    output = tmp_path / "found.json"
    command = [sys.executable, str(BENCHMARKS / "qags.py"), "--shape", "tiny", "--output", str(output)]
    subprocess.run(command, check=True)
    found = json.loads(output.read_text())
    assert set(found["seconds"]["ours"]) == {stage for own in qags.STAGES.values() for stage in own}
    assert all(seconds > 0 for seconds in found["seconds"]["ours"].values())
