"""`score.py --report`: the page of a run by a real model."""

import re
from pathlib import Path

from quals_jax.commands.score import main


def test_a_run_with_a_report(tmp_path, capsys):
    lines = Path("examples/gazette.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    few = [line for line in lines if '"correct"' in line][:3] + [line for line in lines if '"date"' in line]
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(few), encoding="utf-8")
    flags = ["--input", str(rows), "--output", str(tmp_path / "o.jsonl"), "--report", str(tmp_path / "r.html")]
    assert main([*flags, "--report_rows", "5"]) == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert text.count("<article") == 5 and "holds the worst 5" in text
    mean = re.search(r"QUALS = (-\d\.\d{3})", capsys.readouterr().out)[1]
    assert f"QUALS {mean}" in text
    # The threshold is the model's: about the first percentile of its reference summaries, -0.36.
    assert 0.3 < -float(re.search(r"MARKED = (-[\d.]+)", text)[1]) < 0.4
    kinds = re.findall(r'<button type="button" data-group="(\w+)"', text)
    assert kinds == ["date", "correct"]  # what is true scores best
    assert "sentence in a frame" in text
