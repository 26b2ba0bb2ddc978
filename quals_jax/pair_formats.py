"""How a model writes a question and its answer: the formats as data, and a format with a tokenizer, which writes and splits pairs.

`connector` is the reference's (BART); `sep` that of MQAG (github.com/potsawee/selfcheckgpt); `qag` that of the lmqg models
(github.com/asahi417/lm-question-generation), which write several pairs in a row: QUALS takes the first, and a pair ends where the next
would begin.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from quals_jax.decoding.rules import Rules
from quals_jax.pairs import split_pair


@dataclass(frozen=True)
class PairFormat:
    """opening: what stands before the question; decoding is forced to begin with it. separator: what stands between question and
    answer (None: the token that the tokenizer has for it). ends: a character whose pieces end a pair as the end of sentence does.
    stripped: whether spaces at both sides of question and answer are dropped. special: whether special tokens show in texts.
    free: whether the pieces of opening and separator go without the search's penalty of diversity. source: what is put before a text,
    where the model says nothing else.
    """

    name: str
    opening: str = ""
    separator: str | None = None
    ends: str = ""
    stripped: bool = True
    special: bool = False
    free: bool = False
    source: str = ""


FORMATS = {
    "connector": PairFormat("connector", stripped=False),
    "sep": PairFormat("sep", special=True),
    "qag": PairFormat(
        "qag", opening="question:", separator=", answer:", ends="|", free=True, source="generate question and answer: "
    ),
}
# Public models whose files do not say what they write.
KNOWN = (
    (re.compile(r"potsawee/t5-(small|base|large)-generation-(squad|race)-QuestionAnswer"), "sep"),
    (re.compile(r"(lmqg|vocabtrimmer|asahi417)/(flan-)?m?t5-[\w.-]*-qag[\w.-]*"), "qag"),
)


def known_format(*names: str) -> str | None:
    """The format of a public model, by its hub id or a folder's name that ends like it; None for any other."""
    for pattern, found in KNOWN:
        for name in names:
            owner, _, last = str(name).replace("--", "/").rstrip("/").rpartition("/")
            owners = [owner.rsplit("/", 1)[-1]] if owner else []
            if any(pattern.fullmatch(f"{own}/{last}") for own in (*owners, "lmqg", "potsawee")):
                return found
    return None


def source_prefix(format: PairFormat, config: dict) -> str:
    """What is put before every text: as the model's `config.json` says (`add_prefix`), and where it does not, T5 has the format's and
    mT5 none."""
    if not format.source:
        return ""
    add = config.get("add_prefix")
    return format.source if (add if isinstance(add, bool) else config.get("model_type") == "t5") else ""


class PairCodec:
    """A format with a tokenizer: pairs to ids and back.

    Raises:
        ValueError: if the tokenizer cannot write the format.
    """

    def __init__(self, format: PairFormat, tokenizer, *, eos_id: int):
        self.format, self.tokenizer, self.eos_id = format, tokenizer, eos_id
        where = f"{tokenizer.folder}: " if tokenizer.folder else ""
        if format.name == "connector":
            if tokenizer.connector_id is None:
                raise ValueError(f"{where}the pair format connector is of BART; this tokenizer has no connector")
        elif format.separator is None and getattr(tokenizer, "sep_id", None) is None:
            raise ValueError(f"{where}the pair format {format.name} needs a sep_token, and the tokenizer has none")

    @cached_property
    def rules(self) -> Rules:
        """What the format demands of decoding."""
        format = self.format
        if format.separator is None:
            return Rules(separator=((self.separator_id,),))
        opening = self.tokenizer.encode_pieces([format.opening])[0]
        free = {*opening, *self._separator()} if format.free else ()
        ends = self.tokenizer.ids_with(format.ends) if format.ends else ()
        return Rules(tuple(opening), tuple(sorted({*ends} - {self.eos_id})), tuple(sorted(free)), self._spelled())

    @property
    def separator_id(self) -> int | None:
        """The token between question and answer, where that is one."""
        if self.format.name == "connector":
            return self.tokenizer.connector_id
        return self.tokenizer.sep_id if self.format.separator is None else None

    def encode(self, question: str, answer: str) -> list[int]:
        """The target ids of a pair, the end of sentence last."""
        format, pieces = self.format, self.tokenizer.encode_pieces
        if format.separator is None:
            question_ids, answer_ids = pieces([question, answer])
            return [*question_ids, self.separator_id, *answer_ids, self.eos_id]
        return [*pieces([f"{format.opening} {question.strip()}{format.separator} {answer.strip()}"])[0], self.eos_id]

    def split(self, ids: Sequence[int]) -> tuple[str, str | None]:
        """Question and answer of what was decoded; the whole text and None where the format is not kept."""
        format, decode = self.format, self._decode
        if format.name == "connector":
            return split_pair(decode(ids), self.tokenizer.connector)
        if format.separator is None:
            ids = list(ids)
            if ids.count(self.separator_id) != 1:
                return decode(ids), None
            place = ids.index(self.separator_id)
            return decode(ids[:place]).strip(), decode(ids[place + 1 :]).strip()
        text = decode(ids)
        question, answer = split_pair(text, format.separator)
        if answer is None or text.count(format.opening) != 1 or not question.lstrip().startswith(format.opening):
            return text, None
        return question.lstrip().removeprefix(format.opening).strip(), answer.strip()

    def prompt(self, ids: Sequence[int]) -> list[int]:
        """The ids of a pair up to its answer: what asks its question.

        Raises:
            ValueError: if the format is not kept, so that there is no answer.
        """
        ids = list(ids)
        if self.separator_id in ids:
            return ids[: ids.index(self.separator_id) + 1]
        # A separator of text may be spelled in pieces, and with others than it would be by itself.
        wanted = self.tokenizer.connector if self.format.name == "connector" else self.format.separator
        for length in range(1, len(ids) + 1) if wanted else ():
            if wanted in self._decode(ids[:length]):
                return ids[:length]
        raise ValueError(f"{self._decode(ids)!r} has no answer in the pair format {self.format.name}")

    def answer(self, ids: Sequence[int]) -> str:
        """The text of what was decoded behind a prompt, the end among it."""
        text = self._decode([id for id in ids if id != self.eos_id and id not in self.rules.ends])
        return text.strip() if self.format.stripped else text

    def as_read(self, summary: str) -> str:
        """A summary as answers are looked for in it: as it is, or where pairs are stripped as the tokenizer reads and writes it
        (SentencePiece folds characters and spaces, in answers as in texts)."""
        return self._decode(self.tokenizer.encode_pieces([summary])[0]) if self.format.stripped else summary

    def _separator(self) -> list[int]:
        """The pieces of the separator as they stand between two words."""
        format = self.format
        head, tail, whole = self.tokenizer.encode_pieces(
            [f"{format.opening} a", " a", f"{format.opening} a{format.separator} a"]
        )
        return whole[len(head) : len(whole) - len(tail)]

    def _spelled(self) -> tuple[tuple[int, ...], ...]:
        """The separator piece by piece. Its first character may be the last of a piece that begins before it ("?,")."""
        first = self.format.separator[0]
        (whole, tail), holding = (
            self.tokenizer.encode_pieces([f"a{self.format.separator} a", " a"]),
            self.tokenizer.ids_with(first),
        )
        place = next(place for place, id in enumerate(whole) if id in holding)
        others = whole[place + 1 : len(whole) - len(tail)]
        return (tuple(self.tokenizer.ids_with(first, last=True)), *((id,) for id in others))

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, special=True) if self.format.special else self.tokenizer.decode(ids)
