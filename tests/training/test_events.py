"""Event files, read by their own format: a length, its checksum, an event, its checksum."""

import importlib.util
import struct

import pytest

from quals_jax.training.events import Events, require_package
from quals_jax.training.journal import Journal


def events(folder):
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield event_pb2.Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def scalars(folder):
    return [(event.step, value.tag, value.simple_value) for event in events(folder) for value in event.summary.value]


def test_every_number_of_a_row_is_a_curve_and_a_stopped_run_s_later_ones_are_forgotten(tmp_path):
    pytest.importorskip("tensorboardX")
    journal = Journal(tmp_path / "metrics.jsonl", steps=9, events=Events(tmp_path / "events"))
    journal.begin(0)
    journal.write({"step": 4, "loss": 2.5, "note": "x"})
    journal.evaluated(4, "validation_loss", {"nll": 3.0, "rouge1": 0.25})
    journal.events.close()
    assert scalars(tmp_path / "events") == [
        (4, "loss", 2.5), (4, "validation_loss", 3.0), (4, "validation/nll", 3.0), (4, "validation/rouge1", 0.25),
    ]  # fmt: skip
    again = Journal(tmp_path / "metrics.jsonl", steps=9, events=Events(tmp_path / "events"))
    again.begin(3)
    again.events.close()
    started = [event.step for event in events(tmp_path / "events") if event.session_log.status]
    assert started == [1, 4]  # TensorBoard leaves out what older files have from that step on


def test_without_the_package_there_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for ask in (require_package, lambda: Events(tmp_path)):
        with pytest.raises(ValueError, match=r"needs the package tensorboardX: pip install 'quals-jax\[tensorboard\]'"):
            ask()
