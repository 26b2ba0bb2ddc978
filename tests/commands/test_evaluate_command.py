"""The table of systems, the page, and the commands evaluate and rerank, with random models."""

import json

import pytest
from tiny_qagen import make_tiny_qagen

from quals_jax.commands import evaluate, rerank
from quals_jax.commands.errors import UserError
from quals_jax.recipes import evaluation
from quals_jax.recipes.documents import Documents
from quals_jax.report.side_by_side import write_side_by_side


def row(quals, supported=None, rouge=0.5):
    share = None if supported is None else float(supported)
    common = {"id": "1", "summary": "<b>a storm</b>", "rouge1": rouge, "rouge2": rouge, "rougeL": rouge, "quals": quals}
    return common | {"supported": ["aid: 5"], "unsupported": [], "supported_share": share, "well_formed": 1.0}


RESULTS = {
    "references": [row(-0.1, 1.0, 1.0) for _ in range(40)],
    "MLE": [row(-1.0, 0.5) for _ in range(40)],
    "conseq": [row(-0.5, 1.0) for _ in range(39)] + [row(None, None)],
}


def test_table_has_means_intervals_and_paired_differences():
    text = evaluation.table(RESULTS, "signature")
    lines = text.splitlines()
    assert lines[0] == "means of 40 documents"
    mle = [line for line in lines if line.startswith("MLE")]
    assert mle[0].split()[4:] == ["-1.000", "50.0", "100.0", "0"]
    assert "-1.000 (-1.000 to -1.000)" in " ".join(mle) and "50.0 (50.0 to 50.0)" in " ".join(mle)
    own = " ".join(lines[lines.index("difference from MLE, p of a paired permutation test") :])
    assert "+0.500 (p <0.001)" in own and "+50.0 (p <0.001)" in own and "+0.0 (p 1.000)" in own
    assert "QUALS leaves out summaries of which no pair was kept: references 0, MLE 0, conseq 1" in lines
    assert lines[-1] == "QUALS: signature"


def test_further_metrics_have_columns_and_say_what_made_them():
    results = {name: [row | {"overlap1": 0.25} for row in rows] for name, rows in RESULTS.items()}
    text = evaluation.table(results, "signature", {"overlap1": "against document | words:1"})
    assert "overlap1" in text.splitlines()[3] and "0.250 (0.250 to 0.250)" in text
    assert text.splitlines()[-2:] == ["QUALS: signature", "overlap1: against document | words:1"]


def test_a_metric_without_values_is_said_so():
    lines = evaluation.table({"MLE": [row(None)], "other": [row(-1.0, 1.0)]}, "s").splitlines()
    assert "none" in next(line for line in lines if line.startswith("MLE"))
    assert "none" in lines[lines.index("difference from MLE, p of a paired permutation test") + 2]


def test_page_escapes_and_shows_facts(tmp_path):
    write_side_by_side(tmp_path / "page.html", ["A document."] * 40, RESULTS, "the table")
    page = (tmp_path / "page.html").read_text()
    assert "&lt;b&gt;a storm" in page and "<b>a storm" not in page
    assert "the table" in page and '<span class="true">aid: 5</span>' in page


def test_gazette_documents_are_stories_with_references_of_which_some_are_false():
    clean = Documents("gazette:train", rows=30, story_seed=3)
    noisy = Documents("gazette:train", rows=30, story_seed=3, false_share=0.5)
    assert [row.document for row in clean] == [row.document for row in noisy]
    false = sum(a.reference != b.reference for a, b in zip(clean, noisy, strict=True))
    assert 5 <= false <= 25 and all(row.reference == row.story.summary for row in clean)
    assert clean.fingerprint() != noisy.fingerprint()
    with pytest.raises(ValueError, match="say how many"):
        Documents("gazette:train")
    with pytest.raises(ValueError, match="the split must be one of"):
        Documents("gazette:attic", rows=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_tiny_qagen(tmp_path_factory.mktemp("model"))


def test_evaluate_command_on_rows_of_a_file(model, tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    texts = [{"document": f"Storm {n} hit.", "summary": f"A storm, {n}."} for n in range(3)]
    rows.write_text("".join(json.dumps(text) + "\n" for text in texts))
    arguments = [
        "--system",
        f"MLE={model}",
        "--data",
        f"jsonl:{rows}",
        "--output",
        str(tmp_path / "out"),
        "--qagen",
        str(model),
    ]
    arguments += [
        "--qagen_beams",
        "4",
        "--best_of",
        "2",
        "--max_length",
        "6",
        "--min_length",
        "2",
        "--beams",
        "2",
        "--batch_size",
        "1",
        "--metric",
        "overlap1",
        "rouge1=document",
    ]
    assert evaluate.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "rouge1=document: against document | rouge:rouge1" in printed
    assert "MLE, best of 2" in printed and "supported" not in printed
    numbers = json.loads((tmp_path / "out" / "results.json").read_text())
    # Of "A storm, 0." the words storm and 0 stand in "Storm 0 hit."; ROUGE-1 has three words on either side.
    assert numbers["references"]["overlap1"] == pytest.approx(2 / 3) == numbers["references"]["rouge1=document"]
    assert numbers["references"]["rouge1"] == 100 and (tmp_path / "out" / "page.html").exists()
    assert (tmp_path / "out" / "table.txt").read_text() == printed


@pytest.mark.parametrize(
    ("changed", "message"),
    [(["--system", "nameless"], "must be NAME=PATH"), (["--system", "a=/nowhere/at/all"], "no such file or folder")],
)
def test_evaluate_command_says_what_is_wrong(model, tmp_path, changed, message):
    with pytest.raises(UserError, match=message):
        evaluate.main([*changed, "--rows", "1", "--qagen", str(model), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()  # before any work


def test_rerank_command(model, tmp_path, capsys):
    rows, best = tmp_path / "candidates.jsonl", tmp_path / "best.jsonl"
    candidates = [{"document": "A storm hit.", "summaries": ["a storm", "a tea", "tea"], "kept": n} for n in range(2)]
    rows.write_text("".join(json.dumps(row) + "\n" for row in candidates))
    arguments = [
        "--input",
        str(rows),
        "--output",
        str(best),
        "--model",
        str(model),
        "--beams",
        "6",
        "--batch_size",
        "1",
    ]
    assert rerank.main(arguments) == 0 and rerank.main(arguments) == 0  # the second finds it finished
    found = [json.loads(line) for line in best.read_text().splitlines()]
    assert [row["kept"] for row in found] == [0, 1] and found[0]["id"] == 0
    for row in found:
        assert row["summary"] == candidates[0]["summaries"][row["summary_index"]]
        assert row["quals"] == row["scores"][row["summary_index"]]
        assert row["quals"] is None or row["quals"] == max(score for score in row["scores"] if score is not None)


def test_rerank_by_another_metric(tmp_path, capsys):
    """Of three candidates the second has all of its words in the document."""
    rows, best = tmp_path / "candidates.jsonl", tmp_path / "best.jsonl"
    rows.write_text(json.dumps({"document": "A storm hit.", "summaries": ["a tea", "a storm", "tea"]}) + "\n")
    arguments = ["--input", str(rows), "--output", str(best), "--metric", "overlap1"]
    assert rerank.main(arguments) == 0
    (found,) = [json.loads(line) for line in best.read_text().splitlines()]
    assert found["summary"] == "a storm" and found["scores"] == [0.5, 1, 0]
    assert found["score"] == 1 and found["metric"] == "overlap1" and "quals" not in found
    assert "overlap1 = 1.000 (n = 1), best of each | words:1" in capsys.readouterr().out
    with pytest.raises(UserError, match="was made with"):
        rerank.main([*arguments[:-1], "overlap2"])
    with pytest.raises(UserError, match="no metric .overlap.; did you mean overlap"):
        rerank.main([*arguments[:-1], "overlap"])
