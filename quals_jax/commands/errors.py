"""What a user can mend: said in one line, with status 2."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator

from quals_jax.errors import UserError, out_of_memory

__all__ = ["Parser", "UserError", "close_standard_output", "fail", "out_of_memory", "standard_output"]


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
