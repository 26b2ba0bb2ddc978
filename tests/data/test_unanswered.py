"""Questions borrowed from other texts: none that the text answers, given and not learnt, the same for a seed."""

import numpy as np
import pytest

from quals_jax.data import loader
from quals_jax.data.sources import open_sources
from quals_jax.data.texts import Target, Text, Tokenise, fingerprint
from quals_jax.data.unanswered import WithUnanswered
from quals_jax.tokenizer_training import train_bpe
from quals_jax.training.config import DataConfig

NAMES = ["Ann", "Bob", "Cleo", "Dara", "Egon", "Fay", "Gil", "Hal"]
TEXTS = [
    Text(
        f"{name} sang with {NAMES[(place + 1) % 8]}.",
        (Target(f"Who sang {place}?", name), Target(f"Why {place}?", "rain")),
    )
    for place, name in enumerate(NAMES)
]


@pytest.mark.parametrize("share", [0.5, 1.0, 2.0])
def test_none_is_answered_by_the_text_and_the_share_is_kept(share):
    found = WithUnanswered(TEXTS, share, seed=1)
    for place, text in enumerate(found):
        own, borrowed = text.targets[:2], text.targets[2:]
        assert own == TEXTS[place].targets and text.source == TEXTS[place].source
        assert len(borrowed) == text.unanswered == 2 * share
        for target in borrowed:
            number = int(target.text.rstrip("?").split()[-1])
            assert (target.answer, target.given) == ("unknown", True) and number != place
            if target.text.startswith("Who"):
                assert NAMES[number] not in text.source
    assert len(found) == 8


def test_a_share_between_is_met_on_the_whole():
    texts = [Text(f"text {place}", (Target(f"q{place}", f"a{place}x"),)) for place in range(2000)]
    found = WithUnanswered(texts, 0.3, seed=4)
    counts = [len(found[place].targets) - 1 for place in range(2000)]
    assert set(counts) == {0, 1} and np.mean(counts) == pytest.approx(0.3, abs=0.031)  # 3 standard deviations


def test_half_come_from_neighbours():
    """From +-10 of 2,000 texts come half, and 20 in 2,000 of the other half."""
    texts = [Text(f"text {place}", (Target(f"q{place}", f"a{place}x"),)) for place in range(2000)]
    found = WithUnanswered(texts, 1.0, seed=4)
    near = [abs(int(found[place].targets[1].text[1:]) - place) <= 10 for place in range(100, 1900)]
    assert np.mean(near) == pytest.approx(0.5, abs=0.04)


def test_it_hangs_on_seed_and_place_alone():
    one, same, other = (WithUnanswered(TEXTS, 1.0, seed=seed) for seed in (1, 1, 2))
    assert list(reversed([one[place] for place in range(7, -1, -1)])) == list(same)
    assert fingerprint(one) == fingerprint(same) != fingerprint(other)


def test_where_every_text_answers_nothing_is_borrowed():
    alike = [Text(f"rain fell on {place}", (Target(f"What fell {place}?", "Rain"),)) for place in range(5)]
    assert [text.targets for text in WithUnanswered(alike, 1.0, seed=1)] == [text.targets for text in alike]


def test_of_a_borrowed_question_the_answer_alone_is_learnt():
    tokenizer = train_bpe([text.source for text in TEXTS] * 3, 300, positions=64)
    config = DataConfig(
        train="x", batch_size=4, max_targets=4, source_buckets=(64,), target_buckets=(64,), borrowed=1.0
    )
    make = Tokenise(tokenizer, source_limit=64, target_limit=64)
    (batch, _) = loader.evaluation_batches(WithUnanswered(TEXTS, 1.0, seed=1), make, config)
    part = batch["rows"]
    unknown = [*tokenizer.encode_pieces(["unknown"])[0], 2]
    seen = 0
    for ids, prompt in zip(part["target_ids"].reshape(-1, 64), part["prompt_lengths"].ravel(), strict=True):
        learnt = ids[prompt:][ids[prompt:] != 1].tolist()
        if learnt == unknown:
            assert ids[prompt - 1] == tokenizer.connector_id
            seen += 1
        elif learnt:
            assert prompt == 0 and tokenizer.connector_id in learnt
    assert seen == 8 and part["type_ids"].shape == part["prompt_lengths"].shape


def test_the_first_paragraphs_of_a_squad_file(tmp_path):
    import json

    paragraphs = [{"context": f"c{place}", "qas": []} for place in range(5)]
    path = tmp_path / "my set.json"
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    assert [text.source for text in open_sources(f"squad:{path}#2 squad:{path}#1")] == ["c0", "c1", "c0"]


def test_a_sentence_with_the_questions_that_it_answers_is_a_text(tmp_path):
    import json

    context = "Ann sang in Oslo. It rained on Ann. Bob left Oslo at 9."
    asked = {"Who left?": "Bob", "When did he leave?": "9", "What fell?": "rain", "Who sang?": "Ann", "Where?": "Oslo"}
    qas = [{"question": own, "answers": [{"text": answer}]} for own, answer in asked.items()]
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    found = open_sources(f"squad-sentences:{path}")
    assert list(found) == [
        Text("It rained on Ann.", (Target("What fell?", "rain"),)),
        Text("Bob left Oslo at 9.", (Target("Who left?", "Bob"), Target("When did he leave?", "9"))),
    ]
