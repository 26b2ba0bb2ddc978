"""What a user can mend."""

from __future__ import annotations

TRY_AGAIN = 75  # the exit status where another process is gone, or never came


class UserError(Exception):
    """A mistake of the user's, or of what the user was given; the message is one line that names the place and the cure."""


def out_of_memory(error: Exception) -> bool:
    """Whether a device or the host had no room for what was asked (JAX has no class of its own for it)."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)
