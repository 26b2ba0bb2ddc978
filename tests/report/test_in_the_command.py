"""`score.py --report`: the page of a run by a real model."""

import re
from pathlib import Path

from quals_jax.commands.score import main


def test_a_run_with_a_report(tmp_path, capsys):
    lines = Path("examples/gazette.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    few = [line for line in lines if '"correct"' in line][:2] + [line for line in lines if '"date"' in line][:2]
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(few), encoding="utf-8")
    flags = ["--input", str(rows), "--output", str(tmp_path / "o.jsonl"), "--report", str(tmp_path / "r.html")]
    assert main([*flags, "--report_rows", "3"]) == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert text.count("<article") == 3 and "holds the worst 3" in text
    mean = re.search(r"QUALS = (-\d\.\d{3})", capsys.readouterr().out)[1]
    assert f"QUALS {mean}" in text
    # The threshold is the model's: about the first percentile of its reference summaries, -0.36.
    assert 0.3 < -float(re.search(r"MARKED = (-[\d.]+)", text)[1]) < 0.4
    kinds = re.findall(r'<button type="button" data-group="(\w+)"', text)
    assert kinds == ["date", "correct"]  # what is true scores best
    assert "sentence in a frame" in text
    assert main([*flags, "--report_sentences", "0"]) == 0  # the finished run again: only the page is made
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "sentence in a frame" not in text and text.count("<article") == len(few)
