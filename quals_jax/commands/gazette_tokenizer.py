"""`python -m quals_jax gazette_tokenizer FOLDER`: writes Gazette's tokenizer, a byte-level BPE with BART's special tokens."""

from __future__ import annotations

from pathlib import Path

from quals_jax.commands.errors import Parser
from quals_jax.gazette import all_kinds, names
from quals_jax.gazette.template import Template
from quals_jax.tokenizer import Tokenizer
from quals_jax.tokenizer_training import train_bpe

VOCABULARY = 2560
POSITIONS = 512  # of the embedded models


def corpus() -> list[str]:
    """What the merges are learned from: every wording without its values, and the syllables of the names one by one.

    Joined syllables are left out on purpose: a name of the training split would become one piece and a test name several. Digits stay
    single pieces, with or without a space in front, for the same reason.
    """
    lines = []
    for kind in all_kinds().values():
        questions = tuple(Template(text) for texts in kind.questions.values() for text in texts)
        for template in kind.templates + questions:
            for item in template.items:
                texts = (item,) if isinstance(item, str) else item[-1] if item[0] != "slot" else ()
                for text in texts:
                    lines += [text, *_forms(text.strip())]
        for slot in kind.slots.values():
            lines += [form for phrase in slot.choices for form in _forms(phrase)]
    heads = names.GIVEN_HEADS + names.FAMILY_HEADS + names.PLACE_HEADS + names.ORGANISATION_HEADS
    tails = names.GIVEN_TAILS + names.FAMILY_TAILS + names.PLACE_TAILS + names.ORGANISATION_TAILS
    heads = [*heads, *names.MONTHS]
    # Often enough that every syllable becomes one piece before the vocabulary is full.
    syllables = heads + [" " + head for head in heads] + tails + [f" {digit}" for digit in range(10)]
    return lines + syllables * 50 + [" million crowns"] * 50


def _forms(text: str) -> tuple[str, ...]:
    """How a wording stands at the start of a text, inside one, and at the start of a sentence."""
    capital = text[:1].upper() + text[1:]
    return capital, " " + text, " " + capital


def build(vocabulary: int = VOCABULARY) -> Tokenizer:
    """The tokenizer; the connector is its last entry, and no text is ever cut into it."""
    return train_bpe(corpus(), vocabulary, positions=POSITIONS)


def save(folder: Path) -> int:
    """Writes the tokenizer's files; the number of its entries, of which the last is the connector."""
    tokenizer = build()
    tokenizer.save(folder)
    return tokenizer.size


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax gazette_tokenizer", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write it")
    folder = parser.parse_args(arguments).folder
    print(f"{save(folder)} entries in {folder}")
    return 0
