"""How every command ends: what a user can mend is one line and status 2, Ctrl-C ends at once, a closed pipe is no error."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable

from quals_jax.commands.errors import UserError, close_standard_output, fail, out_of_memory
from quals_jax.errors import TRY_AGAIN
from quals_jax.remote import RemoteError

INTERRUPTED = 128 + signal.SIGINT
GRACE_SECONDS = 1.0  # for an orderly end after Ctrl-C
GOES_ON = "; the same command goes on from there"
# Packages that scoring does without, and the extra of this package that brings each.
EXTRAS = {
    "absl": "train", "datasets": "data", "fsspec": "cloud", "gcsfs": "cloud", "grain": "train", "krippendorff": "study",
    "matplotlib": "train", "ml_collections": "train", "optax": "train", "orbax": "train", "pyarrow": "data", "ray": "ray",
    "rouge_score": "train", "spacy": "qags", "tensorflow": "train", "tensorflow_datasets": "train", "torch": "torch",
}  # fmt: skip
# What JAX says of a platform (JAX_PLATFORMS) that is not there.
NO_PLATFORM = re.compile(r"Unable to initialize backend|[Uu]nknown backend|no platforms that are instances of")
FINDS_PLATFORMS = "jax._src.xla_bridge"  # of one that it has no plugin for, it asserts that there is one


def politely(
    command: Callable[[list[str] | None], int | None],
    arguments: list[str] | None,
    *,
    name: str,
    no_room: str = "memory does not hold so much at once; take a smaller --batch_size",
    goes_on: bool = False,
) -> int:
    """Runs a command; its exit status. `name` is what messages begin with, where they name no file. `no_room`: what is said where
    memory does not suffice. `goes_on`: that the same command takes up the work where it was interrupted.

    Raises:
        SystemExit: with status 2, after one line on standard error, for what the user can mend.
    """
    open_streams()
    try:
        return command(arguments) or 0
    except (UserError, RemoteError) as error:
        fail(error)
    except KeyboardInterrupt:
        print("interrupted" + (GOES_ON if goes_on else ""), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        close_standard_output()
        return 0
    except OSError as error:
        fail(f"{error.filename or name}: {error.strerror or error}")
    except (AssertionError, ImportError, MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            fail(no_room)
        if line := about_the_machine(error):
            fail(f"{name}: {line}")
        if line := _about_peers(error):
            print(f"{name}: {line}", file=sys.stderr)
            return TRY_AGAIN
        raise


def _about_peers(error: Exception) -> str | None:
    if "jax" not in sys.modules:
        return None
    from quals_jax import parallel

    return parallel.about_peers(error)


def about_the_machine(error: Exception) -> str | None:
    """One line with the cure, if the error comes of a package or a platform that is not there; None for other errors."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package in EXTRAS:
        extra = EXTRAS[package]
        return f"needs the package {package}, which the extra {extra!r} has: pip install 'quals-jax[{extra}]'"
    unfounded = isinstance(error, AssertionError) and _raised_in(error) == FINDS_PLATFORMS
    if unfounded or (isinstance(error, RuntimeError) and NO_PLATFORM.search(str(error))):
        wanted, told = os.environ.get("JAX_PLATFORMS", ""), " ".join(str(error).split())[:200]
        cure = "unset it, or name one that is there, such as cpu"
        return f"JAX_PLATFORMS is {wanted!r}: {told or 'JAX finds no such devices'}; {cure}"
    return None


def _raised_in(error: Exception) -> str:
    """The module that raised an error, or nothing."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return place.tb_frame.f_globals.get("__name__", "") if place else ""


def open_streams() -> None:
    """Both are UTF-8, whatever the locale; and there, even where whoever started us has closed them."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - as long as the process
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(encoding="utf-8", errors="backslashreplace")


def as_process(command: Callable, arguments: list[str], *, name: str, goes_on: bool = False) -> int:
    """`politely`, where the command is all that this process does: interrupted, it ends at once."""
    armed = end_soon_after_interrupt(goes_on=goes_on)
    try:
        status = politely(command, arguments, name=name, goes_on=goes_on)
    except SystemExit as end:
        if not end.code or not _has_peers():
            raise
        status = end.code
    # An orderly end would wait for what the device is doing, and for the other processes while they wait for this one.
    if (armed and status == INTERRUPTED) or (status and _has_peers()):
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    return status


def _has_peers() -> bool:
    """Whether this is one of several processes."""
    if "jax" not in sys.modules:
        return False
    import jax

    return jax.distributed.is_initialized()


def _swallowed(error) -> None:
    """Says what could not be raised, such as in a callback; but nothing of Ctrl-C: a thread ends the process."""
    if not issubclass(error.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(error)


def end_soon_after_interrupt(*, goes_on: bool = False, grace: float = GRACE_SECONDS) -> bool:
    """Has Ctrl-C end this process with status 130 soon, whatever it is doing; whether that could be arranged.

    Python raises KeyboardInterrupt between two instructions of its own: not while the device computes or XLA compiles, which can take
    a minute, and inside one of XLA's callbacks it is swallowed. So a thread waits for the signal too, and ends the process if it is
    still there after `grace` seconds. All that is written is written so that a kill costs nothing.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) in (
        signal.SIG_IGN,  # as a shell starts what runs in the background
        None,
    ):
        return False
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _swallowed
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)

    def watch() -> None:
        while received := os.read(readable, 64):
            if signal.SIGINT in received:
                time.sleep(grace)
                os.write(2, f"interrupted{GOES_ON if goes_on else ''}\n".encode())
                os._exit(INTERRUPTED)

    threading.Thread(target=watch, name="interrupt", daemon=True).start()
    return True
