"""A kind of story, as data: the facts it can have and the wordings that tell them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from quals_jax.gazette.names import Names
from quals_jax.gazette.template import Template

PERSON, PLACE, ORGANISATION, SUM, NUMBER, DATE, CHOICE = (
    "person",
    "place",
    "organisation",
    "sum",
    "number",
    "date",
    "choice",
)


@dataclass(frozen=True)
class Slot:
    """What one fact is about. Slots of the same `sort` can stand for one another in a false summary.

    type: one of the constants above; a fact's type, as the evaluation groups it.
    choices: the phrases of a CHOICE (of about one length), or the nouns of an ORGANISATION.
    low, high: the range of a SUM (millions of crowns) or a NUMBER.
    reverses: for a CHOICE: its phrases exclude one another, so that another one is a reversed outcome.
    """

    type: str
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0
    reverses: bool = False

    @property
    def sort(self) -> tuple:
        return (self.type, self.choices, self.low, self.high)

    def draw(self, names: Names) -> str:
        """A fresh value, as it stands in every text."""
        if self.type == PERSON:
            return names.person()
        if self.type == PLACE:
            return names.place()
        if self.type == ORGANISATION:
            return names.organisation(self.choices)
        if self.type == SUM:
            return f"{names.number(self.low, self.high)} million crowns"
        if self.type == NUMBER:
            return str(names.number(self.low, self.high))
        if self.type == DATE:
            return names.date()
        return names.generator.choice(self.choices)


def person() -> Slot:
    return Slot(PERSON)


def place() -> Slot:
    return Slot(PLACE)


def organisation(*nouns: str) -> Slot:
    return Slot(ORGANISATION, choices=nouns)


def money(low: int = 12, high: int = 980) -> Slot:
    return Slot(SUM, low=low, high=high)


def number(low: int, high: int) -> Slot:
    return Slot(NUMBER, low=low, high=high)


def date() -> Slot:
    return Slot(DATE)


def choice(*phrases: str) -> Slot:
    return Slot(CHOICE, choices=phrases)


def outcome(*phrases: str) -> Slot:
    return Slot(CHOICE, choices=phrases, reverses=True)


def _templates(texts) -> tuple[Template, ...]:
    return tuple(Template(text) for text in texts)


@dataclass(frozen=True)
class Kind:
    """One kind of story. All wordings use the markup of `template.py`.

    slots: the facts, by name; a slot's meaning is fixed ("age" is the winner's age).
    lead: openings of the document; each names the main people in full with their roles.
    body: groups of wordings; a document uses one wording of every group, the groups in random order. The wordings of one
        group state the same slots (else the group's slots are those that all of its wordings share).
    openers, mains, closers, seconds: the summary's grammar. A summary is a main clause, perhaps with an opener in front
        ("on {date},") and closers behind ("in {city}"), and perhaps a second clause. No slot is told twice.
    questions: for every slot, wordings of the question that its value answers.
    short_questions: more of them, for slots whose other pairs are long. A search ends when so many hypotheses have ended,
        so the shortest pairs crowd out the longest: every slot needs one that is about as short as the others' are. They
        came after the tokenizer, and use its words alone.
    speakers: person slots to which a statement or quotation is attributed.
    """

    name: str
    slots: dict[str, Slot]
    lead: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    mains: tuple[str, ...]
    seconds: tuple[str, ...]
    questions: dict[str, tuple[str, ...]]
    short_questions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    openers: tuple[str, ...] = ()
    closers: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    parsed: dict = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self):
        self.parsed.update(
            lead=_templates(self.lead),
            body=tuple(_templates(group) for group in self.body),
            mains=_templates(self.mains),
            seconds=_templates(self.seconds),
            openers=_templates(self.openers),
            closers=_templates(self.closers),
            questions={
                slot: _templates((*texts, *self.short_questions.get(slot, ())))
                for slot, texts in self.questions.items()
            },
        )
        self._check()

    def _check(self) -> None:
        problems = []
        for template in self.templates + self.question_templates:
            for item in template.items:
                if isinstance(item, str) or item[0] == "any":
                    if set("{}[]|") & set(item if isinstance(item, str) else "".join(item[1])):
                        problems.append(f"unbalanced brackets in {template.text!r}")
                elif item[1] not in self.slots:
                    problems.append(f"unknown slot {item[1]!r} in {template.text!r}")
                elif item[0] == "by" and len(item[2]) != len(self.slots[item[1]].choices):
                    problems.append(
                        f"{item[1]!r} has {len(self.slots[item[1]].choices)} values, not {len(item[2])}: {template.text!r}"
                    )
        stated = set().union(*(template.slots for template in self.parsed["lead"]))
        for group in self.parsed["body"]:
            stated |= frozenset.intersection(*(template.slots for template in group))
        problems += [
            f"no group of the body states {slot!r} in all its wordings" for slot in self.slots if slot not in stated
        ]
        problems += [f"no question for {slot!r}" for slot in self.slots if slot not in self.questions]
        problems += [
            f"short questions for {slot!r} alone" for slot in self.short_questions if slot not in self.questions
        ]
        problems += [f"speaker {slot!r} is no person slot" for slot in self.speakers if self.slots[slot].type != PERSON]
        if problems:
            raise ValueError(f"kind {self.name!r}: " + "; ".join(problems))

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """Every wording of a statement."""
        body = tuple(template for group in self.parsed["body"] for template in group)
        return self.parsed["lead"] + body + self.summary_templates

    @cached_property
    def summary_templates(self) -> tuple[Template, ...]:
        return self.parsed["openers"] + self.parsed["mains"] + self.parsed["closers"] + self.parsed["seconds"]

    @cached_property
    def question_templates(self) -> tuple[Template, ...]:
        return tuple(template for templates in self.parsed["questions"].values() for template in templates)
