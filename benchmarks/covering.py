"""What the covering search brings on Gazette: `python benchmarks/covering.py [--stories 100] [--beams 12 20 30 60]`.

Three seeds, pooled. For both searches at each number of beams: area under the ROC curve in all, with its 95% interval (stories drawn anew),
and of the worst kind; how many false summaries were missed and how many of these nobody asked about, kept pairs, coverage, summaries a
second, and processor time for one (on a CPU; other work on the machine changes that little).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

SEEDS = (201, 202, 203)
RESAMPLES = 500


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=100, help="of every seed (100)")
    parser.add_argument("--beams", type=int, nargs="+", default=[12, 20, 30, 60])
    parser.add_argument("--search", nargs="+", choices=("default", "covering"), default=["default", "covering"])
    parser.add_argument("--output", type=Path, default=Path("out/covering.json"))
    options = parser.parse_args()
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax import QAGen, Quals, SearchConfig, gazette
    from quals_jax.commands.evaluate_metric import areas, blame

    stories = [story for seed in SEEDS for story in gazette.stories(seed, "test", options.stories)]
    false = [corruption for story in stories for corruption in story.corruptions]
    documents = [s.document for s in stories] + [s.document for s in stories for _ in s.corruptions]
    summaries = [s.summary for s in stories] + [corruption.text for corruption in false]
    kinds = ["correct"] * len(stories) + [corruption.kind for corruption in false]
    print(f"{len(stories)} true and {len(false)} false summaries")
    print(
        "search     beams    AUC     95%          worst kind            missed  not asked  pairs  coverage  summaries/s  CPU ms"
    )
    found = []
    for covering in (name == "covering" for name in options.search):
        for beams in options.beams:
            quals = Quals(QAGen.from_pretrained(search=SearchConfig(num_beams=beams, covering=covering)))
            quals.score(documents[:64], summaries[:64])  # compiles
            began, used = time.perf_counter(), time.process_time()
            results = quals.score(documents, summaries)
            rate = len(results) / (time.perf_counter() - began)
            used = 1000 * (time.process_time() - used) / len(results)
            scores = [float("-inf") if result.quals is None else result.quals for result in results]
            table = areas(kinds, {"QUALS": scores})
            blamed = blame(false, results[len(stories) :], scores[: len(stories)])
            worst = min((name for name in table if name != "all"), key=lambda name: table[name]["QUALS"])
            row = {
                "covering": covering, "beams": beams, "auc": table["all"]["QUALS"], "worst": worst, "worst_auc": table[worst]["QUALS"],
                "missed": sum(own["missed"] for own in blamed.values()), "not_asked": sum(own["not asked"] for own in blamed.values()),
                "pairs": sum(result.num_pairs for result in results) / len(results),
                "coverage": sum(result.coverage for result in results) / len(results), "rate": rate, "cpu_ms": used, "signature": quals.signature,
            }  # fmt: skip
            row["low"], row["high"] = interval(scores, stories)
            found.append(row)
            print(
                f"{'covering' if covering else 'default':9}{beams:7}  {row['auc']:.3f}"
                f"  {row['low']:.3f}-{row['high']:.3f}  {worst:13} {row['worst_auc']:.3f}"
                f"  {row['missed']:6}  {row['not_asked']:9}  {row['pairs']:5.1f}  {row['coverage']:8.2f}  {rate:11.1f}{used:8.0f}",
                flush=True,
            )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=1))


def interval(scores: list[float], stories: list) -> tuple[float, float]:
    """The 95% interval of the area over all, stories drawn anew with their false summaries."""
    from quals_jax.statistics import area_under_roc

    false = iter(scores[len(stories) :])
    own = [[next(false) for _ in story.corruptions] for story in stories]
    generator, areas = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        drawn = generator.integers(len(stories), size=len(stories))
        areas.append(area_under_roc([scores[n] for n in drawn], [score for n in drawn for score in own[n]]))
    return tuple(map(float, np.percentile(areas, [2.5, 97.5])))


if __name__ == "__main__":
    main()
