"""What readers and question generators learn from: answers in their places, windows, Gazette's batches."""

import json

import numpy as np
import pytest

from quals_jax.asking import encode_prompts
from quals_jax.data.encoder_batching import PairExample, ShuffledBatches, in_order, stack_pairs
from quals_jax.data.questions import AnswerConditioned, QuestionBatches
from quals_jax.data.reading import ReaderBatches, occurrences, squad_examples
from quals_jax.data.texts import Target, Text
from quals_jax.tokenizer import EOS, Tokenizer
from quals_jax.windows import windows
from quals_jax.wordpiece import PairTokenizer

GAZETTE = "quals_jax/assets/gazette_qagen"


@pytest.fixture(scope="module")
def tokenizer(golden):
    return PairTokenizer.from_pretrained(golden / "bert" / "span")


@pytest.fixture(scope="module")
def gazette_tokenizer():
    from quals_jax.qagen import EMBEDDED

    return Tokenizer.from_pretrained(EMBEDDED), PairTokenizer.from_pretrained(EMBEDDED)


def test_windows_cover_the_text_and_overlap(tokenizer):
    found = list(windows(tokenizer, [5, 6], list(range(100, 120)), length=13, stride=3))
    assert [(window.first, window.count) for window in found] == [(0, 8), (3, 8), (6, 8), (9, 8), (12, 8)]
    for window in found:
        assert window.ids == [2, 5, 6, 3, *range(100 + window.first, 108 + window.first), 3]
        assert window.ids[window.start] == 100 + window.first
    with pytest.raises(ValueError, match="no room behind a question of 2"):
        list(windows(tokenizer, [5, 6], [1], length=5, stride=1))
    assert len(next(windows(tokenizer, range(100), [1], length=80, stride=1)).ids) == 64 + 1 + 3


def test_occurrences_are_whole_words():
    assert occurrences("Ann, Anna and Ann", "Ann") == [(0, 3), (14, 17)]
    assert occurrences("5 of 15 (5)", "5") == [(0, 1), (9, 10)]
    assert occurrences("abc", "") == []


def _squad(tmp_path, answers, **fields):
    context = "Tolvik took the title, Marlen the belt."
    question = {"question": "who won?", "answers": answers, **fields}
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": [question]}]}]}))
    return str(path)


def test_squad_answers_in_windows(tokenizer, tmp_path):
    """Pieces of the text: tol ##vik took the title , mar ##len the be ##lt . (12); the question has 3."""
    path = _squad(tmp_path, [{"text": "Marlen", "answer_start": 23}, {"text": "Marlen", "answer_start": 23}])
    (whole,) = squad_examples(tokenizer, path, length=32, stride=8)
    first, last = (places[0] for places in whole.target)
    assert tokenizer._pieces.decode(whole.ids[first : last + 1].tolist()) == "marlen" and whole.segments[first] == 1
    cut = list(squad_examples(tokenizer, path, length=13, stride=5))  # 7 pieces a window: 0-6, 5-11
    assert [example.target for example in cut] == [((0,), (0,)), ((6,), (7,))]
    none = list(squad_examples(tokenizer, _squad(tmp_path, [], is_impossible=True), length=32, stride=8))
    assert [example.target for example in none] == [((0,), (0,))]
    with pytest.raises(
        ValueError, match="article 0 is not in the layout of SQuAD: the answer 'Marlen' does not stand at 2"
    ):
        list(squad_examples(tokenizer, _squad(tmp_path, [{"text": "Marlen", "answer_start": 2}]), length=32, stride=8))


def test_every_epoch_has_every_example_once():
    examples = [PairExample([number] * (1 + number % 3), [0] * (1 + number % 3), number) for number in range(7)]
    batches = ShuffledBatches(examples, seed=1, count=7, rows=2, lengths=(2, 4), pad_id=9)
    seen = [batches[index]["rows"] for index in range(7)]
    firsts = [int(ids[0]) for part in seen for ids in part["source_ids"]]
    assert sorted(firsts[:7]) == sorted(firsts[7:]) == list(range(7)) and firsts[:7] != firsts[7:]
    assert {part["source_ids"].shape[1] for part in seen} == {2, 4}
    np.testing.assert_array_equal(batches[3]["rows"]["source_ids"], seen[3]["source_ids"])
    held_out = in_order(examples, 3, (2, 4), 9)
    assert [part["rows"]["empty"].tolist() for part in held_out] == [[0, 0, 0], [0, 0, 0], [0, 1, 1]]
    with pytest.raises(ValueError, match="do not fit"):
        stack_pairs(examples, rows=2, source=4, pad_id=9)


def test_gazette_answers_stand_where_the_batch_says(gazette_tokenizer):
    _, tokenizer = gazette_tokenizer
    batch = ReaderBatches(tokenizer, seed=3, split="train", count=5, rows=4)[2]
    assert batch["documents"]["source_ids"].shape == (4, 208) and batch["summaries"]["source_ids"].shape == (4, 88)
    for name, part in batch.items():
        for ids, segments, (starts, ends) in zip(
            part["source_ids"], part["segment_ids"], part["target_ids"], strict=True
        ):
            answers = {
                tokenizer._pieces.decode(ids[first : last + 1].tolist()).strip()
                for first, last in zip(starts, ends, strict=True)
                if last > 0
            }
            assert len(answers) <= 1  # the same answer at each of its places
            assert name == "summaries" or answers
            assert all(segments[first] == 1 for first in starts if first > 0)


def test_gazette_asks_for_its_answers(gazette_tokenizer):
    tokenizer, _ = gazette_tokenizer
    part = QuestionBatches(tokenizer, seed=3, split="train", count=5, rows=4)[2]["rows"]
    from quals_jax import gazette

    for row, ids in enumerate(part["source_ids"]):
        source = tokenizer.decode(ids.tolist())
        story = gazette.story(3, "train", 8 + row)
        answer = source.split(" [ANS] ")[1]
        assert source.startswith(story.summary)
        asked = {tokenizer.decode(own.tolist()) for own in part["target_ids"][row] if own[0] != 1}
        assert asked and asked <= {own.question for own in story.questions if own.answer == answer}


def test_prompts_lose_the_end_of_the_text_and_never_the_answer(gazette_tokenizer):
    tokenizer, _ = gazette_tokenizer
    whole = tokenizer.encode_pieces(["Ann Lee won. [ANS] Ann Lee"])[0]
    assert encode_prompts(tokenizer, ["Ann Lee won. "], [" Ann Lee"], limit=100) == [[*whole, EOS]]
    tail = tokenizer.encode_pieces([" [ANS] Ann Lee"])[0]
    (cut,) = encode_prompts(tokenizer, ["Ann Lee won. " * 50], ["Ann Lee"], limit=len(tail) + 6)
    assert cut == [*tokenizer.encode_pieces(["Ann Lee won. " * 50])[0][:5], *tail, EOS]
    with pytest.raises(ValueError, match="does not fit a source of 3"):
        encode_prompts(tokenizer, ["x"], ["Ann Lee"], limit=3)


def test_squad_pairs_become_texts_with_an_answer():
    texts = AnswerConditioned(
        [Text("Ann beat Bob.", (Target("Who won?", "Ann"), Target("Who beat Bob?", "Ann"), Target("Who lost?", "Bob")))]
    )
    assert [(own.source, [target.text for target in own.targets]) for own in texts] == [
        ("Ann beat Bob. [ANS] Ann", ["Who won?", "Who beat Bob?"]),
        ("Ann beat Bob. [ANS] Bob", ["Who lost?"]),
    ]
    with pytest.raises(ValueError, match="no questions with answers"):
        AnswerConditioned([Text("a", (Target("summary"),))])
