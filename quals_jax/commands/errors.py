"""What a user can mend: said in one line, with status 2."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from quals_jax import __version__
from quals_jax.errors import UserError, out_of_memory
from quals_jax.remote import as_url, is_url

__all__ = ["Parser", "UserError", "at_least", "close_standard_output", "fail", "out_of_memory", "standard_output"]


def _lines(prog: str) -> argparse.HelpFormatter:
    """Most flags with their words on one line, so that all of them fit a screen."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=36, width=120)


TEXTS = ("--document", "--summary")  # flags whose values may be empty, or are refused elsewhere


class Parser(argparse.ArgumentParser):
    """Flags, of which a bad one is told in one line and status 2. Abbreviations are refused: a typo must fail.

    Hyphens in a flag's name are underscores. What is empty is refused (such as `--model "$MODEL"` where that is not set), but for texts.
    A negative number may follow its flag however it is written (-1e-3 too).
    """

    def __init__(self, **settings):
        super().__init__(allow_abbrev=False, formatter_class=_lines, **settings)
        self.add_argument("--version", action="version", version=f"quals_jax {__version__}")

    def parse_known_args(self, args=None, namespace=None):
        """As always; a URL for a path is refused: it would become a folder of that name on this disk."""
        options, others = super().parse_known_args(
            self._spelled(sys.argv[1:] if args is None else list(args)), namespace
        )
        for name, value in vars(options).items():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path) and is_url(path):
                    self.error(f"{name} is {as_url(path)}, a URL; only a path on this machine is taken there")
        return options, others

    def parse_args(self, args=None, namespace=None):
        """As always; of an unknown flag the nearest that exists is named."""
        options, others = self.parse_known_args(args, namespace)
        if others:
            near = difflib.get_close_matches(others[0].partition("=")[0], self._option_string_actions, 1)
            self.error(f"unrecognized arguments: {' '.join(others)}" + (f"; did you mean {near[0]}?" if near else ""))
        return options

    def _spelled(self, arguments: list[str]) -> list[str]:
        """The arguments with flags in our spelling, and numbers tied to their flags."""
        spelled: list[str] = []
        for place, argument in enumerate(arguments):
            if argument == "--":
                return spelled + arguments[place:]
            name, equals, value = argument.partition("=")
            ours = f"--{name[2:].replace('-', '_')}"
            if name.startswith("--") and ours in self._option_string_actions:
                argument = ours + equals + value
            flag = argument.partition("=")[0] if argument else spelled[-1] if spelled else ""
            if argument in ("", f"{flag}=") and flag not in TEXTS:
                self.error(f"{flag} is empty" if flag.startswith("--") else "an argument is empty")
            before = self._option_string_actions.get(spelled[-1]) if spelled else None
            if before is not None and before.type in (int, float) and before.nargs is None and _is_number(argument):
                spelled[-1] += f"={argument}"
            else:
                spelled.append(argument)
        return spelled

    def error(self, message: str):
        fail(f"{self.prog}: {message}")


def at_least(least: int) -> Callable[[str], int]:
    """A flag's type: a whole number that is not less."""

    def whole(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    whole.__name__ = "int"  # what argparse says of other texts
    return whole


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


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
