"""`python -m quals_jax NAME ...`: runs a command; without a name, lists them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings

from quals_jax.commands import COMMANDS
from quals_jax.commands.errors import UserError, fail


def run() -> int:
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    there = {known: text for known, text in COMMANDS.items() if importlib.util.find_spec(f"quals_jax.commands.{known}")}
    if name in ("-h", "--help"):
        print("usage: python -m quals_jax COMMAND ...\n")
        print("\n".join(f"  {known:18} {text}" for known, text in there.items()))
        return 0
    if name not in there:
        import difflib

        close = difflib.get_close_matches(name, there, 1)
        fail(
            f"quals_jax: there is no command {name!r}"
            + (f"; did you mean {close[0]}?" if close else "; run it without a name for the list")
        )
    warnings.formatwarning = lambda message, *_, **__: f"note: {message}\n"  # where it was said is nothing to a user
    try:
        return importlib.import_module(f"quals_jax.commands.{name}").main(arguments) or 0
    except UserError as error:
        fail(error)


if __name__ == "__main__":
    sys.exit(run())
