"""Seconds to decode and to score at a given shape, with random weights: `python benchmarks/decode.py [--shape base] [--summaries 1] [--length 25]`.

Random weights never end a sentence, so every hypothesis runs to the full length.
"""

import argparse
import statistics
import time

from quals_jax.commands.runtime import prepare

SHAPES = {"tiny": (192, 3, 6, 2560), "base": (768, 6, 12, 50265), "large": (1024, 12, 16, 50265)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="base")
    parser.add_argument("--summaries", type=int, default=1)
    parser.add_argument("--length", type=int, default=25, help="tokens of a pair")
    parser.add_argument("--document", type=int, default=600, help="tokens of a document")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    prepare()
    import jax
    import numpy as np
    from flax import nnx

    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.models.bart import Bart, BartConfig
    from quals_jax.pairs import QAPair
    from quals_jax.qagen import QAGen

    width, layers, heads, vocabulary = SHAPES[options.shape]
    config = BartConfig(vocabulary, width, layers, layers, heads, heads, 4 * width, 4 * width)
    model = Bart(config, rngs=nnx.Rngs(0))

    class NoTokenizer:
        size, connector = vocabulary, " strutConnector"
        decode = staticmethod(lambda ids: "")

    search = SearchConfig(min_length=options.length - 1, max_length=options.length - 1)
    qagen = QAGen(model, NoTokenizer(), search=search, batch_size=options.summaries)
    generator = np.random.default_rng(0)
    summaries = [generator.integers(4, vocabulary, 29).tolist() + [2] for _ in range(options.summaries)]
    documents = [
        generator.integers(4, vocabulary, options.document - 1).tolist() + [2] for _ in range(options.summaries)
    ]
    pairs = [QAPair("", None, generator.integers(4, vocabulary, options.length).tolist()) for _ in range(options.pairs)]
    for name, run in (
        (f"decode 60 x {options.length}", lambda: qagen.generate_ids(summaries)),
        (
            f"score {options.pairs} pairs against {options.document} tokens",
            lambda: qagen.score_ids(documents, [pairs] * options.summaries),
        ),
    ):
        started = time.perf_counter()
        run()
        first = time.perf_counter() - started
        seconds = []
        for _ in range(options.runs):
            started = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - started)
        print(
            f"{options.shape}, {options.summaries} summaries, {jax.default_backend()}: {name}:"
            f" {statistics.median(seconds):.3f} s (first {first:.1f} s)"
        )


if __name__ == "__main__":
    main()
