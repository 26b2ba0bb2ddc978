"""What is wrong with a checkpoint."""

from __future__ import annotations

SHOWN = 3  # problems named in the message; `problems` has all


class CheckpointError(ValueError):
    """A checkpoint that cannot be used. `problems` lists everything found wrong, the message the first three and the count."""

    def __init__(self, message: str, problems: list[str] | None = None):
        self.problems = list(problems) if problems else [message]
        if problems:
            message += f" ({len(problems)} problem{'s' * (len(problems) > 1)}): " + "; ".join(problems[:SHOWN])
            message += f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        super().__init__(message)
