"""What a user can mend: said in one line, with status 2."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from quals_jax.errors import UserError, out_of_memory
from quals_jax.remote import as_url, is_url

__all__ = ["Parser", "UserError", "close_standard_output", "fail", "out_of_memory", "standard_output"]


class Parser(argparse.ArgumentParser):
    """Flags, of which a bad one is told in one line and status 2. Abbreviations are refused: a typo must fail."""

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **settings)

    def parse_known_args(self, *arguments, **named):
        """As always; a URL for a path is refused: it would become a folder of that name on this disk."""
        options, others = super().parse_known_args(*arguments, **named)
        for name, value in vars(options).items():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path) and is_url(path):
                    self.error(f"{name} is {as_url(path)}, a URL; only a path on this machine is taken there")
        return options, others

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
