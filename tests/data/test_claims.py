"""FactCC's training data: each change by hand, and what the file forms read."""

import json
import random

import pytest

from quals_jax.data.claims import (
    CHANGES,
    CONSISTENT,
    INCONSISTENT,
    Claim,
    add_noise,
    encode_claims,
    make_claim,
    read_claims,
)
from quals_jax.entities import entities
from quals_jax.wordpiece import PairTokenizer

DOCUMENT = (
    "Ann Lee paid 5 million dollars to Bob May in Rome on 14 March. The court met on 2 June and it had 12 members."
)


def _changed(kind, claim, document=DOCUMENT):
    """Every outcome of a change over many draws, with the words that it says it put in."""
    known = entities(document)
    found = [CHANGES[kind](random.Random(seed), claim, known) for seed in range(200)]
    for own in found:
        assert own is None or own[0][own[1] : own[2]].strip()
    return {own and own[0] for own in found}


def test_entities_of_the_document():
    assert [(own.text, own.kind) for own in entities(DOCUMENT)] == [
        ("Ann Lee", "name"), ("5 million dollars", "number"), ("Bob May", "name"), ("Rome", "name"), ("14 March", "date"),
        ("2 June", "date"), ("12", "number"),
    ]  # fmt: skip


def test_an_entity_is_exchanged_for_one_of_its_kind_that_is_neither_itself_nor_part_of_it():
    assert _changed("entity", "Ann won.") == {None}  # alone at the start of a sentence: no name by these rules
    assert _changed("entity", "So Ann Lee won.") == {"So Bob May won.", "So Rome won."}
    assert _changed("entity", "So Lee won.") == {"So Bob May won.", "So Rome won."}
    assert _changed("number", "It cost 12 crowns.") == {"It cost 5 million dollars."}
    assert _changed("date", "It was on 14 March.") == {"It was on 2 June."}
    assert _changed("date", "It was cold.") == {None}


def test_pronouns_stay_of_their_sort_and_case():
    assert _changed("pronoun", "He won.") == {f"{word} won." for word in ("She", "They", "We", "You", "It")}
    assert _changed("pronoun", "Rome won.") == {None}


def test_verbs_are_negated_and_negations_taken_away():
    assert _changed("negation", "He was there.") == {"He was not there.", "He wasn't there."}
    assert _changed("negation", "He will go.") == {"He will not go."}
    assert _changed("negation", "He wasn't there.") == {"He was there."}
    assert _changed("negation", "He was not there.") == {"He was there."}
    assert _changed("negation", "He was never there.") == {None}
    assert _changed("negation", "He went.") == {None}


def test_noise_touches_one_word_in_twenty_but_none_of_the_change():
    claim = " ".join(f"w{number}" for number in range(100))
    start = claim.index("w50 ")
    end = claim.index("w59") + 3
    deleted = doubled = 0
    for seed in range(200):
        text, span = add_noise(random.Random(seed), claim, start, end)
        words = text.split()
        assert text[slice(*span)] == claim[start:end]
        assert [word for word in words if 50 <= int(word[1:]) < 60] == [f"w{number}" for number in range(50, 60)]
        deleted += 100 - len(set(words))
        doubled += len(words) - len(set(words))
    assert deleted + doubled == pytest.approx(200 * 90 * 0.05, rel=0.15)
    assert deleted / (deleted + doubled) == pytest.approx(0.8, abs=0.05)
    assert add_noise(random.Random(0), "one") == ("one", (0, 0))


def test_claims_are_sentences_or_paraphrases_and_false_ones_differ():
    kinds = set()
    for seed in range(300):
        true = make_claim(random.Random(seed), DOCUMENT, ["Rome saw a payment of millions to May."], consistent=True)
        assert true.label == CONSISTENT and set(true.claim.split()) <= set(
            (DOCUMENT + " Rome saw a payment of millions to May.").split()
        )
        false = make_claim(random.Random(seed), DOCUMENT, consistent=False)
        assert false.label == INCONSISTENT and false.claim not in DOCUMENT
        kinds.add(false.kind)
    assert kinds == set(CHANGES)
    assert make_claim(random.Random(0), "Too short.", consistent=True) is None
    assert make_claim(random.Random(0), "All was quiet and nobody moved, nobody spoke.", consistent=False) is not None
    assert make_claim(random.Random(0), "Nobody moved and nobody spoke all day.", consistent=False) is None


def test_rows_of_the_release_and_of_documents(tmp_path):
    path = tmp_path / "claims.jsonl"
    rows = [{"text": "a b", "claim": "c", "label": "CORRECT"}, {"text": "a b", "claim": "d", "label": "INCORRECT"}]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert [(own.claim, own.label) for own in read_claims(str(path), synthetic=False, seed=0)] == [("c", 0), ("d", 1)]
    path.write_text(
        json.dumps({"document": DOCUMENT, "paraphrases": {"x": "Millions went from Ann Lee to Bob May."}}) + "\n"
    )
    first, second = (list(read_claims(str(path), synthetic=True, seed=seed)) for seed in (1, 1))
    assert first == second and [own.label for own in first] == [CONSISTENT, INCONSISTENT]
    for text, message in (
        ("{", "line 1: is no JSON"), ("[]", "is no JSON object"), ('{"text": 1}', "field 'text' must be a text"),
        ('{"text": "a", "claim": "b", "label": "X"}', "label is 'X'; it must be CORRECT or INCORRECT"),
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            list(read_claims(str(path), synthetic=False, seed=0))
    with pytest.raises(ValueError, match="No such file"):
        list(read_claims(str(tmp_path / "none"), synthetic=False, seed=0))


def test_the_document_stands_first(golden):
    tokenizer = PairTokenizer.from_pretrained(golden / "bert" / "span")
    claim = make_claim(random.Random(0), "who won the title of Velmora?", consistent=True)
    (example,) = encode_claims(tokenizer, [claim], length=64)
    split = list(example.segments).index(1)
    assert example.ids[1 : split - 1] == tokenizer.encode([claim.document])[0].ids
    assert example.ids[split:-1] == tokenizer.encode([claim.claim])[0].ids
    assert example.target == CONSISTENT
    assert list(example.pieces) == [-1] * split + [CONSISTENT] * (len(example.ids) - split - 1) + [-1]


def test_the_pieces_that_make_a_claim_false_are_marked(golden):
    tokenizer = PairTokenizer.from_pretrained(golden / "bert" / "span")
    false = Claim("the belt", "of tolvik, the marlen belt", INCONSISTENT, "entity", ((3, 9),))
    unknown = Claim("the belt", "of tolvik", INCONSISTENT, "given")
    first, second = encode_claims(tokenizer, [false, unknown], length=32)
    start = list(first.segments).index(1)
    assert list(first.pieces[start:-1]) == [0, 1, 1, 0, 0, 0, 0, 0, 0]  # of | tol ##vik | , the mar ##len be ##lt
    assert list(second.pieces) == []
