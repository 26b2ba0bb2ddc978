"""How many rows a device takes at once, by what its compiled programs say of their memory (a batch size of "auto"); and how many texts are
given together."""

from __future__ import annotations

import math
from collections.abc import Callable

from jax.sharding import Mesh

from quals_jax.errors import out_of_memory
from quals_jax.parallel import IN_FLIGHT
from quals_jax.precision import Precision
from quals_jax.programs import Shapes, lower_one
from quals_jax.scoring.blocks import AT_ONCE

AUTO = "auto"
ON_CPU = 8  # more rows gain nothing on a few cores (docs/performance.md)
MOST = 256
LONGEST = Shapes(summary=1024, document=1024, pair=64)  # of what QUALS reads and writes
SHARE = 0.9  # of the device's memory; the rest is for what is not counted here
TRIED = (8, 16)

# Texts that are given together: at least so many, and so many for every row that the devices take at once. They are padded to some ten
# shapes, and for each shape the last batch has empty places.
LEAST_TOGETHER, FOR_EACH_PLACE = 256, 32


def rows_together(places: int) -> int:
    """How many texts are worth giving to devices that take so many rows at once: with 256 on eight devices two fifths of the places of
    scoring are empty, with 2,048 a tenth (`benchmarks/shapes.py`)."""
    return max(LEAST_TOGETHER, FOR_EACH_PLACE * places)


def largest_batch_size(model, precision: Precision, mesh: Mesh) -> int:
    """The largest power of two of rows a device with which search and scoring fit, each with the batches of two blocks that wait for it. On a CPU 8.

    Raises:
        ValueError: if the device does not say how much memory it has.
    """
    from quals_jax.training.memory import device_bytes

    device = mesh.devices.flat[0]
    if device.platform == "cpu":
        return ON_CPU
    memory = device_bytes(device)
    if memory is None:
        raise ValueError(
            f"batch_size is {AUTO}, and this {device.platform} does not say how much memory it has; name a number"
        )
    return largest_that_fits(lambda rows: inference_bytes(model, precision, mesh, rows), SHARE * memory)


def inference_bytes(model, precision: Precision, mesh: Mesh, rows: int) -> float:
    """Bytes on each device of search and scoring with so many rows: the larger of the two. Infinite where a compiler finds no room."""
    held = []
    for name in ("search", "score"):
        try:
            found = (
                lower_one(name, model, model, precision, None, mesh, rows=rows, shapes=LONGEST)
                .compile()
                .memory_analysis()
            )
        except RuntimeError as error:
            if out_of_memory(error):
                return float("inf")
            raise
        ahead = AT_ONCE * IN_FLIGHT * (found.temp_size_in_bytes + found.output_size_in_bytes)
        held.append(found.argument_size_in_bytes + ahead)
    return max(held)


def largest_that_fits(bytes_of: Callable[[int], float], memory: float, most: int = MOST) -> int:
    """The largest power of two, at most `most`, for which `bytes_of` is at most `memory`; 1 if it is for none.

    Every question is a compilation, so few are asked: memory grows with the rows nearly as a line, and two of them say where to look.
    """
    known: dict[int, float] = {}

    def fits(rows: int) -> bool:
        if rows not in known:
            known[rows] = bytes_of(rows)
        return known[rows] <= memory

    low, high = TRIED
    rows = low
    if fits(low) and fits(high):
        growth = max((known[high] - known[low]) / (high - low), 1.0)
        rows = min(most, 2 ** int(math.log2(low + (memory - known[low]) / growth)))
    while rows > 1 and not fits(rows):
        rows //= 2
    return rows
