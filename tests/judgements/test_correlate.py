"""`python -m quals_jax correlate`: the numbers of its JSON against other ways to them, on made-up rows and the public files."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from quals_jax.commands import correlate as command
from quals_jax.commands.errors import UserError
from quals_jax.judgements import read
from quals_jax.judgements.columns import Column, columns
from quals_jax.judgements.correlate import correlate
from quals_jax.judgements.scoring import score
from quals_jax.metrics import MetricSettings

sys.path.insert(0, str(Path(__file__).parent))
from test_formats import FIB, FRANK, MADE_UP, QAGS, XSUM, written

KEYS = ("pearson", "spearman", "kendall", "auc")


def lengths(path):
    """Twelve QAGS rows of one sentence; the first six are consistent, and the longest."""
    rows = []
    for number in range(12):
        vote = "yes" if number < 6 else "no"
        sentence = {"sentence": " ".join(["cat"] * (12 - number)), "responses": [{"response": vote}] * 3}
        rows.append({"article": f"cat {number}", "row": number, "summary_sentences": [sentence]})
    return written(path, rows)


class Words:
    """As a score, how many words a summary has."""

    higher_is_better = True
    uses_references = False
    signature = "words"
    calls = 0

    def score(self, documents, summaries, references=None):
        type(self).calls += 1
        return [None if len(text.split()) == 1 else float(len(text.split())) for text in summaries]


class FewWords(Words):
    higher_is_better = False


def column(metric):
    return Column("words", "document", "words", metric.higher_is_better, metric)


def test_the_json_has_what_the_contract_says(tmp_path, capsys):
    path, output = lengths(tmp_path / "qags.jsonl"), tmp_path / "out.json"
    assert (
        command.main(
            ["--data", f"qags:{path}", "--metric", "rouge1", "overlap1", "--output", str(output), "--resamples", "50"]
        )
        == 0
    )
    found = json.loads(output.read_text())["metrics"]
    assert list(found) == ["rouge1", "overlap1"]
    # ROUGE-1 against "cat N": one word in common, of n and of 2: 2 / (n + 2), falling with the length; people's order reversed.
    human = [1] * 6 + [0] * 6
    scores = [2 / (12 - number + 2) for number in range(12)]
    own = found["rouge1"]
    assert own["n"] == 12 and own["compared"] == "document" and own["auc"][0] == 0
    assert own["pearson"][0] == pytest.approx(np.corrcoef(scores, human)[0, 1])
    assert all(own[key][1] <= own[key][0] <= own[key][2] for key in KEYS)
    assert found["overlap1"]["pearson"] is None and found["overlap1"]["auc"][0] == 0.5  # every word of all is there
    text = capsys.readouterr().out
    assert "document" in text and "n = 12 of 12" in text
    lines = [json.loads(line) for line in (tmp_path / "out.scores.jsonl").read_text().splitlines()]
    assert [line["human"] for line in lines] == human
    assert [line["scores"]["rouge1"] for line in lines] == pytest.approx(scores)
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_metric_of_which_less_is_better_is_turned_round(tmp_path):
    from quals_jax.judgements.agreement import figures

    data = read(f"qags:{lengths(tmp_path / 'qags.jsonl')}")
    for metric, area in ((Words(), 1.0), (FewWords(), 0.0)):
        own = [column(metric)]
        found = figures(data, own, score(data, own), resamples=20)["metrics"]["words"]
        assert found["auc"][0] == area
        assert found["n"] == 11 and found["left_out"] == {"no score": 1}


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    data = read(f"qags:{lengths(tmp_path / 'qags.jsonl')}")
    output = tmp_path / "scores.jsonl"

    class Stops(Words):
        def score(self, documents, summaries, references=None):
            if documents[0] == "cat 8":
                raise KeyboardInterrupt
            return super().score(documents, summaries)

    with pytest.raises(KeyboardInterrupt):
        score(data, [column(Stops())], output=output, block_rows=4)
    assert not output.exists()
    Words.calls = 0
    found = score(data, [column(Words())], output=output, block_rows=4)
    assert Words.calls == 1 and found == score(data, [column(Words())])
    Words.calls = 0
    assert score(data, [column(Words())], output=output, block_rows=4) == found and Words.calls == 0
    other = read(f"qags:{written(tmp_path / 'other.jsonl', QAGS)}")
    with pytest.raises(UserError, match="other rows than the input holds now"):
        score(other, [column(Words())], output=output, block_rows=4)
    with pytest.raises(UserError, match="was made with block_rows 4, not 5"):
        score(data, [column(Words())], output=output, block_rows=5)


@pytest.mark.parametrize("name", MADE_UP)
def test_every_format_is_correlated(name, tmp_path):
    path = written(tmp_path / "data.jsonl", MADE_UP[name])
    metric = "FactCC" if name == "frank" else "rouge"
    text, found = correlate(f"{name}:{path}", [metric], resamples=10)
    own = found["metrics"][metric]
    compared = {"frank": "recorded", "summeval": "reference", "xsum-hallucination": "reference"}.get(name, "document")
    assert own["compared"] == compared and compared in text
    assert set(KEYS) < set(own) and "NaN" not in json.dumps(found)


def test_rows_that_a_metric_cannot_score_are_counted(tmp_path):
    path = written(tmp_path / "x.jsonl", XSUM)
    _, found = correlate(f"xsum-hallucination:{path}", ["rouge", "rouge=document", "recorded:r1", "R1"], resamples=5)
    counted = {name: (own["n"], own["left_out"], own["compared"]) for name, own in found["metrics"].items()}
    assert counted == {
        "rouge": (2, {"no reference": 1}, "reference"),
        "rouge=document": (1, {"no document": 2}, "document"),
        "recorded:r1": (1, {"not recorded": 2}, "recorded"),
        "R1": (1, {"not recorded": 2}, "recorded"),
    }


def test_pairs_of_fib_are_counted(tmp_path):
    """Overlap with the document: of the first pair both have all words, a half; "a hen ate" has 2 of 3, "a dog ate" all, one."""
    path = written(tmp_path / "fib.jsonl", FIB)
    text, found = correlate(f"fib:{path}", ["overlap1"], resamples=5)
    assert found["metrics"]["overlap1"]["pairwise_accuracy"][0] == (0.5 + 1) / 2
    by_set = found["metrics"]["overlap1"]["pairs_by_system"]
    assert {name: (own["pairs"], own["in_order"][0]) for name, own in by_set.items()} == {
        "fib": (1, 0.5),
        "mfma": (1, 1),
    }
    assert found["systems"]["mfma"] == {"n": 1, "human": 0, "metrics": {"overlap1": pytest.approx(2 / 3)}}
    assert "pairs in order, by the system" in text and "means of the systems" in text


def test_what_cannot_be_done_is_said_in_one_line(tmp_path, capsys):
    frank = f"frank:{written(tmp_path / 'frank.jsonl', FRANK)}"
    qags = f"qags:{written(tmp_path / 'qags.jsonl', QAGS)}"
    cases = {
        (frank, "quals"): "the data has no texts, only scores of metrics; recorded are Rouge 1, FactCC",
        (frank, "recorded:bleu"): "no such scores; recorded are Rouge 1, FactCC",
        (qags, "recorded"): "came without scores",
        (qags, "rogue"): "did you mean rouge",
        (qags, "rouge=reference"): "rouge=reference: there are no references",
    }
    for (data, metric), message in cases.items():
        with pytest.raises(UserError, match=message):
            command.main(["--data", data, "--metric", metric])
    with pytest.raises(UserError, match="is there twice"):
        command.main(["--data", qags, "--metric", "rouge", "rouge"])
    with pytest.raises(SystemExit, match="2"):
        command.main(["--data", qags, "--metric", "rouge", "--rows", "0"])
    assert "argument --rows: 0 is less than 1" in capsys.readouterr().err
    assert [own.name for own in columns(["recorded"], read(frank), MetricSettings())] == ["Rouge 1", "FactCC"]


def test_a_model_scores_judged_summaries(tmp_path):
    """The numbers of the command are those of the model by itself."""
    from tiny_qagen import make_tiny_qagen

    from quals_jax.summarizer import Summarizer

    model = make_tiny_qagen(tmp_path / "tiny")
    data = read(f"qags:{lengths(tmp_path / 'qags.jsonl')}")
    name = f"likelihood={model}"
    found = score(data, columns([name], data, MetricSettings(batch_size=1)), block_rows=5)[name]
    alone = Summarizer.from_pretrained(model, batch_size=1).logprobs(
        [row.document for row in data.rows], [row.summary for row in data.rows]
    )
    assert found == pytest.approx([float(np.mean(own)) for own in alone], abs=1e-5)


# The rows that were kept of the public files, and what the project's list of facts says of them or of all rows.
WORDS = {
    ("mturk_cnndm", 118): (0.328, 0.606, 0.637),
    ("mturk_xsum", 120): (0.280, 0.178, 0.088),
}


@pytest.mark.parametrize(("name", "rows"), WORDS)
def test_copied_words_correlate_as_is_known(name, rows, shared):
    _, found = correlate(
        f"qags:{shared}/data/qags-mturk/{name}.jsonl", ["overlap1", "overlap2", "overlap3"], resamples=5
    )
    own = found["metrics"].values()
    assert [one["pearson"][0] for one in own] == pytest.approx(WORDS[name, rows], abs=0.0005)
    assert {one["n"] for one in own} == {rows} and {one["compared"] for one in own} == {"document"}


def test_franks_metrics_correlate_as_is_known(shared):
    """Of all 2,246 rows: Pearson, and with the system held fixed. Three quarters of the documents are here."""
    known = {
        "FactCC": (0.600, 0.204),
        "QAGS": (0.578, 0.065),
        "FEQA": (0.559, 0.005),
        "BertScore P Art": (0.616, 0.271),
    }
    _, found = correlate(f"frank:{shared}/data/frank-metrics", list(known), resamples=5)
    for name, (pearson, partial) in known.items():
        own = found["metrics"][name]
        assert own["pearson"][0] == pytest.approx(pearson, abs=0.025)
        assert own["partial_pearson"][0] == pytest.approx(partial, abs=0.03)


def test_a_missing_plotting_package_is_no_error_unless_a_plot_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    data, output = f"qags:{written(tmp_path / 'qags.jsonl', QAGS)}", tmp_path / "out.json"
    text, _ = correlate(data, ["overlap1"], output=output, resamples=5)
    assert "no plot: it needs the package matplotlib" in text and output.exists()
    with pytest.raises(ValueError, match="needs the package matplotlib"):
        correlate(data, ["overlap1"], plot=tmp_path / "plot.png", resamples=5)


def test_a_metric_that_breaks_the_protocol_is_found_out(tmp_path):
    data = read(f"qags:{lengths(tmp_path / 'qags.jsonl')}")

    class Odd(Words):
        def score(self, documents, summaries, references=None):
            return np.array([float("nan"), float("-inf"), *range(len(summaries) - 2)], np.float32)

    assert score(data, [column(Odd())])["words"] == [None, None, *range(10)]

    class Short(Words):
        def score(self, documents, summaries, references=None):
            return [1.0]

    with pytest.raises(ValueError, match="words: gave 1 scores of 12 summaries"):
        score(data, [column(Short())])
