"""Suggested corrections: with a metric whose numbers are known, and with the embedded model on a story's false summaries."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from quals_jax import gazette
from quals_jax.commands import correct as command
from quals_jax.commands.errors import UserError
from quals_jax.corrections import (
    Correction,
    Edit,
    begins_sentence,
    correct,
    edited,
    edits,
    exchanged,
    further,
    grown,
    shown,
    unedited,
    whole_words,
)
from quals_jax.quals import QualsResult, ScoredPair

TRUTH = {"Who won?": "Ann Lee", "Who lost?": "Bo Ray", "Where?": "Lima", "When?": "3 May"}


class Oracle:
    """Asks four questions of "WINNER beat LOSER in PLACE on DAY."; each wrong answer costs 1, but for what `sure` says."""

    def __init__(self, sure=None, asked=tuple(TRUTH), truth=None):
        self.sure, self.asked, self.truth, self.texts = sure or {}, asked, truth or TRUTH, []

    def score(self, documents, summaries, document_answers):
        assert document_answers and len(documents) == len(summaries)
        self.texts += summaries
        return [self.result(summary) for summary in summaries]

    def result(self, summary):
        winner, rest = summary.removesuffix(".").split(" beat ")
        loser, rest = rest.split(" in ")
        said = dict(zip(TRUTH, (winner, loser, *rest.split(" on ")), strict=True))
        pairs = []
        for question in self.asked:
            # The document's answers, and the costs of those of the summary.
            score = 0.0 if said[question] == TRUTH[question] else -1.0
            pairs.append(
                ScoredPair(
                    question=question, answer=said[question], tokens=[5], summary_logprobs=np.zeros(1), beam_logprobs=np.zeros(1),
                    document_logprobs=np.full(1, score), score=score, document_answer=self.truth[question],
                    document_answer_logprob=math.log(self.sure.get(question, 1)),
                )
            )  # fmt: skip
        return QualsResult(
            float(np.mean([pair.score for pair in pairs])) if pairs else None, tuple(pairs), False, summary=summary
        )


TRUE = "Ann Lee beat Bo Ray in Lima on 3 May."


@pytest.mark.parametrize(
    "false",
    [
        "Ann Lee beat Bo Ray in Oslo on 3 May.",
        "Cy Fox beat Bo Ray in Oslo on 4 June.",
        "Bo Ray beat Ann Lee in Lima on 3 May.",
        "Bo Ray beat Ann Lee in Oslo on 4 June.",
    ],
)
def test_what_is_false_becomes_true(false):
    (found,) = correct(Oracle(), ["d"], [false])
    assert found.text == TRUE and found.corrected_quals == 0 and found.quals == Oracle().result(false).quals
    assert edited(false, found.edits) == TRUE
    assert all(false[edit.start : edit.end] == edit.old for edit in found.edits)


def test_names_change_places_where_only_one_of_them_was_asked_about():
    false = "Bo Ray beat Ann Lee in Lima on 3 May."
    (found,) = correct(Oracle(asked=("Who won?",)), ["d"], [false])
    assert found.text == TRUE
    assert [(edit.old, edit.new, edit.document_answer) for edit in found.edits] == [
        ("Bo Ray", "Ann Lee", "Ann Lee"),
        ("Ann Lee", "Bo Ray", "Ann Lee"),
    ]


def test_what_another_question_bears_out_is_left_alone():
    class Mistaken(Oracle):
        """Has a question for the loser that is about somebody else."""

        def result(self, summary):
            result = super().result(summary)
            loser = next(pair for pair in result.pairs if pair.question == "Who lost?")
            wrong = vars_of(loser, question="Who watched?", score=-2.0, document_answer="Cy Fox")
            pairs = (*(pair for pair in result.pairs if self.both or pair is not loser), wrong)
            return QualsResult(float(np.mean([pair.score for pair in pairs])), pairs, False, summary=summary)

    for both in (True, False):
        metric = Mistaken()
        metric.both = both
        assert bool(edits(metric.result(TRUE))) is not both
    # Nor does it change places with what is not borne out.
    false = "Bo Ray beat Ann Lee in Lima on 3 May."
    (pair,) = Oracle(asked=("Who won?",)).result(false).pairs
    good = vars_of(pair, question="Who fell?", answer="Ann Lee", document_answer="Ann Lee", score=0.0)
    result = QualsResult(-0.5, (pair, good), False, summary=false)
    assert len(edits(result)) == 1 and list(further(Correction(result), 0.5, -0.7)) == []


def test_what_shows_only_in_the_corrected_summary_is_corrected_too():
    class Later(Oracle):
        """Asks about the day when the place is right."""

        def result(self, summary):
            self.asked = ("Where?", "When?") if "Lima" in summary else ("Where?",)
            return super().result(summary)

    (found,) = correct(Later(), ["d"], ["Ann Lee beat Bo Ray in Oslo on 4 June."])
    assert found.text == TRUE and [edit.start for edit in found.edits] == [23, 31]


@pytest.mark.parametrize(
    ("metric", "settings"),
    [
        (Oracle(sure=dict.fromkeys(TRUTH, 0.4)), {}),  # not likely enough
        (Oracle(truth=TRUTH | {"Where?": "Oslo Bay"}), {}),  # would score no better
        (Oracle(), {"max_score": -1.1}),  # supported well enough
        (Oracle(), {"min_gain": 0.3}),  # would score 0.25 better
        (Oracle(truth=TRUTH | {"Where?": None}), {}),  # the document has no answer
        (Oracle(asked=()), {}),  # no pairs
        (Oracle(truth=TRUTH | {"Where?": "the Oslo"}), {}),  # says the same
    ],
)
def test_nothing_is_suggested_without_reason(metric, settings):
    false = "Ann Lee beat Bo Ray in Oslo on 3 May."
    (found,) = correct(metric, ["d"], [false], **settings)
    assert found.text is None and found.edits == () and found.corrected_quals is None
    assert found.to_json() == {"correction": None, "corrected_score": None, "edits": []}


def test_of_texts_that_the_model_knows_nothing_of_nothing_is_said():
    class Outside(Oracle):
        def result(self, summary):
            return replace(super().result(summary), outside=True)

    (found,) = correct(Outside(), ["d"], ["Ann Lee beat Bo Ray in Oslo on 3 May."])
    assert found.text is None


def test_true_summaries_cost_nothing_more():
    metric = Oracle()
    (found,) = correct(metric, ["d"], [TRUE])
    assert found.text is None and metric.texts == [TRUE]


def edit(start, old, new):
    return Edit(start, start + len(old), old, new, "q", new, 1.0, -1.0)


def test_no_name_is_said_twice():
    text = "Bo beat Cy. Bo cheered."
    assert exchanged(text, [edit(8, "Cy", "Al")]) == (edit(8, "Cy", "Al"),)
    assert edited(text, exchanged(text, [edit(8, "Cy", "Bo")])) == "Cy beat Bo. Bo cheered."
    assert exchanged("Cy met Di.", [edit(0, "Cy", "Bo"), edit(7, "Di", "Bo")]) == ()
    (one, other) = exchanged("Bo beat Cy.", [edit(8, "Cy", "Bo")])
    assert (one.start, one.new, other.start, other.new) == (0, "Cy", 8, "Bo")


def test_edits_of_edits_stand_where_they_stood_before():
    text = "Bo beat Cy in Oslo."
    done = [edit(0, "Bo", "Alexander"), edit(14, "Oslo", "Rio")]
    after = edited(text, done)
    assert after == "Alexander beat Cy in Rio."
    assert unedited(edit(after.index("Cy"), "Cy", "Di"), done) == edit(8, "Cy", "Di")
    assert unedited(edit(after.index("Rio"), "Rio", "Di"), done) is None
    assert unedited(edit(4, "ander beat", "x"), done) is None
    assert unedited(edit(len(after) - 1, ".", "!"), done) == edit(18, ".", "!")
    assert shown(text, done) == "[-Bo-]{+Alexander+} beat Cy in [-Oslo-]{+Rio+}."


def test_words_that_stand_around_a_place_are_not_doubled():
    text = "The firm Zeta Holdings owes 9 million crowns, says Ann Lee."
    for old, new, grown_to in (
        ("Zeta", "Vega Holdings", "Zeta Holdings"),
        ("9 million", "8 billion crowns", "9 million crowns"),
    ):
        start = text.index(old)
        assert text[slice(*grown((start, start + len(old)), new, text))] == grown_to
    start = text.index("Lee")
    assert text[slice(*grown((start, start + 3), "Ann Fox", text))] == "Ann Lee"
    assert grown((start, start + 3), "Bo Fox", text) == grown((start, start + 3), "Fox", text) == (start, start + 3)
    assert grown((4, 8), "company Ze", text) == (4, 8)  # no whole word


def test_words_are_whole_and_sentences_begin_with_capitals():
    assert whole_words("4", "4 of 14, 4.5 and 4,000 or 4") == [(0, 1), (26, 27)]
    assert whole_words("Lorm", "In Lormere") == [] and whole_words(" ", "a b") == []
    assert [begins_sentence('A. "B c', place) for place in (0, 4, 6)] == [True, True, False]
    pair = Oracle().result("Ann Lee beat Bo Ray in Lima on 3 May.").pairs[0]
    result = QualsResult(
        0.0,
        (vars_of(pair, answer="The mayor", document_answer="an actor"),),
        False,
        summary="The mayor ran. A cat: the mayor.",
    )
    assert [(one.start, one.new) for one in edits(result, max_score=0)] == [(0, "An actor"), (22, "an actor")]


def vars_of(pair, **changes):
    return ScoredPair(**(vars(pair) | changes))


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    story = next(gazette.stories(5, "test", kinds=("strike",)))
    (false,) = [one for one in story.corruptions if one.kind == "organisation"]
    path = tmp_path_factory.mktemp("rows") / "in.jsonl"
    rows = [
        {"id": "s", "document": story.document, "summaries": [story.summary, false.text], "edits": "old", "kind": "x"}
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return story, false, path


def test_the_command(rows, tmp_path, capsys):
    story, false, path = rows
    output = tmp_path / "out.jsonl"
    arguments = ["--input", str(path), "--output", str(output), "--num_beams", "20"]
    assert command.main(arguments) == 0
    table = capsys.readouterr().out
    true, mended = (json.loads(line) for line in output.read_text().splitlines())
    assert true["correction"] is None and true["edits"] == [] and true["kind"] == "x"
    assert mended["summary"] == false.text and mended["correction"] == story.summary
    assert gazette.check(story, mended["correction"]).unsupported == ()
    ((slot, wrong),) = false.changed.items()
    ((one),) = mended["edits"]
    assert (one["old"], one["new"], one["document_answer"]) == (wrong, story.values[slot], story.values[slot])
    assert false.text[one["start"] : one["end"]] == wrong and one["probability"] > 0.9
    # What score.py says of both texts; the true one is the correction of the false one.
    assert mended["corrected_score"] == pytest.approx(true["quals"], abs=1e-5) and mended["quals"] < true["quals"] - 0.3
    assert f"[-{wrong}-]{{+{story.values[slot]}+}}" in table and "suggestions    1 for 2 summaries" in table
    assert "none is applied" in table and table.splitlines()[-1].endswith(
        " | min_probability:0.5 | max_score:-0.7 | min_gain:0.05"
    )
    written = output.read_bytes()
    assert command.main(arguments) == 0 and capsys.readouterr().out == table and output.read_bytes() == written
    with pytest.raises(UserError, match="min_gain"):
        command.main([*arguments, "--min_gain", "0.1"])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--input", "-"], "cannot be resumed"),
        (["--min_probability", "2"], "from 0 to 1"),
        (["--max_score", "nan"], "at most 0"),
        (["--min_gain", "-1"], "at least 0"),
    ],
)
def test_flags_that_cannot_be_are_named(tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        command.main(["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.jsonl"), *flags])


def test_settings_that_cannot_be_are_refused():
    for settings in ({"min_probability": 1.1}, {"min_gain": -0.1}, {"min_gain": math.nan}, {"max_score": 0.1}):
        with pytest.raises(ValueError, match=next(iter(settings))):
            correct(Oracle(), ["d"], [TRUE], **settings)
