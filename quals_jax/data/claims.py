"""Claims about documents, true and made false by rules: what FactCC learns from (Kryscinski et al., EMNLP 2020, section 3.2).

A true claim is a sentence of the document, or a paraphrase of one where some are given. A false one is a true one with one change: a name,
number or date exchanged for another of the document, a pronoun for another of its sort, or a verb negated. To either noise may be
added: words left out or doubled, apart from what was changed.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from quals_jax.data.encoder_batching import UNMARKED, PairExample, compact
from quals_jax.entities import DATE, NAME, NUMBER, Entity, entities
from quals_jax.sentences import sentences
from quals_jax.wordpiece import PairTokenizer, Pieces, cut_longest

CONSISTENT, INCONSISTENT = 0, 1  # labels, as in the release: its list is CORRECT, INCORRECT
LABELS = {"CORRECT": CONSISTENT, "INCORRECT": INCONSISTENT}
SHORTEST = 5  # words of a sentence that becomes a claim
NOISE, DELETED = 0.05, 0.8  # of the words; of those, left out and not doubled
AT_ONCE = 1000  # claims that are tokenized together
NOISY_SHARE = 0.5  # of the claims
PARAPHRASED_SHARE = 0.5  # where there are paraphrases
PRONOUNS = (
    ("he", "she", "they", "we", "you", "it"),
    ("him", "her", "them", "us", "you", "me"),
    ("his", "her", "their", "its", "our", "your", "my"),
    ("himself", "herself", "themselves", "itself", "ourselves", "yourself", "myself"),
)
AUXILIARIES = (
    "am|is|are|was|were|has|have|had|do|does|did|can|could|may|might|must|shall|should|will|would"
)  # fmt: skip
VERB = re.compile(rf"\b(?P<verb>(?i:{AUXILIARIES}))(?P<negated> not\b|n't\b)?")
UNCONTRACTED = ("am", "may", "might", "shall", "can", "will")
Change = Callable[[random.Random, str, Sequence[Entity]], tuple[str, int, int] | None]


@dataclass(frozen=True)
class Claim:
    """A claim about a document. kind: how it was made false, or "true". changed: the characters of the claim that make it false, one
    (start, end) for each of the changes, where they are known."""

    document: str
    claim: str
    label: int
    kind: str
    changed: tuple[tuple[int, int], ...] | None = None


def swap(kind: str) -> Change:
    """Exchanges an entity of this kind for another one of the document, neither of which is part of the other."""

    def change(generator: random.Random, claim: str, known: Sequence[Entity]) -> tuple[str, int, int] | None:
        own = [entity for entity in entities(claim) if entity.kind == kind]
        generator.shuffle(own)
        for entity in own:
            others = sorted(
                {
                    other.text
                    for other in known
                    if other.kind == kind and other.text not in entity.text and entity.text not in other.text
                }
            )
            if others:
                return replaced(claim, entity.start, entity.end, generator.choice(others))
        return None

    return change


def swap_pronoun(generator: random.Random, claim: str, known: Sequence[Entity]) -> tuple[str, int, int] | None:
    """Exchanges a pronoun for another of its sort ("her" may be either of two)."""
    found = [
        (match, own)
        for match in re.finditer(r"\b\w+\b", claim)
        for own in PRONOUNS
        if match.group().lower() in own and match.group() not in ("US", "IT")
    ]
    if not found:
        return None
    match, own = generator.choice(found)
    new = generator.choice([other for other in own if other != match.group().lower()])
    new = new.capitalize() if match.group()[0].isupper() else new
    return replaced(claim, match.start(), match.end(), new)


def negate(generator: random.Random, claim: str, known: Sequence[Entity]) -> tuple[str, int, int] | None:
    """Adds a "not" to an auxiliary verb, or takes it away."""
    found = [match for match in VERB.finditer(claim) if not claim[match.end() :].startswith((" no ", " never "))]
    if not found:
        return None
    match = generator.choice(found)
    verb = match.group("verb")
    if match.group("negated"):
        return replaced(claim, *match.span(), verb)
    contracted = verb.lower() not in UNCONTRACTED and generator.random() < 0.5
    return replaced(claim, *match.span(), verb + ("n't" if contracted else " not"))


# In a fixed order, as a random choice depends on it.
CHANGES: dict[str, Change] = {
    "entity": swap(NAME),
    "number": swap(NUMBER),
    "date": swap(DATE),
    "pronoun": swap_pronoun,
    "negation": negate,
}


def add_noise(generator: random.Random, claim: str, start: int = 0, end: int = 0) -> tuple[str, tuple[int, int]]:
    """The claim with some words left out or doubled, none of characters start .. end, and where these stand then. At least one word is
    left."""
    kept: list[tuple[str, bool]] = []
    for match in re.finditer(r"\S+", claim):
        word = match.group()
        touched = match.start() < end and match.end() > start
        if touched or generator.random() >= NOISE:
            kept.append((word, touched))
        elif generator.random() >= DELETED:
            kept += [(word, False), (word, False)]
    if not kept:
        return claim, (start, end)
    text = " ".join(word for word, _ in kept)
    places, place = [], 0
    for word, touched in kept:
        if touched:
            places.append((place, place + len(word)))
        place += len(word) + 1
    return text, (places[0][0], places[-1][1]) if places else (0, 0)


def make_claim(
    generator: random.Random, document: str, paraphrases: Mapping[str, str] | Sequence[str] = (), *, consistent: bool
) -> Claim | None:
    """A claim about the document; None where it has no sentence that is long enough, or that can be made false.

    Args:
        paraphrases: other wordings of what the document says, by the sentence that they stand for, or alone.
    """
    own = [sentence for sentence in sentences(document) if len(sentence.split()) >= SHORTEST]
    told = list(paraphrases.values()) if isinstance(paraphrases, Mapping) else list(paraphrases)
    if told and (not own or generator.random() < PARAPHRASED_SHARE):
        own = told
    generator.shuffle(own)
    noisy = generator.random() < NOISY_SHARE
    if consistent:
        if not own:
            return None
        claim = add_noise(generator, own[0])[0] if noisy else own[0]
        return Claim(document, claim, CONSISTENT, "true")
    known = entities(document)
    for sentence in own:
        kinds = list(CHANGES)
        generator.shuffle(kinds)
        for kind in kinds:
            changed = CHANGES[kind](generator, sentence, known)
            if changed and changed[0] != sentence:
                claim, span = add_noise(generator, *changed) if noisy else (changed[0], changed[1:])
                return Claim(document, claim, INCONSISTENT, kind, (span,))
    return None


def read_claims(path: str, *, synthetic: bool, seed: int) -> Iterator[Claim]:
    """The claims of a JSONL file: rows of the release ("text", "claim", "label" CORRECT or INCORRECT); or, with `synthetic`, one true
    and one false claim about every row's "document" (or "text"), which may have "paraphrases", {sentence: paraphrase}.

    Raises:
        ValueError: naming the file, and the line that is not as it should be.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().split("\n")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not UTF-8 ({error.reason})") from None
    for number, line in enumerate(lines, 1):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{place}: is no JSON ({error})") from None
        if not isinstance(row, dict):
            raise ValueError(f"{place}: is no JSON object")
        document = _field(row, ("document", "text") if synthetic else ("text", "document"), place)
        if not synthetic:
            label = _field(row, ("label",), place)
            if label not in LABELS:
                raise ValueError(f"{place}: label is {label!r}; it must be CORRECT or INCORRECT")
            yield Claim(document, _field(row, ("claim",), place), LABELS[label], "given")
            continue
        paraphrases = row.get("paraphrases", {})
        if not isinstance(paraphrases, dict) or not all(isinstance(text, str) for text in paraphrases.values()):
            raise ValueError(f"{place}: field 'paraphrases' must be an object of texts by sentence")
        generator = random.Random(f"claims/{seed}/{number}")
        for consistent in (True, False):
            claim = make_claim(generator, document, paraphrases, consistent=consistent)
            if claim:
                yield claim


def claim_examples(
    tokenizer: PairTokenizer, path: str, *, synthetic: bool, length: int, seed: int
) -> Iterator[PairExample]:
    """The claims of a file as a BERT reads them."""
    claims = read_claims(path, synthetic=synthetic, seed=seed)
    while chunk := list(itertools.islice(claims, AT_ONCE)):
        yield from map(compact, encode_claims(tokenizer, chunk, length=length))


def encode_claims(tokenizer: PairTokenizer, claims: Sequence[Claim], *, length: int) -> list[PairExample]:
    """`[CLS] document [SEP] claim [SEP]`, the longer of the two cut to `length` ids in all."""
    encoded = tokenizer.encode([text for claim in claims for text in (claim.document, claim.claim)])
    examples = []
    for claim, document, text in zip(claims, encoded[::2], encoded[1::2], strict=True):
        first, second, _ = cut_longest(document.ids, text.ids, length - 3)
        ids, segments = tokenizer.pair(first, second)
        examples.append(
            PairExample(ids, segments, claim.label, _marks(claim, text, len(first) + 2, len(second), len(ids)))
        )
    return examples


def _marks(claim: Claim, pieces: Pieces, start: int, count: int, length: int) -> list[int]:
    """A label for every piece of the claim: INCONSISTENT in what was changed, else CONSISTENT. None where it is not known what was."""
    if claim.label == INCONSISTENT and claim.changed is None:
        return []
    changed = claim.changed or ()
    marks = [
        INCONSISTENT if any(own < last and end > first for first, last in changed) else CONSISTENT
        for own, end in pieces.spans[:count]
    ]
    return [UNMARKED] * start + marks + [UNMARKED] * (length - start - count)


def replaced(claim: str, start: int, end: int, new: str) -> tuple[str, int, int]:
    """The claim with other words there, and where these stand."""
    return claim[:start] + new + claim[end:], start, start + len(new)


def _field(row: dict, names: Sequence[str], place: str) -> str:
    name = next((name for name in names if name in row), names[0])
    if not isinstance(row.get(name), str):
        raise ValueError(f"{place}: field {name!r} must be a text")
    return row[name]
