"""`python -m quals_jax NAME ...`: runs a command; without a name, lists them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator

INTERRUPTED = 128 + signal.SIGINT


def run(arguments: list[str] | None = None) -> int:
    """Runs the command that the arguments (those of the process) name; the exit status."""
    with _interrupted_at_once():  # while modules are imported; `as_process` does better
        return _run(arguments)


@contextlib.contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Ctrl-C ends the process without a traceback, if nobody has arranged anything else."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_) -> None:
        os.write(2, b"interrupted\n")
        os._exit(INTERRUPTED)

    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _run(arguments: list[str] | None) -> int:
    from quals_jax import __version__
    from quals_jax.commands import COMMANDS
    from quals_jax.commands.errors import fail
    from quals_jax.commands.manners import as_process, open_streams

    arguments = sys.argv[1:] if arguments is None else arguments
    name, arguments = (arguments[0].replace("-", "_"), arguments[1:]) if arguments else ("__help", [])
    there = {known: text for known, text in COMMANDS.items() if importlib.util.find_spec(f"quals_jax.commands.{known}")}
    if name in ("_h", "__help", "__version"):
        open_streams()
        if name == "__version":
            print(f"quals_jax {__version__}")
            return 0
        print("usage: python -m quals_jax COMMAND ...  (or quals-jax COMMAND ...)\n")
        print("\n".join(f"  {known:18} {text}" for known, text in there.items()))
        print("\nEvery command has --help.")
        return 0
    if name not in there:
        import difflib

        close = difflib.get_close_matches(name, there, 1)
        fail(
            f"quals_jax: there is no command {name!r}"
            + (f"; did you mean {close[0]}?" if close else "; run it without a name for the list")
        )
    warnings.formatwarning = lambda message, *_, **__: f"note: {message}\n"  # where it was said is nothing to a user
    main = importlib.import_module(f"quals_jax.commands.{name}").main
    return as_process(main, arguments, name=name, goes_on=_goes_on(name, arguments))


def _goes_on(name: str, arguments: list[str]) -> bool:
    """Whether the same command takes its work up where it was interrupted."""
    given = {argument.partition("=")[0] for argument in arguments}
    return name in ("train", "evaluate") or (
        name in ("score", "rerank", "prefer", "correct") and "--output" in given and "-" not in arguments
    )


if __name__ == "__main__":
    sys.exit(run())
