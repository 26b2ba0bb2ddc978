import numpy as np
import pytest

from quals_jax import gazette
from quals_jax.commands.gazette_tokenizer import save
from quals_jax.data import gazette as data
from quals_jax.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    size = save(folder)
    return Tokenizer.from_pretrained(folder, connector_id=size - 1, max_source_tokens=511)


def batches(tokenizer, **options):
    settings = {"seed": 3, "split": "train", "count": 10, "rows": 2}
    return data.QagenBatches(tokenizer, **(settings | options))


def texts(tokenizer, rows):
    return [tokenizer.decode(row[row != 1]) for row in rows]


def test_every_pair_of_a_document_is_one_of_its_questions(tokenizer):
    batch = batches(tokenizer)[4]
    first = 4 * 2 * 2  # two rows of documents and two of summaries a batch
    for row in range(2):
        story = gazette.story(3, "train", first + row)
        part = batch["documents"]
        assert texts(tokenizer, part["source_ids"][row : row + 1]) == [story.document]
        known = {question.question + " strutConnector" + question.answer: question for question in story.questions}
        pairs = [pair for pair in texts(tokenizer, part["target_ids"][row]) if pair]
        assert set(pairs) <= set(known)
        slots = [known[pair].slot for pair in pairs]
        assert len(slots) == len(set(slots)) >= len({question.slot for question in story.questions}) - 1
        types = [data.TYPES[number] for number in part["type_ids"][row][: len(pairs)]]
        assert types == [known[pair].type for pair in pairs]


def test_pairs_of_a_summary_are_answered_by_it(tokenizer):
    part = batches(tokenizer)[1]["summaries"]
    for source, targets in zip(texts(tokenizer, part["source_ids"]), part["target_ids"], strict=True):
        pairs = [pair for pair in texts(tokenizer, targets) if pair]
        assert len(pairs) >= 2
        assert all(pair.partition(" strutConnector")[2] in source for pair in pairs)


def test_copying_lessons_come_first_and_are_spans(tokenizer):
    lessons = batches(tokenizer, copy_batches=2)
    assert set(lessons[2]) == {"documents", "summaries"}
    part = lessons[1]["copies"]
    assert part["source_ids"].shape[0] == 4
    for source, targets in zip(part["source_ids"], part["target_ids"], strict=True):
        source = source[source != 1]
        for span in targets:
            span = span[span != 1]
            assert 5 <= len(span) <= 14
            windows = np.lib.stride_tricks.sliding_window_view(source, len(span))
            assert (windows == span).all(axis=1).any()


def test_a_batch_is_its_number(tokenizer):
    one, other = batches(tokenizer)[7], batches(tokenizer)[7]
    assert all(np.array_equal(one[part][name], other[part][name]) for part in one for name in one[part])
    with pytest.raises(IndexError):
        batches(tokenizer)[10]


def test_shapes_never_change(tokenizer):
    shapes = {
        tuple((part, name, array.shape) for part, arrays in batch.items() for name, array in arrays.items())
        for batch in (batches(tokenizer)[number] for number in range(10))
    }
    assert len(shapes) == 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_the_references_is_false(tokenizer, share):
    batch = data.SummaryBatches(tokenizer, seed=3, split="train", count=9, rows=6, false_share=share)[2]["rows"]
    summaries = texts(tokenizer, batch["target_ids"][:, 0])
    for row, summary in enumerate(summaries):
        story = gazette.story(3, "train", 12 + row)
        assert (summary == story.summary) == (share == 0)
        assert summary in {story.summary, *(corruption.text for corruption in story.corruptions)}


def test_twins_differ_in_a_leading_space(tokenizer):
    pairs = data.twins(tokenizer)
    assert len(pairs) > 100
    assert all(tokenizer.decode([second]) == " " + tokenizer.decode([first]) for first, second in pairs)


def test_questions_without_an_answer_are_given_and_answered_unknown(tokenizer):
    plain = batches(tokenizer, summaries=3)[1]
    batch = batches(tokenizer, summaries=3, unanswered=4)[1]
    assert batch["documents"]["target_ids"].shape == plain["documents"]["target_ids"].shape
    part = batch["summaries"]
    assert part["source_ids"].shape[0] == 6
    seen = 0
    for row in range(6):
        story = gazette.story(3, "train", 1 * 2 * 4 + 2 + row)
        assert texts(tokenizer, part["source_ids"][row : row + 1]) == [story.summary]
        answered = {question.question for question in story.questions if question.slot in story.told}
        for target, given in zip(part["target_ids"][row], part["prompt_lengths"][row], strict=True):
            question, _, answer = tokenizer.decode(target[target != 1]).partition(" strutConnector")
            if not given:
                assert answer != "unknown"
                continue
            seen += 1
            assert (answer, target[given - 1]) == ("unknown", tokenizer.connector_id)
            assert question not in answered
    assert seen >= 20


def test_no_summary_holds_the_answer_of_what_is_unknown():
    for story in gazette.stories(11, "train", 500):
        assert all(data.UNKNOWN not in text for text in (story.summary, *(c.text for c in story.corruptions)))


def test_long_wordings_are_left_out_where_a_fact_has_a_shorter_one(tokenizer):
    def length(question):
        return len(tokenizer.encode_pair(question.question, question.answer))

    longest, refused = 13, 0
    part = batches(tokenizer, summaries=3, longest_pair=longest)[1]["summaries"]
    for row in range(6):
        story = gazette.story(3, "train", 1 * 2 * 4 + 2 + row)
        told = [question for question in story.questions if question.in_summary]
        targets = [target[target != 1] for target in part["target_ids"][row]]
        asked = {tokenizer.decode(target).partition(" strutConnector")[0] for target in targets}
        for slot in story.told:
            lengths = {question.question: length(question) for question in told if question.slot == slot}
            taken = [tokens for question, tokens in lengths.items() if question in asked]
            assert taken
            if min(lengths.values()) <= longest:
                assert max(taken) <= longest
                refused += max(lengths.values()) > longest
    assert refused >= 3
