"""What a user can mend: said in one line, with status 2."""

from __future__ import annotations

import argparse
import sys


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
    print(" ".join(str(message).split()), file=sys.stderr)
    raise SystemExit(2)
