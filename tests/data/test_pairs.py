import json

import pytest

from quals_jax.data.pairs import newsqa, question_lines, squad
from quals_jax.data.sources import open_sources
from quals_jax.data.texts import Target, Text


def write(path, values):
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def squad_file(tmp_path, *questions):
    paragraph = {"context": " The cat sat. ", "qas": list(questions)}
    return write(tmp_path / "squad.json", {"version": "1.1", "data": [{"title": "t", "paragraphs": [paragraph]}]})


def story(text, *questions, type="train"):
    return {"storyId": "s", "type": type, "text": text, "questions": list(questions)}


def newsqa_file(tmp_path, *stories):
    return write(tmp_path / "newsqa.json", {"version": "1", "data": list(stories)})


def test_every_distinct_answer_of_a_question_makes_a_pair(tmp_path):
    question = {
        "question": " Who sat? ",
        "answers": [{"text": t, "answer_start": 1} for t in ("The cat", "cat", "The cat", " cat")],
    }
    (text,) = squad(squad_file(tmp_path, question))
    assert text.source == " The cat sat. "  # the paragraph and its answers are not stripped, the question is
    assert text.targets == (Target("Who sat?", "The cat"), Target("Who sat?", "cat"), Target("Who sat?", " cat"))


def test_a_question_without_answers_makes_no_pair(tmp_path):
    (text,) = squad(squad_file(tmp_path, {"question": "Who?", "answers": []}))
    assert text.targets == ()


IMPOSSIBLE = {
    "question": "Who slept?", "is_impossible": True, "answers": [], "plausible_answers": [{"text": "cat", "answer_start": 5}],
}  # fmt: skip


def test_an_unanswerable_question_of_squad_2_is_counted_and_may_be_answered_with_unknown(tmp_path):
    asked = {"question": "Who sat?", "is_impossible": False, "answers": [{"text": "cat", "answer_start": 5}]}
    path = squad_file(tmp_path, asked, IMPOSSIBLE)
    (text,) = squad(path)
    assert text.targets == (Target("Who sat?", "cat"),) and text.unanswered == 1
    (text,) = open_sources(f"squad:{path}", unanswerable="unknown")
    assert text.targets == (Target("Who sat?", "cat"), Target("Who slept?", "unknown")) and text.unanswered == 1


def test_questions_a_row_come_together_by_context(tmp_path):
    rows = [
        {"context": "c1", "question": " q1 ", "answer": "a"},
        {"context": "c2", "question": "q2", "answer": ["b", "b", "c"]},
        {"context": "c1", "question": "q3", "answer": None},
    ]
    path = _text(tmp_path / "q.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    first, second = open_sources(f"jsonl:{path}", unanswerable="unknown")
    assert first == Text("c1", (Target("q1", "a"), Target("q3", "unknown")), 1)
    assert second == Text("c2", (Target("q2", "b"), Target("q2", "c")))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"context": "c", "answer": "a"}, "line 1: question is missing"),
        ({"context": "c", "question": "q"}, "line 1: answer is missing"),
        ({"context": "c", "question": "q", "answer": 3}, "line 1: answer is no text"),
        ([], "line 1: is no JSON object"),
    ],
)
def test_a_bad_row_of_questions_is_named(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        question_lines(_text(tmp_path / "q.jsonl", json.dumps(row)))


def test_newsqa_keeps_questions_with_an_agreed_span_of_the_split(tmp_path):
    path = newsqa_file(
        tmp_path,
        story("A choir of 300 sang.", {"q": " How many? ", "consensus": {"s": 11, "e": 15}},
              {"q": "Why?", "consensus": {"noAnswer": True}}, {"q": "What of?", "consensus": {"badQuestion": True}}),
        story("Not this one.", {"q": "Which?", "consensus": {"s": 0, "e": 3}}, type="dev"),
    )  # fmt: skip
    (text,) = newsqa(path, "train")
    assert text.targets == (Target("How many?", "300", end=15),)
    assert newsqa(path, "dev")[0].targets[0].answer == "Not"
    assert newsqa(path, "test") == []


def test_newsqa_slices_the_stripped_story_with_the_offsets_of_the_whole(tmp_path):
    """As the reference does: two leading spaces shift the answer by two."""
    (text,) = newsqa(
        newsqa_file(tmp_path, story("  on Tuesday it", {"q": "When?", "consensus": {"s": 5, "e": 12}})), "train"
    )
    assert text.source == "on Tuesday it"
    assert text.targets[0].answer == "esday i"


def test_the_sample_in_the_layout_of_the_release(shared):
    path = shared / "data" / "newsqa-schema" / "sample.json"
    (train,), (dev,) = newsqa(path, "train"), newsqa(path, "dev")
    assert len(train.targets) == 2
    assert dev.targets == (Target("How many people sang?", "300", end=24),)


def test_the_whole_of_squad(shared):
    """Its paragraphs and questions as the paper of Rajpurkar et al. and paper-facts.md count them."""
    texts = squad(shared / "data" / "squad-v1.1" / "train-v1.1.json")
    assert len(texts) == 18_896
    assert sum(len(text.targets) for text in texts) == 87_599


def test_real_files_in_the_layout_of_squad(shared):
    texts = squad(shared / "data" / "squadshifts" / "reddit_v1.0.json")
    assert len(texts) == 1531  # its SOURCE.md: 1,531 paragraphs, 7,382 questions
    assert len({(text.source, target.text) for text in texts for target in text.targets}) <= 7382
    assert sum(len(text.targets) for text in texts) > 7382  # annotators differ


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": [{"paragraphs": [{"qas": []}]}]}, "article 0 .* 'context' is missing"),
        ({"data": [{"paragraphs": [{"context": 3, "qas": []}]}]}, "3 is no text"),
        ([], "holds no object"),
    ],
)
def test_what_is_wrong_with_a_squad_file_is_said(tmp_path, values, message):
    with pytest.raises(ValueError, match=message):
        squad(write(tmp_path / "bad.json", values))


def test_what_is_wrong_with_a_newsqa_file_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"story 0 .* 'questions' is missing"):
        newsqa(newsqa_file(tmp_path, {"type": "train", "text": "x"}), "train")
    with pytest.raises(ValueError, match=r"split of .* is 'valid'; it must be one of train, dev, test"):
        newsqa(newsqa_file(tmp_path), "valid")
    with pytest.raises(ValueError, match="cannot be read as JSON"):
        squad(_text(tmp_path / "x.json", "{"))
    with pytest.raises(ValueError, match="No such file"):
        squad(tmp_path / "none.json")


def _text(path, text):
    path.write_text(text)
    return path


def test_files_may_begin_with_a_byte_order_mark(tmp_path):
    question = {"question": "Who?", "answers": [{"text": "cat", "answer_start": 1}]}
    for path, read in ((squad_file(tmp_path, question), squad), (newsqa_file(tmp_path, story("x")), newsqa)):
        expected = read(path, "train") if read is newsqa else read(path)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert (read(path, "train") if read is newsqa else read(path)) == expected
