"""`python -m quals_jax train_tokenizer FOLDER`: learns a byte-level BPE from texts, with BART's special tokens, connector and mask.

    python -m quals_jax train_tokenizer out/tokenizer --vocab_size 16000 \\
        --data lines:data/english-text/text.txt.xz squad:data/squad-v1.1/train-v1.1.json

The same texts make the same bytes. `gazette_tokenizer` is this with Gazette's wordings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, at_least, standard_output


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax train_tokenizer", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write it")
    parser.add_argument(
        "--data", required=True, nargs="+", metavar="SOURCE", help="what train.py reads (docs/training.md)"
    )
    parser.add_argument("--vocab_size", type=at_least(1), default=16_000, help="entries, special ones too (16000)")
    parser.add_argument("--positions", type=int, default=512, help="of the model it is for (512)")
    parser.add_argument("--overwrite", action="store_true", help="in place of a tokenizer that is there")
    options = parser.parse_args(arguments)
    if options.positions < 2:
        raise UserError(f"--positions {options.positions}: must be at least 2")
    if (options.folder / "tokenizer.json").exists() and not options.overwrite:
        raise UserError(f"{options.folder}: has a tokenizer already; --overwrite writes another in its place")
    from quals_jax.data.sources import open_sources
    from quals_jax.tokenizer_training import train_bpe

    try:
        texts = [open_sources(word) for word in options.data]
        tokenizer = train_bpe(strings(texts), options.vocab_size, positions=options.positions, mask=True)
        tokenizer.save(options.folder)
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    with standard_output():
        print(f"{tokenizer.size:,} entries in {options.folder}")
    return 0


def strings(sources: Sequence[Sequence]) -> Iterator[str]:
    """Every text of the sources, and its questions and answers, or summaries."""
    for texts in sources:
        for number in range(len(texts)):
            text = texts[number]
            yield text.source
            for target in text.targets:
                yield target.text
                if target.answer:
                    yield target.answer
