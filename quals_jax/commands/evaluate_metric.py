"""`python -m quals_jax evaluate_metric`: how well QUALS, ROUGE and likelihood tell true summaries of Gazette from false ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError

MISSING = float("-inf")  # a summary without kept pairs ranks lowest
LOWEST_OF_TRUE = 0.1  # a false summary is missed if it scores above so large a share of the true ones


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax evaluate_metric", description=__doc__)
    parser.add_argument("--model", help="the QAGen (the embedded one)")
    parser.add_argument("--summarizer", help="a summarizer, to compare with its likelihood of the summary")
    parser.add_argument(
        "--stories", type=int, default=200, help="held-out stories, each with every kind of corruption once (200)"
    )
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--split", default="test")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--max_pairs", type=int, default=10, help="0 keeps all")
    parser.add_argument("--no_rouge", action="store_true")
    parser.add_argument("--output", type=Path, help="also write the numbers as JSON")
    options = parser.parse_args(arguments)
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax import gazette
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals

    stories = list(gazette.stories(options.seed, options.split, options.stories))
    try:
        quals = Quals(QAGen.from_pretrained(options.model, batch_size=options.batch_size), options.max_pairs or None)
    except ValueError as error:
        raise UserError(error) from None
    texts = [(story, "correct", story.summary) for story in stories]
    texts += [(story, corruption.kind, corruption.text) for story in stories for corruption in story.corruptions]
    documents, summaries = [story.document for story, _, _ in texts], [text for _, _, text in texts]
    results = quals.score(documents, summaries)
    columns = {"QUALS": [MISSING if result.quals is None else result.quals for result in results]}
    if not options.no_rouge:
        columns |= _rouge("reference", [story.summary for story, _, _ in texts], summaries)
        columns |= _rouge("document", documents, summaries)
    if options.summarizer:
        columns["likelihood"] = _likelihood(options.summarizer, documents, summaries)
    table = areas([kind for _, kind, _ in texts], columns)
    false = [corruption for story in stories for corruption in story.corruptions]
    blamed = blame(false, results[len(stories) :], columns["QUALS"][: len(stories)])
    right, known = right_answers(stories, results[: len(stories)])
    print("area under the ROC curve, true against false summaries\n")
    print(shown(table, list(columns)))
    print(f"\nfalse summaries that score above the lowest {LOWEST_OF_TRUE:.0%} of the true ones, and why\n")
    print(shown_blame(blamed))
    print(
        f"\nkept pairs of true summaries whose answer is right by the facts: {right}/{known} = {right / max(known, 1):.3f}"
    )
    own = [result.quals for result in results[: len(stories)] if result.quals is not None]
    print(f"mean QUALS of {len(own)} true summaries: {sum(own) / max(len(own), 1):.3f} | {quals.signature}")
    if options.output:
        options.output.write_text(
            json.dumps(
                {
                    "auc": table,
                    "missed": blamed,
                    "right_answers": right / max(known, 1),
                    "signature": quals.signature,
                },
                indent=1,
            )
        )
    return 0


def areas(kinds: Sequence[str], columns: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """AUC of every column: for all corruptions together ("all"), and for each kind."""
    from quals_jax.statistics import area_under_roc

    table = {}
    for kind in ["all", *dict.fromkeys(kind for kind in kinds if kind != "correct")]:
        false = [place for place, own in enumerate(kinds) if own == kind or (kind == "all" and own != "correct")]
        true = [place for place, own in enumerate(kinds) if own == "correct"]
        table[kind] = {"n": len(false)} | {
            name: area_under_roc([scores[place] for place in true], [scores[place] for place in false])
            for name, scores in columns.items()
        }
    return table


def blame(corruptions, results, true_scores: Sequence[float]) -> dict[str, dict[str, int]]:
    """Per kind of corruption: how many ("n"), how many are missed, and of these, by what the kept pairs say of the false
    words: no pair has them ("not asked": the search or the filter), or the pairs that have them score no lower than true
    summaries do ("believed": the model); or they do, and others make up for it ("outweighed": the mean)."""
    low = sorted(true_scores)[int(len(true_scores) * LOWEST_OF_TRUE)]
    found: dict[str, dict[str, int]] = {}
    for corruption, result in zip(corruptions, results, strict=True):
        row = found.setdefault(corruption.kind, {"n": 0, "missed": 0, "not asked": 0, "believed": 0, "outweighed": 0})
        row["n"] += 1
        if result.quals is None or result.quals < low:
            continue
        row["missed"] += 1
        false = [value.lower() for value in corruption.changed.values()]
        own = [p.score for p in result.pairs if any(value in f"{p.question} {p.answer}".lower() for value in false)]
        row["not asked" if not own else "believed" if min(own) >= low else "outweighed"] += 1
    return found


def shown_blame(blamed: dict[str, dict[str, int]]) -> str:
    names = list(next(iter(blamed.values()), {}))
    lines = [f"{'':15}" + "".join(f"{name:>12}" for name in names)]
    return "\n".join(
        lines + [f"{kind:15}" + "".join(f"{row[name]:12}" for name in names) for kind, row in blamed.items()]
    )


def right_answers(stories, results) -> tuple[int, int]:
    """How many kept pairs ask one of the story's own questions, and how many of those answer it rightly: (right, known)."""
    right = known = 0
    for story, result in zip(stories, results, strict=True):
        answers = {question.question.lower(): question.answer.lower() for question in story.questions}
        for pair in result.pairs:
            if (answer := answers.get(pair.question.lower())) is not None:
                known += 1
                right += pair.answer.lower() == answer
    return right, known


def shown(table: dict[str, dict[str, float]], names: list[str]) -> str:
    lines = [f"{'':15}{'n':>6}" + "".join(f"{name:>14}" for name in names)]
    for kind, row in table.items():
        lines.append(f"{kind:15}{row['n']:6}" + "".join(f"{row[name]:14.3f}" for name in names))
    return "\n".join(lines)


def _rouge(against: str, references: list[str], summaries: list[str]) -> dict[str, list[float]]:
    from rouge_score.rouge_scorer import RougeScorer

    names = {"rouge1": f"R1/{against[:3]}", "rouge2": f"R2/{against[:3]}", "rougeL": f"RL/{against[:3]}"}
    scorer: Callable = RougeScorer(list(names), use_stemmer=False).score
    scored = [scorer(reference, summary) for reference, summary in zip(references, summaries, strict=True)]
    return {label: [scores[name].fmeasure for scores in scored] for name, label in names.items()}


def _likelihood(model: str, documents: list[str], summaries: list[str]) -> list[float]:
    """The mean log-probability of a summary's tokens under a summarizer."""
    from quals_jax.summarizer import Summarizer

    return [float(logprobs.mean()) for logprobs in Summarizer.from_pretrained(model).logprobs(documents, summaries)]
