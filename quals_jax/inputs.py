"""What is passed as texts, checked: a wrong type that is scored as if it were a text gives a number, and a false one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

PAIR = ("document", "summary")


def check_texts(name: str, texts: Iterable[str], *, empty: bool = True, unicode: bool = True) -> list[str]:
    """The texts as a list: of a list, a tuple, an array or a pandas Series, in the order in which they stand (labels are not looked at).

    Args:
        name: of the list, for messages. empty: whether a text may be empty or blank. unicode: whether to look for lone surrogates.

    Raises:
        TypeError: for what is no list of texts, naming the list, the row and the type.
        ValueError: for an empty text where none may be, and for a lone surrogate, which is no character.
    """
    listed = _listed(name, texts, "texts")
    for row, text in enumerate(listed):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{row}] is {_kind(text)}; it must be a text")
        if not empty and not text.strip():
            raise ValueError(f"{name}[{row}] is empty")
        if unicode and not is_unicode(text):
            raise ValueError(f"{name}[{row}] holds a lone surrogate, which is no character")
    return listed


def check_lists_of_texts(name: str, lists: Iterable[Sequence[str]], *, or_text: bool = False) -> list[list[str]]:
    """Several texts for every row, as lists; with `or_text` a row may be one text.

    Raises:
        TypeError, ValueError: as `check_texts`, also for one text in the place of a list of them.
    """
    return [
        check_texts(f"{name}[{row}]", [own] if or_text and isinstance(own, str) else own)
        for row, own in enumerate(_listed(name, lists, "lists of texts"))
    ]


def check_pairs(pairs: Iterable[tuple[str, str] | Mapping]) -> Iterator[tuple[str, str]]:
    """(document, summary) of every row, which may be a pair or a mapping with these two; rows are read one after the other.

    Raises:
        TypeError: for a row that is neither, naming row and type.
        ValueError: for a row without document or summary, and an empty document.
    """
    if isinstance(pairs, str | bytes | Mapping) or getattr(pairs, "ndim", 2) not in (1, 2) or hasattr(pairs, "columns"):
        raise TypeError(
            f"pairs is {_kind(pairs)}; it must give (document, summary) pairs, or rows with these two fields"
        )
    if not isinstance(pairs, Iterable):
        raise TypeError(f"pairs is {_kind(pairs)}; it must be an iterator of (document, summary)")
    for row, pair in enumerate(pairs):
        if isinstance(pair, Mapping):
            missing = next((name for name in PAIR if name not in pair), None)
            if missing:
                raise ValueError(f"row {row} has no {missing!r}; it has {', '.join(map(repr, pair)) or 'nothing'}")
            pair = tuple(pair[name] for name in PAIR)
        if getattr(pair, "ndim", None) == 1:  # a row of an array
            pair = tuple(pair)
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != len(PAIR):
            raise TypeError(f"row {row} is {_kind(pair)}; it must be (document, summary), or a mapping with these two")
        for name, text in zip(PAIR, pair, strict=True):
            if not isinstance(text, str):
                raise TypeError(f"row {row}: {name} is {_kind(text)}; it must be a text")
        if not pair[0].strip():
            raise ValueError(f"row {row}: document is empty")
        yield pair[0], pair[1]


def _listed(name: str, values: Iterable, wanted: str) -> list:
    if isinstance(values, str):
        raise TypeError(f"{name} must be a list of {wanted}, not one text")
    # A table gives its columns' names when it is gone through, a mapping its keys, a set any order.
    if isinstance(values, bytes | Mapping | Set) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) != 1:
        raise TypeError(f"{name} must be a list of {wanted}, not {_kind(values)}")
    return list(values)


def is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8: a lone surrogate cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    """A value as a message speaks of it: by its type, and its value where that is short."""
    if value is None:
        return "None"
    kind = type(value).__name__
    article = "an" if kind[0].lower() in "aeiou" else "a"
    if isinstance(value, int | float | tuple) and len(repr(value)) <= 40:
        return f"{article} {kind}, {value!r}"
    return f"{article} {kind}"
