"""Which candidates are preferred, on scores small enough to read; and the command against QUALS of the single candidates."""

import json

import pytest

from quals_jax.commands import prefer
from quals_jax.commands.errors import UserError
from quals_jax.preferences import Preference, as_row, preference


@pytest.mark.parametrize(
    ("scores", "least", "expected"),
    [
        ([-1.0, -0.25, -3.0], 0.0, Preference(1, 2, 2.75)),
        ([-1.0, None, -0.5], 0.0, Preference(2, 0, 0.5)),
        ([-1.0, -0.5, -0.5, -1.0], 0.0, Preference(1, 0, 0.5)),  # ties: the first
        ([-1.0, -1.0], 0.0, None),
        ([-1.0, None], 0.0, None),
        ([], 0.0, None),
        ([-1.0, -0.5], 0.5, Preference(1, 0, 0.5)),
        ([-1.0, -0.5], 0.51, None),
    ],
)
def test_best_and_worst_by_score(scores, least, expected):
    assert preference(scores, least) == expected


def test_braces_of_a_document_stay():
    row = as_row("<{document}> {x}", "a {document} {y}", ["one", "two"], Preference(1, 0, 0.5))
    assert row == {"prompt": "<a {document} {y}> {x}", "chosen": "two", "rejected": "one", "margin": 0.5}


def test_the_command_writes_what_single_scores_say(tmp_path, monkeypatch):
    from quals_jax import QAGen, Quals, gazette
    from quals_jax.decoding.diverse_beam import SearchConfig

    monkeypatch.setattr("quals_jax.commands.runtime.prepare", lambda: None)
    stories = list(gazette.stories(31, "test", 2))
    candidates = [[story.corruptions[0].text, story.summary, story.summary] for story in stories]
    rows = [{"document": story.document, "summaries": own} for story, own in zip(stories, candidates, strict=True)] + [
        {"document": stories[0].document, "summaries": [stories[0].summary] * 2}
    ]
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = [
        "--input",
        str(source),
        "--output",
        str(output),
        "--num_beams",
        "12",
        "--prompt_template",
        "S: {document}",
    ]
    assert prefer.main(arguments) == 0 and prefer.main(arguments) == 0  # the second finds it finished
    written = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(written) == 2  # the third has nothing to choose between
    quals = Quals(QAGen.from_pretrained(search=SearchConfig(num_beams=12)))
    for row, story, own in zip(written, stories, candidates, strict=True):
        false, true = (result.quals for result in quals.score([story.document] * 2, own[:2]))
        better, worse = (own[1], own[0]) if true > false else (own[0], own[1])
        assert (row["prompt"], row["chosen"], row["rejected"]) == (f"S: {story.document}", better, worse)
        assert row["margin"] == pytest.approx(abs(true - false), abs=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input", "-"], "cannot be resumed"),
        (["--prompt_template", "x"], "must hold {document}"),
        (["--min_margin", "-1"], "at least 0"),
    ],
)
def test_flags_that_cannot_be_are_named(tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        prefer.main(["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl"), *flags])
