"""How often the document's answer is the right one, on Gazette: `python benchmarks/document_answers.py [--stories 100]`.

Over the kept pairs of true and false summaries whose question is one that the story answers, in the story's own words. Right is the value
that the story has there, or of a person one of the two names.
"""

import argparse
import collections
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=100)
    parser.add_argument("--seed", type=int, default=301)
    parser.add_argument("--free", action="store_true", help="answers need not be spans of the document")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print so many wrong answers")
    options = parser.parse_args()
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax import QAGen, Quals, gazette
    from quals_jax.document_answers import ask_documents

    stories = list(gazette.stories(options.seed, "test", options.stories))
    rows = [(story, text) for story in stories for text in (story.summary, *(one.text for one in story.corruptions))]
    quals = Quals(QAGen.from_pretrained())
    results = quals.score([story.document for story, _ in rows], [text for _, text in rows])
    lists = collections.defaultdict(list)
    for (story, _), result in zip(rows, results, strict=True):
        lists[story.document] += result.pairs
    began = time.perf_counter()
    answers = ask_documents(quals.qagen, list(lists), list(lists.values()), quoting=not options.free)
    seconds = time.perf_counter() - began
    right, asked = collections.Counter(), collections.Counter()
    for story, pairs, said in zip(stories, lists.values(), answers, strict=True):
        values = collections.defaultdict(list)
        for question in story.questions:
            values[question.question].append(question)
        for pair, answer in zip(pairs, said, strict=True):
            if known := values.get(pair.question.strip()):
                group = "true" if agrees(pair.answer, known) else "false"
                good = answer.text is not None and agrees(answer.text, known)
                asked[group] += 1
                right[group] += good
                if not good and options.show:
                    options.show -= 1
                    wanted = " or ".join(sorted({question.answer for question in known}))
                    print(f"{pair.question} {wanted}; document: {answer.text} ({answer.logprob:.2f})")
    print(f"{sum(map(len, answers))} pairs of {len(rows)} summaries asked in {seconds:.1f} s")
    for group in ("true", "false"):
        print(
            f"pairs with {group + ' answers':14} {right[group] / asked[group]:.1%} right ({right[group]} of {asked[group]})"
        )
    total = sum(right.values()) / sum(asked.values())
    print(f"all                       {total:.1%} right ({sum(right.values())} of {sum(asked.values())})")
    print(quals.signature)


def agrees(answer, questions):
    said = answer.strip()
    return any(said == own.answer or (own.type == "person" and said in own.answer.split()) for own in questions)


if __name__ == "__main__":
    main()
