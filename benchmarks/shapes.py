"""How few programs score real news, on how many devices: `python benchmarks/shapes.py ROWS.jsonl ... --tokenizer FOLDER [--devices 1 8]`.

The texts are cut into tokens and given to the runner's own rules. Pairs are taken to have 11 to 25 tokens, and one document in ten a pair
of up to 61 (the default search's longest). Prints the programs of search and scoring, and how much of the documents' positions is padding;
and for numbers of devices how many steps each of them takes, and how much of that is spent on empty places. With `--compile` also how long
these programs take to trace and to compile for a model of that size with random weights, for the device here or, with `--h100`, for one
H100 that is not there (cuda.py says how).
"""

import argparse
import json
import os
import random
import time
from collections import Counter
from pathlib import Path

from quals_jax import seq2seq
from quals_jax.tokenizer import Tokenizer

PAIRS = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", help='JSONL with "document", and "summary" or "reference"')
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--batch_size", type=int, default=8, help="rows on each device (8)")
    parser.add_argument("--devices", type=int, nargs="*", default=[1, 8, 16])
    parser.add_argument("--block_rows", type=int, default=256, help="rows worked on together, as score.py's (256)")
    parser.add_argument("--compile", choices=("base", "large"), help="compile the programs for BART's shapes")
    parser.add_argument("--dtype", default="float32", help="of what is compiled (float32)")
    parser.add_argument("--h100", action="store_true", help="compile for an H100 that is not there")
    options = parser.parse_args()
    lines = [line for path in options.rows for line in Path(path).read_text(encoding="utf-8").splitlines()]
    rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if row.get("document") and (row.get("summary") or row.get("reference"))]
    tokenizer = Tokenizer.from_pretrained(options.tokenizer)
    documents, summaries = (
        [len(ids) for ids, _ in tokenizer.encode_batch(texts)]
        for texts in ([row["document"] for row in rows], [row.get("summary") or row["reference"] for row in rows])
    )
    draw = random.Random(0)
    targets = [
        max(draw.randint(11, 25) for _ in range(PAIRS)) if draw.random() < 0.9 else draw.randint(26, 61) for _ in rows
    ]
    used, positions = set(), 0
    searched, scored = [], []  # of every block: how many rows, or chunks of rows, have each shape
    for start in range(0, len(rows), options.block_rows):
        block = slice(start, start + options.block_rows)
        chunks = seq2seq.chunks_of(list(zip(documents[block], targets[block], strict=True)), options.batch_size, 1024)
        shapes = [shape for shape, _ in chunks]
        used.update(shapes)
        positions += sum(shape[0] for shape in shapes) * options.batch_size
        scored.append(Counter(shapes))
        lengths = (seq2seq.padded_length(length, seq2seq.SEARCH_SOURCES, 1024) for length in summaries[block])
        searched.append(Counter(lengths))
    search = set().union(*searched)
    print(f"{len(rows)} rows, batch size {options.batch_size}")
    print(f"search   {len(search)} programs: sources of {', '.join(map(str, sorted(search)))}")
    print(f"scoring  {len(used)} programs: {', '.join(f'{source} x {target}' for source, target in sorted(used))}")
    print(f"padding  {1 - sum(documents) / positions:.1%} of the documents' positions")
    print(f"\n{'':8}{'steps of search':>17}{'places empty':>14}{'of scoring':>14}{'places empty':>14}   (each device)")
    for devices in options.devices:
        places = options.batch_size * devices
        steps = sum(-(-count // places) for block in searched for count in block.values())
        calls = sum(-(-count // devices) for block in scored for count in block.values())
        lost = 1 - len(rows) / (steps * places), 1 - len(rows) / (calls * places)
        print(f"{devices:5}   {steps:17}{lost[0]:14.1%}{calls:14}{lost[1]:14.1%}")
    if options.compile:
        print_seconds(options, sorted(search), sorted(used))


def print_seconds(options: argparse.Namespace, search: list[int], used: list[tuple[int, int]]) -> None:
    """Traces and compiles every program, one after the other."""
    import jax

    if options.h100:  # before JAX looks for devices
        jax.config.update("jax_platforms", "cpu")
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"
    from cuda import mesh_of_one
    from models import abstract_model

    from quals_jax import parallel
    from quals_jax.precision import Precision
    from quals_jax.programs import Shapes, lower_one

    mesh, precision = (
        mesh_of_one() if options.h100 else parallel.make_mesh(jax.devices()[:1]),
        Precision.of(options.dtype),
    )
    model = abstract_model(options.compile, precision)
    wanted = [("search", Shapes(summary=length)) for length in search]
    wanted += [("score", Shapes(document=source, pair=target)) for source, target in used]
    traced, compiled = Counter(), Counter()
    for name, shapes in wanted:
        began = time.perf_counter()
        lowered = lower_one(name, model, model, precision, None, mesh, rows=options.batch_size, shapes=shapes)
        traced[name] += (middle := time.perf_counter()) - began
        lowered.compile()
        compiled[name] += time.perf_counter() - middle
    print(f"\n{options.compile}, {options.dtype}, {'one H100' if options.h100 else mesh.devices.flat[0].device_kind}")
    for name, count in (("search", len(search)), ("score", len(used))):
        print(f"{name:8}{count} programs: {traced[name]:.1f} s to trace, {compiled[name]:.1f} s to compile")


if __name__ == "__main__":
    main()
