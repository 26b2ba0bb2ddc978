"""What `check` counts, on a model whose pairs are given; and the command on the embedded one, which knows nothing of news."""

from pathlib import Path
from types import SimpleNamespace

import jax
import pytest

from quals_jax.commands import check as command
from quals_jax.commands.errors import UserError
from quals_jax.model_check import check_model

DOCUMENTS = ["a b", "c d"]
TRUE, FALSE = ["A man.", "A dog."], ["A cow.", "A cat."]
SCORES = {"A man.": -0.25, "A dog.": -0.5, "A cow.": -2.0, "A cat.": None}


def quals(answers):
    """Writes these answers about every summary."""
    pair = [SimpleNamespace(question="What?", answer=answer, score=-1.0) for answer in answers]
    qagen = SimpleNamespace(
        generate=lambda texts: [pair for _ in texts], codec=SimpleNamespace(as_read=lambda text: text)
    )

    def score(documents, summaries):
        assert len(documents) == len(summaries)
        return [SimpleNamespace(quals=SCORES[text], summary=text, pairs=pair[-1:]) for text in summaries]

    return SimpleNamespace(qagen=qagen, score=score, signature="model:x")


def test_shares_means_and_order():
    found = check_model(quals(["man", "A", None, "Man."]), DOCUMENTS, TRUE, FALSE)
    assert found.split == pytest.approx(12 / 16)
    assert found.kept == pytest.approx((1 + 4 + 1) / 16)  # man once, a always, man. once
    assert (found.true, found.false, found.right, found.unscored) == (-0.25, -2.0, 1.0, 1)
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 if Path("/proc/self/statm").exists() else 0
    if jax.default_backend() == "cpu":
        assert 0.5 * resident / 1e9 <= found.memory < 200  # at least about what is held now
    with pytest.raises(ValueError, match="2 documents, 2 true and 1 false"):
        check_model(quals(["man"]), DOCUMENTS, TRUE, FALSE[:1])


@pytest.mark.parametrize(
    ("answers", "last"),
    [([None] * 20 + ["man"], "This is no QAGen"), (["man"], "model:x")],
)
def test_the_last_line_says_what_to_make_of_it(answers, last):
    own = quals(answers)
    assert command.lines(check_model(own, DOCUMENTS, TRUE, FALSE), own, 2)[-1].startswith(last)


def test_the_command_and_its_texts(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("quals_jax.commands.runtime.prepare", lambda: None)
    from quals_jax.qagen import EMBEDDED

    with pytest.warns(UserWarning, match="knows only Gazette"):
        assert command.main([str(EMBEDDED), "--num_beams", "6"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("texts          10, each with a true and a false summary") and "groups:6" in said
    assert " GB at most" in said
    with pytest.raises(UserError, match="is no hub id, of which --revision v1 could be one"):
        command.main([str(EMBEDDED), "--revision", "v1"])
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"document": "a", "summaries": ["b"]}\n')
    with pytest.raises(UserError, match="row 0 has 1 summaries"):
        command.main([str(EMBEDDED), "--input", str(rows)])
