"""What is wrong with a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SHOWN = 3  # problems named in the message; `problems` has all
LONGEST = 200  # characters of one problem, which may quote a damaged file
PLAIN = (str, int, float, bool, type(None))


class CheckpointError(ValueError):
    """A checkpoint that cannot be used. `problems` lists everything found wrong, the message the first three and the count."""

    def __init__(self, message: str, problems: list[str] | None = None):
        self._made_of = (message, problems)
        self.problems = list(problems) if problems else [message]
        if problems:
            message += f" ({len(problems)} problem{'s' * (len(problems) > 1)}): "
            message += "; ".join(problem[:LONGEST] for problem in problems[:SHOWN])
            message += f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        # One line, whatever a damaged file has for names.
        super().__init__("".join(character if character.isprintable() else " " for character in message))

    def of(self, path: str | Path) -> CheckpointError:
        """The same error, with the file or folder named."""
        message, problems = self._made_of
        return self if message.startswith(str(path)) else CheckpointError(f"{path}: {message}", problems)


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Turns whatever goes wrong while a file or folder is read into one `CheckpointError` that names it.

    A damaged or hostile file can make a reader fail in ways that nobody foresaw; the original is kept as the cause.
    """
    try:
        yield
    except CheckpointError as error:
        named = error.of(path)
        if named is error:
            raise
        raise named from None
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from None
    except Exception as error:
        reason = (str(error) or type(error).__name__)[:LONGEST]
        raise CheckpointError(f"{path}: is truncated, damaged or no checkpoint ({reason})") from error


def shown(value) -> str:
    """A value as a message quotes it: short, and only its kind if it is neither number nor text (a list may hold itself)."""
    if type(value) not in PLAIN:
        return f"a {type(value).__name__}"
    text = repr(value[:LONGEST] if isinstance(value, str) else value)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
