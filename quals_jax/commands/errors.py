"""What a user can mend: said in one line, with status 2."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator


class UserError(Exception):
    """A mistake of the user's, or of what the user was given; the message is one line that names the place and the cure."""


class Parser(argparse.ArgumentParser):
    """Flags, of which a bad one is told in one line and status 2. Abbreviations are refused: a typo must fail."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def error(self, message: str):
        fail(f"{self.prog}: {message}")


def fail(message: str):
    """Says the message in one line on standard error and ends with status 2."""
    with contextlib.suppress(OSError):
        print(" ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(2)


def out_of_memory(error: Exception) -> bool:
    """Whether a device or the host had no room for what was asked (JAX has no class of its own for it)."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


@contextlib.contextmanager
def standard_output() -> Iterator[None]:
    """What is printed inside has left this process at the end.

    Raises:
        UserError: if standard output cannot be written, such as on a full disk.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        close_standard_output()
        raise UserError(f"standard output: cannot be written ({error.strerror or error})") from None


def close_standard_output() -> None:
    """Sends what is still to be printed nowhere: Python would try again at its end, and complain."""
    with contextlib.suppress(OSError, ValueError):  # a stream in memory has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
