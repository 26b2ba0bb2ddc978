"""Summaries a second against batch size and document length, random weights: a table, JSON, and a picture.

    python benchmarks/sizes.py [--shape base] [--batch_sizes 1 2 4 8] [--documents 128 256 600 1000] [--output out/sizes]

A summary of 30 tokens, 60 hypotheses of 25, 10 pairs. The search does not depend on the document, so it is timed once for every batch
size. On an accelerator: `--shape large --dtype bfloat16 --batch_sizes 8 32 64 128`.
"""

import argparse
import json
import time
from pathlib import Path

from models import PAIR, PAIRS, SHAPES, SUMMARY, random_ids, random_model, random_qagen

MARKS = "osD^v*"  # colour is not the only sign


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="base")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--documents", type=int, nargs="+", default=[128, 256, 600, 1000], help="tokens")
    parser.add_argument("--dtype", choices=("float32", "tf32", "bfloat16"), default="float32")
    parser.add_argument("--runs", type=int, default=3, help="the fastest of which the fastest counts")
    parser.add_argument("--output", type=Path, default=Path("out/sizes"))
    options = parser.parse_args()

    from quals_jax.commands.runtime import prepare

    prepare()
    import jax

    found = measure(SHAPES[options.shape], options)
    print(f"{options.shape}, {options.dtype}, {jax.devices()[0].device_kind}: summaries a second")
    print("batch size" + "".join(f"{f'{length} tokens':>14}" for length in options.documents))
    for batch, rates in zip(options.batch_sizes, found, strict=True):
        print(f"{batch:10}" + "".join(f"{rate:14.3g}" for rate in rates))
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "sizes.json").write_text(json.dumps({"summaries_per_second": found} | vars(options), default=str))
    picture(found, options, jax.devices()[0].device_kind)


def measure(shape, options) -> list[list[float]]:
    """Summaries a second, for every batch size the documents' lengths."""
    from quals_jax.pairs import QAPair

    model, found = random_model(shape, options.dtype), []
    pairs = [QAPair("", None, tokens) for tokens in random_ids(PAIRS, PAIR, 2, shape.vocabulary)]
    for batch in options.batch_sizes:
        qagen = random_qagen(model, batch_size=batch, dtype=options.dtype)
        summaries = random_ids(batch, SUMMARY, 0, shape.vocabulary)
        search = seconds(lambda qagen=qagen, summaries=summaries: qagen.generate_ids(summaries), options.runs)
        rates = []
        for length in options.documents:
            documents = random_ids(batch, length, 1, shape.vocabulary)

            def score(qagen=qagen, documents=documents):
                return qagen.score_ids(documents, [pairs] * len(documents))

            rates.append(batch / (search + seconds(score, options.runs)))
        found.append(rates)
    return found


def seconds(run, runs: int) -> float:
    """Of the fastest run, after one that compiles."""
    run()
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def picture(found: list[list[float]], options, device: str) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for number, length in enumerate(options.documents):
        rates = [own[number] for own in found]
        axes.plot(options.batch_sizes, rates, marker=MARKS[number % len(MARKS)], label=f"documents of {length} tokens")
    axes.set_xscale("log", base=2)
    axes.set_xticks(options.batch_sizes, [str(batch) for batch in options.batch_sizes])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("batch size (summaries a device)")
    axes.set_ylabel("summaries a second")
    axes.set_title(f"BART-{options.shape} shape, {options.dtype}, {device}")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(options.output / "sizes.png", dpi=150)


if __name__ == "__main__":
    main()
