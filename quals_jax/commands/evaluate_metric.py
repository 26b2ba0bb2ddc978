"""`python -m quals_jax evaluate_metric`: how well QUALS, ROUGE and others tell true summaries of Gazette from false ones.

Without --metric: QUALS, ROUGE, and with --summarizer the likelihood. ROUGE of --metric rouge is against the reference, of which the
false summaries are changed copies; rouge=document against the document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, at_least
from quals_jax.commands.score_flags import LONG_DOCUMENTS

MISSING = float("-inf")  # a summary without kept pairs ranks lowest
LOWEST_OF_TRUE = 0.1  # a false summary is missed if it scores above so large a share of the true ones


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax evaluate_metric", description=__doc__)
    parser.add_argument("--metric", nargs="+", metavar="NAME", help="these and no others: NAME or NAME=MODEL")
    parser.add_argument("--model", help="the QAGen (the embedded one)")
    parser.add_argument("--summarizer", help="a summarizer, to compare with its likelihood of the summary")
    parser.add_argument(
        "--stories",
        type=at_least(1),
        default=200,
        help="held-out stories, each with every kind of corruption once (200)",
    )
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--split", default="test")
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--long_documents", **LONG_DOCUMENTS)
    parser.add_argument("--max_pairs", type=at_least(0), default=10, help="0 keeps all")
    parser.add_argument("--no_rouge", action="store_true")
    parser.add_argument("--output", type=Path, help="also write the numbers as JSON")
    options = parser.parse_args(arguments)
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax import gazette

    if options.metric and (options.model or options.summarizer):
        raise UserError("--model and --summarizer go without --metric; write --metric quals=MODEL or likelihood=MODEL")
    try:
        stories = list(gazette.stories(options.seed, options.split, options.stories))
    except ValueError as error:
        raise UserError(error) from None
    texts = [(story, "correct", story.summary) for story in stories]
    texts += [(story, corruption.kind, corruption.text) for story in stories for corruption in story.corruptions]
    try:
        columns, signatures, quals, results = _columns(options, texts)
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    table = areas([kind for _, kind, _ in texts], columns)
    print("area under the ROC curve, true against false summaries\n")
    print(shown(table, list(columns)))
    numbers: dict = {"auc": table}
    if quals is not None:
        numbers |= _print_quals(stories, quals, results)
    if options.metric:
        print("\n".join(["", *(f"{name}: {signature}" for name, signature in signatures.items())]))
        numbers |= {"signatures": signatures}
    if options.output:
        options.output.write_text(json.dumps(numbers, indent=1))
    return 0


def _columns(options, texts: Sequence[tuple]) -> tuple[dict[str, list[float]], dict[str, str], object, list]:
    """The scores of every metric, what made them, and of QUALS the metric and its results (None and nothing where it is not asked)."""
    from quals_jax.metrics import MetricSettings, compared_with, load
    from quals_jax.metrics.quals import QualsMetric
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals

    documents, summaries = [story.document for story, _, _ in texts], [text for _, _, text in texts]
    references = [story.summary for story, _, _ in texts]
    columns, signatures, quals, results = {}, {}, None, []
    if not options.metric:
        qagen = QAGen.from_pretrained(options.model, batch_size=options.batch_size)
        quals = Quals(qagen, options.max_pairs or None, long_documents=options.long_documents)
        results = quals.score(documents, summaries)
        columns["QUALS"] = _without_none([result.quals for result in results])
        if not options.no_rouge:
            columns |= _rouge("reference", references, summaries)
            columns |= _rouge("document", documents, summaries)
        if options.summarizer:
            columns["likelihood"] = load(f"likelihood={options.summarizer}").score(documents, summaries)
        return columns, signatures, quals, results
    for name in options.metric:
        metric = load(name, MetricSettings(batch_size=options.batch_size, long_documents=options.long_documents))
        if isinstance(metric, QualsMetric):
            quals, results = metric.quals, metric.quals.score(documents, summaries)
            scores = [result.quals for result in results]
        else:
            scores = metric.score(documents, summaries, references)
        columns[name] = _without_none(scores, 1 if metric.higher_is_better else -1)
        signatures[name] = f"against {compared_with(metric, references)} | {metric.signature}"
    return columns, signatures, quals, results


def _without_none(scores: Sequence[float | None], sign: int = 1) -> list[float]:
    return [MISSING if score is None else sign * score for score in scores]


def _print_quals(stories: Sequence, quals, results: Sequence) -> dict:
    """Prints what QUALS's own questions say of its misses; the numbers."""
    true = results[: len(stories)]
    false = [corruption for story in stories for corruption in story.corruptions]
    blamed = blame(false, results[len(stories) :], _without_none([result.quals for result in true]))
    right, known = right_answers(stories, true)
    print(f"\nfalse summaries that score above the lowest {LOWEST_OF_TRUE:.0%} of the true ones, and why\n")
    print(shown_blame(blamed))
    print(
        f"\nkept pairs of true summaries whose answer is right by the facts: {right}/{known} = {right / max(known, 1):.3f}"
    )
    own = [result.quals for result in true if result.quals is not None]
    print(f"mean QUALS of {len(own)} true summaries: {sum(own) / max(len(own), 1):.3f} | {quals.signature}")
    return {"missed": blamed, "right_answers": right / max(known, 1), "signature": quals.signature}


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
    wide = {name: max(14, len(name) + 2) for name in names}
    lines = [f"{'':15}{'n':>6}" + "".join(f"{name:>{wide[name]}}" for name in names)]
    for kind, row in table.items():
        lines.append(f"{kind:15}{row['n']:6}" + "".join(f"{row[name]:{wide[name]}.3f}" for name in names))
    return "\n".join(lines)


def _rouge(against: str, references: list[str], summaries: list[str]) -> dict[str, list[float]]:
    from rouge_score.rouge_scorer import RougeScorer

    names = {"rouge1": f"R1/{against[:3]}", "rouge2": f"R2/{against[:3]}", "rougeL": f"RL/{against[:3]}"}
    scorer: Callable = RougeScorer(list(names), use_stemmer=False).score
    scored = [scorer(reference, summary) for reference, summary in zip(references, summaries, strict=True)]
    return {label: [scores[name].fmeasure for scores in scored] for name, label in names.items()}
