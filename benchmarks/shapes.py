"""How few programs score real news, on how many devices: `python benchmarks/shapes.py ROWS.jsonl ... --tokenizer FOLDER [--devices 1 8]`.

Nothing is compiled: the texts are cut into tokens and given to the runner's own rules. Pairs are taken to have 11 to 25 tokens, and one
document in ten a pair of up to 61 (the default search's longest). Prints the programs of search and scoring, and how much of the documents'
positions is padding; and for numbers of devices how many steps each of them takes, and how much of that is spent on empty places.
"""

import argparse
import json
import random
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


if __name__ == "__main__":
    main()
