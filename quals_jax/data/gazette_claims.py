"""Claims about stories of Gazette in batches: what the embedded FactCC classifier learns from, first copies, then claims.

How FactCC's paper makes claims false is all that is used, with names, numbers and dates of another story beside those of the same
document; none of Gazette's own false summaries.
"""

from __future__ import annotations

import itertools
import random
import re

import numpy as np

from quals_jax import gazette
from quals_jax.data.claims import CHANGES, CONSISTENT, INCONSISTENT, SHORTEST, Claim, encode_claims, replaced
from quals_jax.data.encoder_batching import stack_pairs
from quals_jax.data.gazette import GazetteBatches
from quals_jax.entities import entities
from quals_jax.sentences import sentences

# In pieces. A sentence twice with three special tokens; a document and a sentence (a few documents lose their last words).
COPY_LENGTH, CLAIM_LENGTH = 80, 208
CHANGED_SHARE = 0.67  # of the copies
NAMES_SHARE = 0.7  # of these: names, numbers and dates are exchanged, and any words in the others
EXCHANGED_NAMES, EXCHANGED_WORDS = 0.5, 0.25  # in them
SUMMARY_SHARE = 0.5  # of the claims; the others are sentences of the document
STRANGER_SHARE = 0.7  # of the false claims, where one can be made: with 0.3 nothing more was learnt in 200 steps
SELDOM = ("pronoun", "negation")  # kinds that are seldom in the summaries of Gazette,
SELDOM_SHARE = 0.3  # and how often they are as likely as others
COPIES_SHARE = 0.35  # of the batches of claims
WORD = re.compile(r"[\w'-]+")


class _Batches(GazetteBatches):
    """Batch number `index`: `rows` claims, from stories that no other batch of the split has."""

    def batch(self, index: int) -> dict[str, dict[str, np.ndarray]]:
        first = index * self.rows
        stories = [gazette.story(self.seed, self.split, first + place) for place in range(self.rows + 1)]
        claims, length = self._claims(random.Random(f"{self.kind}/{self.seed}/{self.split}/{index}"), stories)
        examples = encode_claims(self.tokenizer, claims, length=length)
        return {"rows": stack_pairs(examples, rows=self.rows, source=length, pad_id=self.tokenizer.pad_id)}


class CopyBatches(_Batches):
    """Sentences and copies of them in which several words may be others: each word says whether it was changed, so that in minutes a
    model learns to compare."""

    kind = "copies"

    def _claims(self, generator: random.Random, stories: list[gazette.Story]) -> tuple[list[Claim], int]:
        pairs = itertools.pairwise(stories)
        return [copied(generator, story, other, whole=False) for story, other in pairs], COPY_LENGTH


class ClaimBatches(_Batches):
    """Sentences of the document or its summary, each once as it is and once made false."""

    kind = "claims"

    def _claims(self, generator: random.Random, stories: list[gazette.Story]) -> tuple[list[Claim], int]:
        pairs = list(itertools.pairwise(stories))
        if generator.random() < COPIES_SHARE:
            return [copied(generator, story, other, whole=True) for story, other in pairs], CLAIM_LENGTH
        both = [
            claim for story, other in pairs[: -(-self.rows // 2)] for claim in true_and_false(generator, story, other)
        ]
        return both[: self.rows], CLAIM_LENGTH


def copied(generator: random.Random, story: gazette.Story, other: gazette.Story, *, whole: bool) -> Claim:
    """A sentence of the story, perhaps with words of another story. whole: the document is the story's, and not that sentence alone."""
    sentence = generator.choice(sentences(story.document))
    document = story.document if whole else sentence
    text, changed, last = "", [], 0
    for start, end, others in _exchangeable(generator, sentence, document, other.document):
        new = generator.choice(others)
        text += sentence[last:start] + new
        changed.append((len(text) - len(new), len(text)))
        last = end
    return Claim(document, text + sentence[last:], INCONSISTENT if changed else CONSISTENT, "copy", tuple(changed))


def _exchangeable(generator: random.Random, sentence: str, document: str, other: str):
    """Where words of the sentence are exchanged, and those of the other text that may stand there."""
    if generator.random() >= CHANGED_SHARE:
        return
    if generator.random() < NAMES_SHARE:
        pool = [own for own in entities(other) if own.text not in document]
        for own in entities(sentence):
            others = [one.text for one in pool if one.kind == own.kind]
            if others and generator.random() < EXCHANGED_NAMES:
                yield own.start, own.end, others
        return
    words = [word for word in WORD.findall(other) if word not in document]
    for match in WORD.finditer(sentence):
        if words and generator.random() < EXCHANGED_WORDS:
            yield *match.span(), words


def true_and_false(generator: random.Random, story: gazette.Story, other: gazette.Story) -> tuple[Claim, Claim]:
    """One sentence as it is and made false; twice as it is, where none of the story's can be made false."""
    own = [sentence for sentence in sentences(story.document) if len(sentence.split()) >= SHORTEST]
    if generator.random() < SUMMARY_SHARE:
        own = sentences(story.summary)
    generator.shuffle(own)
    known = entities(story.document)
    for sentence in own:
        true = Claim(story.document, sentence, CONSISTENT, "true")
        for kind in _order(generator):
            changed = (
                stranger(generator, sentence, other)
                if kind == "stranger"
                else CHANGES[kind](generator, sentence, known)
            )
            if changed and changed[0] != sentence:
                return true, Claim(story.document, changed[0], INCONSISTENT, kind, (changed[1:],))
    return true, true


def _order(generator: random.Random) -> list[str]:
    """The kinds of change in the order in which they are tried."""
    kinds = list(CHANGES)
    generator.shuffle(kinds)
    late = [kind for kind in kinds if kind in SELDOM and generator.random() >= SELDOM_SHARE]
    first = ["stranger"] if generator.random() < STRANGER_SHARE else []
    return first + [kind for kind in kinds if kind not in late] + late


def stranger(generator: random.Random, sentence: str, other: gazette.Story) -> tuple[str, int, int] | None:
    """Exchanges a name, number or date of the sentence for one of another story, of the same kind and as many words."""
    own, pool = entities(sentence), entities(other.document)
    generator.shuffle(own)
    for entity in own:
        words = len(entity.text.split())
        others = sorted(
            {
                one.text
                for one in pool
                if one.kind == entity.kind
                and len(one.text.split()) == words
                and one.text not in entity.text
                and entity.text not in one.text
            }
        )
        if others:
            return replaced(sentence, entity.start, entity.end, generator.choice(others))
    return None
