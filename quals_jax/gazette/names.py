"""Names, numbers and dates that never cross from one split into another.

A name is two syllables, and whether a pair of syllables belongs to training, validation or test is decided by arithmetic
on their indices. So every syllable is seen in training, and no test name is: new, but not strange. Whole numbers
are shared out the same way, by a fixed hash.
"""

from __future__ import annotations

import random

SPLITS = ("train", "validation", "test")

GIVEN_HEADS = [
    "Mar",
    "Dor",
    "Len",
    "Tam",
    "Kel",
    "Bri",
    "Jor",
    "Sel",
    "Nor",
    "Vic",
    "Hal",
    "Ros",
    "Fen",
    "Gar",
    "Lin",
    "Pet",
    "Cor",
    "Wil",
    "Dan",
    "Ber",
    "Sil",
    "Tor",
    "Ede",
    "Ari",
    "Cas",
    "Nel",
    "Rob",
    "Mir",
    "Lud",
    "Hen",
]
GIVEN_TAILS = [
    "ta",
    "la",
    "rik",
    "na",
    "vin",
    "dy",
    "son",
    "ka",
    "mo",
    "lie",
    "ne",
    "len",
    "ric",
    "by",
    "ton",
    "ra",
    "do",
    "ma",
    "lin",
    "sa",
    "vy",
    "nie",
    "bert",
    "ko",
    "nan",
    "las",
    "dra",
    "fa",
    "gar",
    "no",
]
FAMILY_HEADS = [
    "Tol",
    "Bren",
    "Kar",
    "Vand",
    "Mol",
    "Grim",
    "Hask",
    "Pell",
    "Stav",
    "Dorn",
    "Wex",
    "Quil",
    "Farr",
    "Lund",
    "Cresh",
    "Bald",
    "Norr",
    "Zell",
    "Hob",
    "Trask",
    "Yar",
    "Cald",
    "Rusk",
    "Ven",
    "Osk",
    "Pim",
    "Thorn",
    "Galv",
    "Dask",
    "Birk",
    "Malt",
    "Sorr",
    "Keld",
    "Wint",
    "Holt",
    "Jask",
    "Lorr",
    "Frost",
    "Und",
    "Prat",
]
FAMILY_TAILS = [
    "vik",
    "dane",
    "mor",
    "well",
    "sen",
    "berg",
    "ham",
    "ley",
    "kov",
    "ridge",
    "by",
    "sted",
    "more",
    "field",
    "bach",
    "gate",
    "low",
    "man",
    "sby",
    "mont",
    "croft",
    "lund",
    "wick",
    "tree",
    "ford",
    "quist",
    "worth",
    "ton",
    "dahl",
    "shaw",
    "nik",
    "ster",
]
PLACE_HEADS = [
    "Vel",
    "Har",
    "Ost",
    "Brin",
    "Lak",
    "Cam",
    "Dun",
    "Ell",
    "Fal",
    "Gren",
    "Iver",
    "Kes",
    "Lor",
    "Mal",
    "Nev",
    "Orm",
    "Pol",
    "Ran",
    "Sten",
    "Tar",
    "Ulm",
    "Wen",
    "Yel",
    "Zan",
    "Ash",
    "Bor",
    "Cul",
    "Dray",
]
PLACE_TAILS = [
    "mora",
    "burg",
    "haven",
    "mouth",
    "bridge",
    "ville",
    "port",
    "stead",
    "wold",
    "minster",
    "bay",
    "dale",
    "pool",
    "cester",
    "holm",
    "chester",
    "vale",
    "grad",
    "mere",
    "point",
    "down",
    "fjord",
    "bury",
    "isle",
    "wood",
]
ORGANISATION_HEADS = [
    "Nova",
    "Tri",
    "Zeph",
    "Omni",
    "Alt",
    "Vex",
    "Cryo",
    "Dyna",
    "Helio",
    "Luma",
    "Meri",
    "Nexa",
    "Orbi",
    "Pyra",
    "Quanta",
    "Sola",
    "Terra",
    "Vira",
    "Xeno",
    "Zeta",
    "Axi",
    "Boro",
    "Cera",
    "Delta",
    "Ferra",
    "Gala",
]
ORGANISATION_TAILS = [
    "dex",
    "tek",
    "corp",
    "mark",
    "line",
    "gen",
    "star",
    "core",
    "path",
    "form",
    "max",
    "net",
    "rin",
    "lux",
    "wave",
    "plan",
    "don",
    "tron",
    "cast",
    "vest",
    "lan",
    "por",
]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def split_of_index(index: int) -> str:
    """The split that owns a non-negative integer: of ten numbers in a row six are training's, two each of the others';
    which ones moves from ten to ten, so that no last digit belongs to one split."""
    remainder = (7 * index + 3 * (index // 10) + index // 100) % 10
    return SPLITS[0] if remainder < 6 else SPLITS[1] if remainder < 8 else SPLITS[2]


class Names:
    """Fresh names and numbers of one split. Within one story no two names share a syllable in the same position,
    so that what must be matched are facts and not spellings."""

    def __init__(self, generator: random.Random, split: str):
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; it must be one of {', '.join(SPLITS)}")
        self.generator = generator
        self.split = split
        self._taken: set = set()

    def _name(self, heads, tails) -> str:
        while True:
            head, tail = self.generator.randrange(len(heads)), self.generator.randrange(len(tails))
            if split_of_index(head * 101 + tail * 7) != self.split:
                continue
            # Two names that begin alike would be told apart by their second syllable only.
            if (heads, head) in self._taken or (tails, tail) in self._taken:
                continue
            self._taken |= {(heads, head), (tails, tail)}
            return heads[head] + tails[tail]

    def person(self) -> str:
        """A given and a family name: "Marlen Tolvik"."""
        return f"{self._name(_GIVEN_HEADS, _GIVEN_TAILS)} {self._name(_FAMILY_HEADS, _FAMILY_TAILS)}"

    def place(self) -> str:
        """A town: "Velmora"."""
        return self._name(_PLACE_HEADS, _PLACE_TAILS)

    def organisation(self, nouns: tuple[str, ...]) -> str:
        """A proper name and one of the nouns: "Novadex Group"."""
        return f"{self._name(_ORGANISATION_HEADS, _ORGANISATION_TAILS)} {self.generator.choice(nouns)}"

    def number(self, low: int, high: int) -> int:
        """A whole number from low to high of this split; one that the story holds already only if no other is left."""
        for attempt in range(1000):
            number = self.generator.randint(low, high)
            if split_of_index(number) == self.split and (number not in self._taken or attempt > 100):
                self._taken.add(number)
                return number
        raise ValueError(f"the range {low} to {high} holds no number of the split {self.split}: make it wider")

    def date(self) -> str:
        """A day and a month: "14 March". The day obeys the split, as every number does."""
        return f"{self.number(1, 28)} {self.generator.choice(MONTHS)}"


# Tuples, so that they can stand in a set beside an index.
_GIVEN_HEADS, _GIVEN_TAILS = tuple(GIVEN_HEADS), tuple(GIVEN_TAILS)
_FAMILY_HEADS, _FAMILY_TAILS = tuple(FAMILY_HEADS), tuple(FAMILY_TAILS)
_PLACE_HEADS, _PLACE_TAILS = tuple(PLACE_HEADS), tuple(PLACE_TAILS)
_ORGANISATION_HEADS, _ORGANISATION_TAILS = tuple(ORGANISATION_HEADS), tuple(ORGANISATION_TAILS)
