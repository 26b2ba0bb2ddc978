"""`--profile DIR`: what host and devices did when, to be opened in XProf (TensorBoard) or Perfetto."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

SECONDS = (
    20.0  # recorded after the first unit of work, in which programs are compiled: longer profiles are too large to open
)


@contextlib.contextmanager
def profiled(folder: str | Path | None, seconds: float = SECONDS) -> Iterator[Callable[[], None]]:
    """Records what runs inside, until `seconds` after the function that it yields, to be called after every block or step, was first
    called. Writes `FOLDER/plugins/profile/...`, with a `perfetto_trace.json.gz`. Without a folder nothing happens.

    Raises:
        OSError: if the folder cannot be written.
    """
    if folder is None:
        yield lambda: None
        return
    import jax

    Path(folder).mkdir(parents=True, exist_ok=True)
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # Python's own calls would fill the profile, and slow what it measures
    jax.profiler.start_trace(str(folder), create_perfetto_trace=True, profiler_options=options)
    ends, recording = float("inf"), True

    def stop() -> None:
        nonlocal recording
        if recording:
            recording = False
            jax.profiler.stop_trace()

    def unit_done() -> None:
        nonlocal ends
        ends = min(ends, time.monotonic() + seconds)
        if time.monotonic() >= ends:
            stop()

    try:
        yield unit_done
    finally:
        stop()
