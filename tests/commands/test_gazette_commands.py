"""The shipped tokenizer and example rows are what their commands write."""

import json
from pathlib import Path

import numpy as np
import pytest

from quals_jax import gazette
from quals_jax.commands import evaluate_metric
from quals_jax.commands import gazette as command
from quals_jax.commands.errors import UserError
from quals_jax.commands.evaluate_metric import areas, blame, right_answers
from quals_jax.commands.gazette_tokenizer import save
from quals_jax.pairs import QAPair
from quals_jax.quals import QualsResult, ScoredPair
from quals_jax.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "quals_jax" / "assets"


def test_the_shipped_tokenizer_is_the_one_that_the_command_writes(tmp_path):
    save(tmp_path)
    for name in ("tokenizer.json", "vocab.json", "merges.txt"):
        assert (tmp_path / name).read_bytes() == (ASSETS / "gazette_qagen" / name).read_bytes()


def test_digits_and_syllables_are_single_pieces_in_every_split():
    tokenizer = Tokenizer.from_pretrained(ASSETS / "gazette_qagen")
    lengths = {}
    for split in gazette.SPLITS:
        people = [f.value for s in gazette.stories(1, split, 300) for f in s.facts if f.type == "person"]
        lengths[split] = sum(len(ids) for ids in tokenizer.encode_pieces(people)) / len(people)
    assert len(tokenizer.encode_pieces([" 358"])[0]) == 3
    assert lengths["test"] == pytest.approx(lengths["train"], rel=0.03)


def test_example_rows_are_stories_with_their_corruptions():
    rows = [json.loads(line) for line in (ROOT / "examples" / "gazette.jsonl").read_text().splitlines()]
    assert len(rows) == 40 and {row["kind"] for row in rows} == {"correct", *gazette.CORRUPTION_KINDS}
    story = gazette.story(7, "test", 3)
    written = [json.loads(line) for line in command.rows(story)]
    assert [row["kind"] for row in written] == ["correct", *(c.kind for c in story.corruptions)]
    assert story.document in command.shown(story) and story.summary in command.shown(story)


def test_areas_count_each_kind_and_all_together():
    kinds = ["correct", "date", "correct", "place", "place"]
    table = areas(kinds, {"score": [0.0, -1.0, -0.5, -0.2, float("-inf")]})
    assert table["date"] == {"n": 1, "score": 1.0}
    assert table["place"] == {"n": 2, "score": 0.75}
    assert table["all"] == {"n": 3, "score": pytest.approx(5 / 6)}


def test_right_answers_are_counted_among_known_questions():
    story = gazette.story(7, "test", 3)
    question = story.questions[0]

    def pair(text, answer):
        return ScoredPair(**vars(QAPair(text, answer, [2])), document_logprobs=np.zeros(1), score=0.0)

    result = QualsResult(
        0.0, (pair(question.question, question.answer), pair(question.question, "x"), pair("Why?", "x")), False
    )
    assert right_answers([story], [result]) == (1, 2)


def test_missed_corruptions_are_put_down_to_search_model_or_mean():
    def result(score, *pairs):
        scored = [
            ScoredPair(**vars(QAPair(question, answer, [2])), document_logprobs=np.zeros(1), score=own)
            for question, answer, own in pairs
        ]
        return QualsResult(score, tuple(scored), False)

    about_date, about_else = ("When was it?", "4 May"), ("Who won?", "Ann Lee")
    results = [
        result(-2.0, (*about_date, -2.0)),  # found out
        result(None),  # ranks lowest: found out
        result(-0.1, (*about_else, -0.1)),
        result(-0.1, (*about_date, -0.2), (*about_else, 0.0)),
        result(-0.4, ("What was on 4 May?", "rain", -1.1), (*about_else, 0.3)),
    ]
    corruptions = [gazette.Corruption("", "date", {"date": "4 May"})] * 5
    true_scores = [-0.5, *[0.0] * 9]
    true_scores[1] = -0.45  # of ten, one is below
    wanted = {"n": 5, "missed": 3, "not asked": 1, "believed": 1, "outweighed": 1}
    assert blame(corruptions, results, true_scores) == {"date": wanted}


def test_the_oracle_is_exact_on_what_the_newspaper_writes_and_judges_little_of_what_is_damaged():
    _, written, dropped, exchanged = command.measured(list(gazette.stories(41, "test", 200)))
    assert written.split()[-3:] == ["1.000", "1.000", "1.000"]
    for line, precision in ((dropped, 0.97), (exchanged, 0.75)):
        judged, found, recall = map(float, line.split()[-3:])
        assert judged < 0.4 and found > precision and recall == 1


def test_every_told_fact_has_a_pair_short_enough_to_end_before_the_search_does():
    """60 hypotheses end the search, and most pairs have 10 to 12 tokens; the words of short questions are single tokens."""
    tokenizer = Tokenizer.from_pretrained(ASSETS / "gazette_qagen", connector_id=2559)
    lengths: dict[tuple[str, str], dict[str, list[int]]] = {}
    for story in gazette.stories(3, "validation", 400):
        for number, question in enumerate(question for question in story.questions if question.in_summary):
            wordings = lengths.setdefault((story.kind.name, question.slot), {})
            named = any(fact.value in question.question for fact in story.facts)
            own = wordings.setdefault(f"{question.slot} {number}" if named else question.question, [])
            own.append(len(tokenizer.encode_pair(question.question, question.answer)))
    means = {fact: min(sum(own) / len(own) for own in texts.values()) for fact, texts in lengths.items()}
    assert len(means) > 80
    assert {fact: mean for fact, mean in means.items() if mean > 12.6} == {}
    for kind in gazette.all_kinds().values():
        for text in (text for texts in kind.short_questions.values() for text in texts):
            assert len(tokenizer.encode_pieces([text])[0]) == len(text.split()) + 1  # the question mark


def test_metrics_by_name_tell_true_from_false(tmp_path, capsys):
    """Against the reference, of which the false summaries are changed copies, ROUGE is always right; words do not show exchanged roles."""
    output = tmp_path / "numbers.json"
    arguments = ["--metric", "rouge2", "rouge2=document", "overlap1", "--stories", "12", "--output", str(output)]
    assert evaluate_metric.main(arguments) == 0
    found = json.loads(output.read_text())
    assert found["auc"]["all"]["rouge2"] == 1 and found["auc"]["all"]["rouge2=document"] < 0.9
    assert 0.3 < found["auc"]["role_exchange"]["overlap1"] < 0.7 and "missed" not in found
    printed = capsys.readouterr().out
    assert "rouge2: against reference | rouge:rouge2" in printed and "overlap1: against document | words:1" in printed
    with pytest.raises(UserError, match="write --metric quals=MODEL"):
        evaluate_metric.main(["--metric", "quals", "--model", "x"])
