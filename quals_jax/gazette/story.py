"""One story: its facts, its document, its reference summary, and its questions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from quals_jax.gazette.clauses import Clause, summarise
from quals_jax.gazette.corruptions import Corruption, corrupt
from quals_jax.gazette.kind import PERSON, Kind
from quals_jax.gazette.kinds import DRAWN, all_kinds
from quals_jax.gazette.names import SPLITS, Names
from quals_jax.gazette.template import Template, sentence

SUMMARY_WORDS = (12, 35)
DOCUMENT_WORDS = (80, 160)
SUMMARY_FACTS = (2, 4)
SURNAME_SHARE = 0.5  # of a person's later mentions in a document


@dataclass(frozen=True)
class Fact:
    """One thing that is true in the story: `slot` has `value`. `in_summary`: the reference summary tells it."""

    slot: str
    type: str
    value: str
    in_summary: bool


@dataclass(frozen=True)
class Question:
    """A question about one fact; its answer stands literally in the document and, if `in_summary`, in the summary."""

    question: str
    answer: str
    slot: str
    type: str
    in_summary: bool


@dataclass(frozen=True)
class Story:
    """A story of `kind`. `values` maps slots to values; `clauses` is the reference summary before the values are put in."""

    kind: Kind
    seed: int
    split: str
    index: int
    values: dict[str, str]
    document: str
    clauses: tuple[Clause, ...]

    @property
    def id(self) -> str:
        return f"{self.kind.name}-{self.split}-{self.seed}-{self.index}"

    @cached_property
    def told(self) -> frozenset[str]:
        """The slots that the reference summary tells."""
        return frozenset().union(*(clause.template.slots for clause in self.clauses))

    @cached_property
    def summary(self) -> str:
        """The reference summary: every word of it is true."""
        return summarise(self.kind, self.clauses, self.values)

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        return tuple(
            Fact(slot, self.kind.slots[slot].type, value, slot in self.told) for slot, value in self.values.items()
        )

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """Every wording of every question."""
        questions = []
        for slot, templates in self.kind.parsed["questions"].items():
            for template in templates:
                text = template.render(self.values.__getitem__, self._choice, self.generator("questions"))
                in_summary = slot in self.told and template.slots <= self.told
                questions.append(Question(text, self.values[slot], slot, self.kind.slots[slot].type, in_summary))
        return tuple(questions)

    @cached_property
    def corruptions(self) -> tuple[Corruption, ...]:
        """One false version of the summary for each way to falsify it that its facts allow."""
        return corrupt(self)

    def generator(self, purpose: str) -> random.Random:
        """Randomness of this story's own: the same whenever, and in whatever order, it is asked for."""
        return random.Random(f"{purpose}/{self.seed}/{self.split}/{self.index}")

    def _choice(self, slot: str) -> int:
        return self.kind.slots[slot].choices.index(self.values[slot])


def story(seed: int, split: str, index: int, kinds: tuple[str, ...] | None = None) -> Story:
    """The story number `index` of a seed and split, always the same one, whatever kinds are added.

    Raises:
        ValueError: for an unknown split or kind.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}")
    known = all_kinds()
    for name in kinds or ():
        if name not in known:
            raise ValueError(f"kind is {name!r}; it must be one of {', '.join(known)}")
    generator = random.Random(f"story/{seed}/{split}/{index}")
    kind = known[generator.choice(kinds or DRAWN)]
    while True:
        names = Names(generator, split)
        values = {name: slot.draw(names) for name, slot in kind.slots.items()}
        document = _document(kind, values, generator)
        if DOCUMENT_WORDS[0] <= len(document.split()) <= DOCUMENT_WORDS[1]:
            return Story(kind, seed, split, index, values, document, _summary_clauses(kind, values, generator))


def stories(
    seed: int, split: str = "train", count: int | None = None, kinds: tuple[str, ...] | list[str] | None = None
) -> Iterator[Story]:
    """`count` stories one after the other (without a count: endlessly)."""
    kinds = tuple(kinds) if kinds else None
    index = 0
    while count is None or index < count:
        yield story(seed, split, index, kinds)
        index += 1


def _document(kind: Kind, values: dict[str, str], generator: random.Random) -> str:
    """The lead, then one wording of every group in random order; later mentions of a person may be the surname alone."""
    groups = list(kind.parsed["body"])
    generator.shuffle(groups)
    mentioned: set[str] = set()

    def value(slot: str) -> str:
        if kind.slots[slot].type != PERSON or slot not in mentioned:
            mentioned.add(slot)
            return values[slot]
        return values[slot].split()[-1] if generator.random() < SURNAME_SHARE else values[slot]

    def choice(slot: str) -> int:
        return kind.slots[slot].choices.index(values[slot])

    templates = [generator.choice(kind.parsed["lead"])] + [generator.choice(group) for group in groups]
    return " ".join(sentence(template.render(value, choice, generator)) for template in templates)


def _summary_clauses(kind: Kind, values: dict[str, str], generator: random.Random) -> tuple[Clause, ...]:
    """A random summary of the right length that tells the right number of facts, none twice."""
    while True:
        wanted = generator.randint(*SUMMARY_FACTS)
        main = generator.choice(kind.parsed["mains"])
        told, clauses = set(main.slots), [Clause("", main)]

        def take(templates, told=told):
            free = [t for t in templates if not t.slots & told and len(told | t.slots) <= SUMMARY_FACTS[1]]
            if not free:
                return None
            template = generator.choice(free)
            told |= template.slots
            return template

        if len(told) < wanted and generator.random() < 0.35 and (opener := take(kind.parsed["openers"])):
            clauses = [Clause("", opener), Clause(" ", main)]
        if len(told) < wanted and generator.random() < 0.6 and (closer := take(kind.parsed["closers"])):
            clauses.append(Clause(" ", closer))
        while len(told) < wanted and (second := take(kind.parsed["seconds"])):
            clauses.append(Clause(generator.choice((".", ".", "; ", ", while ", ", and ")), second))
        clauses = [Clause(c.joint, _fixed(c.template, generator)) for c in clauses]
        words = len(summarise(kind, tuple(clauses), values).split())
        if len(told) >= SUMMARY_FACTS[0] and SUMMARY_WORDS[0] <= words <= SUMMARY_WORDS[1]:
            return tuple(clauses)


def _fixed(template: Template, generator: random.Random) -> Template:
    """The template with its random wordings chosen, so that a false summary differs in the false fact alone."""
    parts = []
    for item in template.items:
        if isinstance(item, str):
            parts.append(item)
        elif item[0] == "slot":
            parts.append("{" + item[1] + "}")
        elif item[0] == "any":
            parts.append(generator.choice(item[1]))
        else:
            parts.append(f"[{item[1]}:{'|'.join(item[2])}]")
    return Template("".join(parts))
