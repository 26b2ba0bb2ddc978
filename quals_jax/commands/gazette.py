"""`python -m quals_jax gazette`: prints stories with their facts, summary, corruptions and questions, or writes rows to score."""

from __future__ import annotations

import argparse
import json

from quals_jax import gazette

HELP = "print stories of the embedded newspaper, or write rows for score.py"


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m quals_jax gazette", description=HELP)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--split", default="test", choices=gazette.SPLITS)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--kind", action="append", help=f"one of {', '.join(gazette.all_kinds())}; may be repeated")
    parser.add_argument(
        "--jsonl", action="store_true", help="one row for every true and every false summary, for score.py"
    )
    options = parser.parse_args(arguments)
    try:
        for story in gazette.stories(options.seed, options.split, options.count, options.kind):
            print("\n".join(rows(story)) if options.jsonl else shown(story))
    except ValueError as error:
        parser.error(str(error))
    return 0


def rows(story: gazette.Story) -> list[str]:
    """JSON rows: the true summary first, then every corruption with its kind."""
    versions = [("correct", story.summary)] + [(corruption.kind, corruption.text) for corruption in story.corruptions]
    return [
        json.dumps({"id": f"{story.id}-{kind}", "document": story.document, "summary": text, "kind": kind})
        for kind, text in versions
    ]


def shown(story: gazette.Story) -> str:
    """The story as a person reads it."""
    lines = [f"# {story.id}", "", story.document, "", f"Summary: {story.summary}", "", "Facts (* told by the summary)"]
    lines += [f"  {'*' if fact.in_summary else ' '} {fact.slot}: {fact.value}" for fact in story.facts]
    lines += ["", "Corruptions"] + [f"  {corruption.kind}: {corruption.text}" for corruption in story.corruptions]
    lines += ["", "Questions (* answered by the summary)"]
    lines += [f"  {'*' if q.in_summary else ' '} {q.question} {q.answer}" for q in story.questions]
    return "\n".join(lines) + "\n"
