"""`python -m quals_jax gazette`: prints stories with their facts, summary, corruptions and questions, or writes rows to score."""

from __future__ import annotations

import json
import random

from quals_jax import gazette
from quals_jax.commands.errors import Parser, UserError, standard_output

HELP = "print stories of the embedded newspaper, or write rows for score.py"


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax gazette", description=HELP)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--split", default="test", choices=gazette.SPLITS)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--kind", action="append", help=f"one of {', '.join(gazette.all_kinds())}; may be repeated")
    parser.add_argument(
        "--jsonl", action="store_true", help="one row for every true and every false summary, for score.py"
    )
    parser.add_argument("--true_only", action="store_true", help="with --jsonl: no false summaries")
    parser.add_argument(
        "--oracle", action="store_true", help="measure the oracle on true, false and damaged summaries of these stories"
    )
    options = parser.parse_args(arguments)
    if options.count < 1:
        raise UserError(f"--count {options.count}: must be at least 1")
    try:
        stories = gazette.stories(options.seed, options.split, options.count, options.kind)
        with standard_output():
            if options.oracle:
                print("\n".join(measured(list(stories))))
                return 0
            for story in stories:
                print("\n".join(rows(story)[: 1 if options.true_only else None]) if options.jsonl else shown(story))
    except ValueError as error:
        raise UserError(error) from None
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


def measured(stories: list[gazette.Story]) -> list[str]:
    """How the oracle does: on every true and false summary as it is, and with a word dropped or two neighbours exchanged.

    Precision: of the claims called unsupported, the share that are false. Recall: of the falsified facts, the share called unsupported.
    """
    lines = [f"{'text':28}{'texts':>8}{'judged':>9}{'precision':>11}{'recall':>9}"]
    for name, damage in (("as written", _unharmed), ("a word dropped", _dropped), ("two words exchanged", _exchanged)):
        texts = judged = called = rightly = falsified = found = 0
        for story in stories:
            generator = random.Random(story.id)
            for text, changed in [(story.summary, {}), *((c.text, c.changed) for c in story.corruptions)]:
                verdict = gazette.check(story, damage(text.split(), generator))
                texts, judged = texts + 1, judged + verdict.judged
                slots = {claim.slot for claim in verdict.unsupported} if verdict.judged else set()
                called, rightly = called + len(slots), rightly + len(slots & set(changed))
                if verdict.judged:
                    falsified, found = falsified + len(changed), found + len(slots & set(changed))
        lines.append(
            f"{name:28}{texts:8}{judged / texts:9.3f}{rightly / max(called, 1):11.3f}{found / max(falsified, 1):9.3f}"
        )
    return lines


def _unharmed(words: list[str], generator: random.Random) -> str:
    return " ".join(words)


def _dropped(words: list[str], generator: random.Random) -> str:
    del words[generator.randrange(len(words))]
    return " ".join(words)


def _exchanged(words: list[str], generator: random.Random) -> str:
    place = generator.randrange(len(words) - 1)
    words[place : place + 2] = words[place + 1], words[place]
    return " ".join(words)
