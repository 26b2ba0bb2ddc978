"""How few programs score real news: `python benchmarks/shapes.py ROWS.jsonl ... --tokenizer FOLDER`.

Nothing is compiled: the texts are cut into tokens and given to the runner's own rules. Pairs are taken to have 11 to 25 tokens, and one
document in ten a pair of up to 61 (the default search's longest). Prints the programs of search and scoring, and how much of the documents'
positions is padding.
"""

import argparse
import json
import random
from pathlib import Path

from quals_jax import seq2seq
from quals_jax.tokenizer import Tokenizer

PAIRS, BLOCK_ROWS = 10, 256


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", help='JSONL with "document", and "summary" or "reference"')
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--batch_size", type=int, default=8)
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
    for start in range(0, len(rows), BLOCK_ROWS):
        block = list(zip(documents, targets, strict=True))[start : start + BLOCK_ROWS]
        for shape, _ in seq2seq.chunks_of(block, options.batch_size, 1024):
            used.add(shape)
            positions += shape[0] * options.batch_size
    search = {seq2seq.padded_length(length, seq2seq.SEARCH_SOURCES, 1024) for length in summaries}
    print(f"{len(rows)} rows, batch size {options.batch_size}")
    print(f"search   {len(search)} programs: sources of {', '.join(map(str, sorted(search)))}")
    print(f"scoring  {len(used)} programs: {', '.join(f'{source} x {target}' for source, target in sorted(used))}")
    print(f"padding  {1 - sum(documents) / positions:.1%} of the documents' positions")


if __name__ == "__main__":
    main()
