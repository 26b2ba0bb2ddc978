"""Long documents in windows, on pages of Gazette: `python benchmarks/pages.py [--stories 96] [--tokens 2000 6000 20000]`.

Gazette has eight kinds of stories, about 1,250 tokens together. A page of all eight has each kind once. Longer ones have four stories to
ask about, each the only one of its kind, at random places among as many of the four other kinds as fill the page; so every question
has one answer. Summaries of the stories asked about, true and false, are scored against their pages in windows, and against the single
stories. Prints for every length both areas under the ROC curve with the interval of their difference (stories drawn anew), the mean
score of the true summaries, and the work. The largest pages get fewer stories: work grows with length.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np

SEED, FILLER_SEED = 201, 9201
ASKED = 4
WORK = 100_000  # tokens of pages for every length, about: so many stories are taken
RESAMPLES = 500


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=96, help="asked about, at most (96)")
    parser.add_argument("--tokens", type=int, nargs="+", default=[2000, 6000, 20000], help="of a page, about")
    parser.add_argument("--between", default="\n\n", help="what stands between two stories (an empty line)")
    parser.add_argument("--output", type=Path, default=Path("out/pages.json"))
    options = parser.parse_args()
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax import QAGen, keep_pairs
    from quals_jax.gazette.kinds import DRAWN

    qagen = QAGen.from_pretrained()
    stories = asked_stories(DRAWN, options.stories)
    summaries = [[story.summary, *(corruption.text for corruption in story.corruptions)] for story in stories]
    texts = [text for own in summaries for text in own]
    pairs = iter(keep_pairs(own, text) for own, text in zip(qagen.generate(texts), texts, strict=True))
    kept = [[next(pairs) for _ in own] for own in summaries]
    print(f"{len(stories)} stories, {len(texts) - len(stories)} false summaries; {options.between!r} between stories")
    print(
        "page tokens  stories  AUC single   pages   difference, 95%        true, single and pages  windows  ms a window"
    )
    found = []
    for tokens in [0, *options.tokens]:
        count = len(stories) if not tokens else min(len(stories), max(16, WORK * ASKED // tokens // ASKED * ASKED))
        own, own_kept = stories[:count], kept[:count]
        pages = make_pages(
            own, DRAWN, tokens, options.between, lambda text: len(qagen.tokenizer.encode_pieces([text])[0])
        )
        single, _ = scored(qagen, [story.document for story in own], own_kept)
        scored(qagen, pages[:ASKED], own_kept[:ASKED])  # compiles
        began = time.perf_counter()
        paged, windows = scored(qagen, pages, own_kept)
        seconds = time.perf_counter() - began
        row = compared(single, paged) | {"stories": count, "windows": windows / len(set(pages)), "seconds": seconds}
        row["tokens"] = sum(len(ids) for ids in qagen.tokenizer.encode_pieces(list(set(pages)))) / len(set(pages))
        row["ms"] = 1000 * seconds / windows
        found.append(row)
        print(
            f"{row['tokens']:11.0f}{count:9}{row['single']:12.3f}{row['pages']:8.3f}   {row['difference']:+.3f} ({row['low']:+.3f} to"
            f" {row['high']:+.3f})  {row['true_single']:10.3f} {row['true_pages']:10.3f}  {row['windows']:9.1f}{row['ms']:13.0f}",
            flush=True,
        )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=1))


def asked_stories(kinds, count: int) -> list:
    """Stories in groups of four, each group of four different kinds; every kind as often as any other."""
    from quals_jax import gazette

    stories, generator = [], random.Random(SEED)
    while len(stories) < count:
        order = list(kinds)
        generator.shuffle(order)
        for kind in order:  # another number for every story: from it come the names
            stories.append(gazette.story(SEED, "test", len(stories), kinds=(kind,)))
    return stories[:count]


def make_pages(stories, kinds, tokens: int, between: str, length) -> list[str]:
    """The page of every story: of eight stories, one of each kind (without `tokens`), or of about so many tokens."""
    from quals_jax import gazette

    pages, group = [], ASKED if tokens else len(kinds)
    for start in range(0, len(stories), group):
        own = stories[start : start + group]
        generator = random.Random(f"page/{tokens}/{start}")
        texts = [story.document for story in own]
        others = tuple(kind for kind in kinds if kind not in {story.kind.name for story in own})
        number, used = start * 1000, sum(map(length, texts))
        while used < tokens:
            texts.append(gazette.story(FILLER_SEED, "test", number, kinds=others).document)
            number, used = number + 1, used + length(texts[-1])
        generator.shuffle(texts)
        pages += [between.join(texts)] * len(own)
    return pages


def scored(qagen, documents: list[str], kept: list[list]) -> tuple[list[list[float]], int]:
    """QUALS of every summary of every document, which are read in windows, and how many windows that takes."""
    from quals_jax.long_documents import document_windows, score_documents

    rows: dict[str, list[int]] = {}
    for row, document in enumerate(documents):
        rows.setdefault(document, []).append(row)
    lists = [[pair for row in own for pairs in kept[row] for pair in pairs] for own in rows.values()]
    logprobs, _ = score_documents(qagen, list(rows), lists, "windows")
    scores: list[list[float]] = [[] for _ in documents]
    for own, found in zip(rows.values(), logprobs, strict=True):
        remaining = iter(found)
        for row in own:
            for pairs in kept[row]:
                apart = [float(next(remaining).mean() - pair.summary_logprobs.mean()) for pair in pairs]
                scores[row].append(float(np.mean(apart)) if apart else float("-inf"))
    return scores, sum(len(document_windows(qagen.tokenizer, document, qagen.window_tokens)) for document in rows)


def compared(single: list[list[float]], paged: list[list[float]]) -> dict[str, float]:
    """Both areas, their difference with its interval over stories drawn anew, and the mean scores of the true summaries."""
    from quals_jax.statistics import area_under_roc

    def area(scores, chosen) -> float:
        return area_under_roc([scores[n][0] for n in chosen], [false for n in chosen for false in scores[n][1:]])

    generator, every = np.random.default_rng(0), range(len(single))
    drawn = [generator.integers(len(single), size=len(single)) for _ in range(RESAMPLES)]
    low, high = np.percentile([area(paged, own) - area(single, own) for own in drawn], [2.5, 97.5])
    true = [np.mean([own[0] for own in scores if np.isfinite(own[0])]) for scores in (single, paged)]
    both = area(single, every), area(paged, every)
    return {
        "single": both[0], "pages": both[1], "difference": both[1] - both[0], "low": float(low), "high": float(high),
        "true_single": float(true[0]), "true_pages": float(true[1]),
    }  # fmt: skip


if __name__ == "__main__":
    main()
