"""The commands of the English recipe are ones that train.py takes; its exact match is that of greedy search."""

import json
import signal
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest

from quals_jax import gazette
from quals_jax.checkpoints import load_checkpoint
from quals_jax.commands import train
from quals_jax.models.teacher_forcing import target_states

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
import english  # noqa: E402

EMBEDDED = ROOT / "quals_jax" / "assets" / "gazette_qagen"


def options(folder, small=False, **changes):
    given = {"data": Path("data"), "folder": folder, "small": small, "only": None, "minutes": 1.0, "rows": None}
    return types.SimpleNamespace(**given | changes)


@pytest.mark.parametrize("small", [False, True])
def test_every_stage_is_a_command_of_train_py_and_begins_with_the_model_of_the_one_before(tmp_path, small):
    given = {}
    for name in english.CONFIGS:
        command = english.stage_command(name, options(tmp_path, small))
        given[name], _ = train.parse(command[2:])  # checks every field
    assert given["pretrain-1"].model.initial == ""
    for before, name in (("pretrain-1", "pretrain-2"), ("pretrain-2", "finetune")):
        assert given[name].model.initial == str(tmp_path / before / "model")
    assert {config.kind for config in given.values()} == {"infilling", "qagen"}
    assert given["pretrain-1"].seed != given["pretrain-2"].seed
    assert all(str(Path("data").absolute()) in config.data.train for config in given.values())
    # 16 bits a parameter: what goes from stage to stage stays below 50 MB.
    sizes = given["finetune"].model
    table = 16_000 * sizes.d_model + 2 * 514 * sizes.d_model
    layers = sizes.layers * (12 * sizes.d_model**2 + 4 * sizes.d_model * sizes.ffn_dim)
    assert 2 * (table + layers) < english.MOST_BYTES - 3e6


def test_missing_data_are_one_line_and_status_2(tmp_path, capfd):
    assert english.train(options(tmp_path, data=tmp_path / "none")) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "No such file" in said and "none" in said
    with pytest.raises(ValueError, match="is no model; python benchmarks/english.py train makes it"):
        english.measure(options(tmp_path))


def greedy(checkpoint, source, question):
    """The likeliest token one after the other, after question and connector."""
    tokenizer, pieces = checkpoint.tokenizer, checkpoint.tokenizer.encode_pieces([question])[0]
    ids = [*pieces, tokenizer.connector_id]
    start, sources = len(ids), np.array(tokenizer.encode_batch([source])[0][0], np.int32)
    sources = np.pad(sources, (0, 192 - len(sources)), constant_values=1)[None]
    while len(ids) < 48:
        padded = np.pad(np.array(ids, np.int32), (0, 48 - len(ids)), constant_values=1)[None, None]
        ids.append(int(likeliest(checkpoint.model, sources, padded)[0, 0, len(ids)]))
        if ids[-1] == 2:
            break
    return tokenizer.decode(ids[start:])


def likeliest(model, sources, targets, found={}):  # noqa: B006 - compiled once
    run = lambda sources, targets: model.logits(target_states(model, sources, targets)).argmax(-1)  # noqa: E731
    return found.setdefault("run", jax.jit(run))(sources, targets)


def test_exact_match_is_what_greedy_search_writes(tmp_path):
    """Of the questions every other is given a wrong answer, some a second, right one."""
    checkpoint, paragraphs, wanted = load_checkpoint(EMBEDDED), [], []
    for number, story in enumerate(gazette.stories(5, "test", 3)):
        qas = []
        for place, own in enumerate(story.questions[:12:3]):
            answers = [own.answer, "nobody", "unknown"][place % 2 : 2 if place % 3 else 3]
            qas.append({"question": own.question, "answers": [{"text": text} for text in answers]})
            wanted.append(greedy(checkpoint, story.document, own.question) in answers)
        paragraphs.append({"context": story.document, "qas": qas})
        assert len(checkpoint.tokenizer.encode_batch([story.document])[0][0]) <= 192, number
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    found = english.on_squad(EMBEDDED, path, None)
    assert found["questions"] == len(wanted) and found["targets_dropped"] == 0
    assert found["exact_match"] == pytest.approx(np.mean(wanted)) and 0 < sum(wanted) < len(wanted)
    assert english.on_squad(EMBEDDED, path, 1)["texts"] == 1


# Told to stop before it listens, it hears of it when it does.
SLOW = (
    "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143)); signal.pthread_sigmask(signal.SIG_UNBLOCK, [15]);"
    " time.sleep(3600)"
)
WRITES = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.mkdir(); (p / 'config.json').write_bytes(b'x' * int(sys.argv[2]))"


def test_a_stage_that_takes_too_long_is_stopped_and_may_go_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(english, "stage_command", lambda *_: [sys.executable, "-c", SLOW])
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # which the process inherits
    try:
        assert english.train(options(tmp_path, only="pretrain-1", minutes=0.01)) == 75
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert "saved, and the same command goes on" in capsys.readouterr().out


def test_a_stage_that_is_done_hands_on_its_model_alone(tmp_path, monkeypatch, capsys):
    folder, sizes = tmp_path / "finetune", iter((9, 10))
    (folder / "checkpoints").mkdir(parents=True)
    monkeypatch.setattr(english, "CARD", "a card")
    monkeypatch.setattr(english, "MOST_BYTES", 15)
    command = lambda *_: [sys.executable, "-c", WRITES, str(folder / "model"), str(next(sizes))]  # noqa: E731
    monkeypatch.setattr(english, "stage_command", command)
    assert english.train(options(tmp_path, only="finetune")) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["model"]
    assert (folder / "model" / "README.md").read_text() == "a card"
    assert english.train(options(tmp_path, only="finetune")) == 0 and "finetune: done" in capsys.readouterr().out
    (folder / "model" / "config.json").unlink()
    (folder / "model" / "README.md").unlink()
    (folder / "model").rmdir()
    with pytest.raises(ValueError, match="more than 0"):
        english.train(options(tmp_path, only="finetune"))


def test_the_card_names_the_licence_of_squad():
    assert "SQuAD 1.1" in english.CARD and "CC BY-SA 4.0" in english.CARD
