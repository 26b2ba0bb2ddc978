"""What suggested corrections are worth, on Gazette, by its oracle: `python benchmarks/corrections.py [--stories 100]`.

Of the false summaries: how many become true (all that the corrected one says is supported). Of the true ones: how many are spoilt.
"""

import argparse
import collections


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=100)
    parser.add_argument("--seed", type=int, default=302)
    parser.add_argument("--true", action="store_true", help="true summaries alone: how many are spoilt")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print so many that are not true afterwards")
    options = parser.parse_args()
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax import QAGen, Quals, gazette
    from quals_jax.corrections import correct

    stories = list(gazette.stories(options.seed, "test", options.stories))
    rows = [(story, "true", story.summary) for story in stories]
    if not options.true:
        rows += [(story, one.kind, one.text) for story in stories for one in story.corruptions]
    quals = Quals(QAGen.from_pretrained())
    found = correct(quals, [story.document for story, *_ in rows], [text for *_, text in rows])
    counts = collections.defaultdict(collections.Counter)
    for (story, kind, text), own in zip(rows, found, strict=True):
        after = verdict(gazette.check(story, own.text or text))
        for name in {kind, "true" if kind == "true" else "false"}:
            counts[name].update({"n": 1, "changed": own.text is not None, after: 1})
        if after != "true" and options.show > 0:
            options.show -= 1
            print(f"{kind}: {text}\n   -> {own.text} ({after})")
            for pair in own.result.pairs:
                print(f"   {pair.score:.2f} {pair.question} {pair.answer}; document: {pair.document_answer}")
    print(f"{'':15}{'n':>6}{'changed':>9}{'true':>8}{'false':>8}{'unreadable':>12}")
    for name, own in sorted(counts.items(), key=lambda item: item[0] not in ("true", "false")):
        shares = (own[after] / own["n"] for after in ("true", "false", "unreadable"))
        print(f"{name:15}{own['n']:6}{own['changed']:9}" + "{:8.1%}{:8.1%}{:12.1%}".format(*shares))
    print(quals.signature)


def verdict(found):
    if found.unsupported:
        return "false"
    return "true" if found.judged else "unreadable"


if __name__ == "__main__":
    main()
