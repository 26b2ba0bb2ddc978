"""What compiled programs say, read off XLA's text of them. Arrays are told by how many numbers they have."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

# A product's operands and precision, in each dtype of ours.
PRODUCTS = {"float32": ("f32", "f32", "HIGHEST", "HIGHEST"), "bfloat16": ("bf16", "bf16", "DEFAULT", "DEFAULT")}
NO_KERNELS = ("parameter", "get-tuple-element", "tuple", "bitcast", "constant", "while")
COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")


@dataclass(frozen=True)
class Collective:
    """An exchange between chips. numbers: floating-point ones of its result, each array once. times: how often its loops run it."""

    kind: str
    numbers: int
    times: int
    asked_by: str  # the last name of the operation it was made for; of several that were combined, one


def computations(text: str) -> dict[str, str]:
    """The parts of a program by name, `ENTRY` the one that is run."""
    return {part.split(" ", 1)[0]: part for part in re.split(r"\n(?=%|ENTRY)", text)}


def times_run(text: str) -> dict[str, int]:
    """How often a computation runs: the entry once, a loop's body as often as its condition's one constant says (once where that cannot be
    read), inner loops so often in each round."""
    parts, times = computations(text), {"ENTRY": 1}

    def follow(name: str) -> None:
        for line in re.findall(r" while\([^\n]*", parts[name]):
            condition, body = (re.search(rf"{key}=(%[\w.\-]+)", line)[1] for key in ("condition", "body"))
            known = re.search(r'"known_trip_count":\{"n":"(\d+)"', line)
            rounds = [known[1]] if known else re.findall(r"s32\[\]\S* constant\((\d+)\)", parts[condition])
            times[body] = times[name] * (int(rounds[0]) if len(rounds) == 1 else 1)
            follow(body)

    follow("ENTRY")
    return times


def collectives(text: str) -> Iterator[Collective]:
    """Every one in the entry and in loops. One of several parts, written once for each of them under one number, comes once."""
    parts, seen = computations(text), set()
    kinds = "|".join(COLLECTIVES)
    for name, times in times_run(text).items():
        for result, kind, start, rest in re.findall(rf" = (.*?) ({kinds})(-start)?\((.*)", parts[name]):
            shapes = re.findall(r"\b(?:f|bf)\d+\[([\d,]*)\]", result)
            channel = re.search(r"channel_id=(\d+)", rest)
            if not shapes or (channel and channel[1] in seen):
                continue
            seen |= {channel[1]} if channel else set()
            sizes = [_numbers(shape) for shape in shapes]
            if start and kind in ("all-gather", "collective-permute"):  # what goes in, and what comes out
                sizes = [max(sizes)]
            source = re.search(r'op_name="[^"]*?([^/"]+)"', rest)
            yield Collective(kind, sum(sizes), times, source[1] if source else "unknown")


def products(text: str) -> set[tuple[str, ...]]:
    """What a lowered program multiplies: types of the operands, and the precisions asked for."""
    kinds = set()
    for line in re.findall(r"stablehlo\.dot_general .*", text):
        types = re.search(r": \(tensor<(?:\d+x)*(\w+)>, tensor<(?:\d+x)*(\w+)>\)", line).groups()
        kinds.add((*types, *re.search(r"precision = \[(\w+), (\w+)\]", line).groups()))
    return kinds


def copied_in_loops(text: str, sizes: set[int]) -> int:
    """How many arrays of so many numbers the bodies of a compiled program's loops copy within the chip's main memory (what is brought into
    the fast one, `S(1)`, is no copy)."""
    parts = computations(text)
    bodies = [parts[name] for name in set(re.findall(r" while\([^\n]*body=(%[\w.\-]+)", text))]
    copies = [found for body in bodies for found in re.findall(r" = \w+\[([\d,]+)\](\S*) copy\(", body)]
    return sum(_numbers(shape) in sizes for shape, layout in copies if "S(1)" not in layout)


def sorted_widths(text: str) -> list[int]:
    """The lengths along which a compiled program sorts floating-point numbers (a training step sorts the places of words): the largest axis of
    what goes into each sort."""
    shapes = re.findall(r"= \(?(?:f|bf)\d+\[([\d,]+)\][^=\n]* sort\(", text)
    return [max(map(int, shape.split(","))) for shape in shapes]


def less_than_highest(text: str) -> int:
    """How many products of a compiled float32 program are at less than the highest precision: in TF32, say."""
    lines = re.findall(r" dot\([^\n]*| custom-call\([^\n]*__cublas[^\n]*", text)
    return sum(
        "operand_precision={highest,highest}" not in line and '["HIGHEST","HIGHEST"]' not in line for line in lines
    )


def launches(text: str) -> list[int]:
    """How many kernels (and copies) a round of each loop starts whose end the compiler does not know, as of a search: what stands in its body, in
    inner loops as often as they run. As CUDA's compiler writes programs: each operation that is left is one."""
    parts, times = computations(text), times_run(text)
    ends_unknown = [line for line in re.findall(r" while\([^\n]*", parts["ENTRY"]) if "known_trip_count" not in line]
    outer = [re.search(r"body=(%[\w.\-]+)", line)[1] for line in ends_unknown]

    def count(body: str) -> int:
        operations = re.findall(r"^\s+(?:ROOT )?%\S+ = .*? ([a-z][\w\-]*)\(.*?$", parts[body], re.MULTILINE)
        inner = set(re.findall(r" while\([^\n]*body=(%[\w.\-]+)", parts[body]))
        own = sum(operation not in NO_KERNELS for operation in operations)
        return own + sum(count(name) * times[name] // times[body] for name in inner)

    return [count(body) for body in outer]


def _numbers(shape: str) -> int:
    return math.prod(map(int, filter(None, shape.split(","))))
