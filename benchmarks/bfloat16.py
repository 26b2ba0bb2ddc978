"""What another precision does to QUALS on Gazette: `python benchmarks/bfloat16.py [--stories 400] [--dtype bfloat16]`.

True summaries and one false one of every story, scored in float32 and in the other precision by the embedded model. Prints the mean and
largest difference, how many summaries keep the same pairs, the same differences where they do and where they do not, and both AUCs.
"""

import argparse
import statistics


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=400)
    parser.add_argument("--seed", type=int, default=301)
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "tf32"))
    options = parser.parse_args()
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax import QAGen, Quals, gazette
    from quals_jax.statistics import area_under_roc

    stories = [story for story in gazette.stories(options.seed, "test", options.stories) if story.corruptions]
    documents = [story.document for story in stories] * 2
    summaries = [story.summary for story in stories]
    summaries += [story.corruptions[number % len(story.corruptions)].text for number, story in enumerate(stories)]
    exact, other = (
        Quals(QAGen.from_pretrained(dtype=dtype)).score(documents, summaries) for dtype in ("float32", options.dtype)
    )
    both = [pair for pair in zip(exact, other, strict=True) if None not in (pair[0].quals, pair[1].quals)]
    kept = [[pair.tokens for pair in one.pairs] == [pair.tokens for pair in two.pairs] for one, two in both]
    apart = [abs(one.quals - two.quals) for one, two in both]
    print(f"{len(summaries)} summaries of {len(stories)} stories, float32 and {options.dtype}")
    print(f"same kept pairs          {sum(kept) / len(kept):.1%}")
    for name, chosen in (("all", [True] * len(kept)), ("same pairs", kept), ("other pairs", [not own for own in kept])):
        own = [value for value, take in zip(apart, chosen, strict=True) if take]
        if own:
            print(f"|difference|, {name:11} mean {statistics.mean(own):.4f}, largest {max(own):.4f} (n = {len(own)})")
    for name, results in (("float32", exact), (options.dtype, other)):
        scores = [float("-inf") if result.quals is None else result.quals for result in results]
        print(f"AUC {name:20} {area_under_roc(scores[: len(stories)], scores[len(stories) :]):.3f}")


if __name__ == "__main__":
    main()
