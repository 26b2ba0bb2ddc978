"""`python -m quals_jax evaluate`: summarizers on a data set: ROUGE, QUALS, and on Gazette what the oracle finds.

    python -m quals_jax evaluate --system mle=out/mle/model --system conseq=out/conseq/model \\
        --data gazette:test --rows 500 --output out/evaluation

Writes the rows of every system, results.json and page.html to the output folder, and prints the table. What is there
and still fits is not made again.
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, at_least


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax evaluate", description=__doc__)
    parser.add_argument(
        "--system", action="append", required=True, metavar="NAME=PATH", help="a summarizer; the first is the baseline"
    )
    parser.add_argument(
        "--data", default="gazette:test", help="gazette:SPLIT, jsonl:FILE, text:SOURCES,TARGETS or tfds:NAME#SPLIT"
    )
    parser.add_argument("--rows", type=at_least(0), default=0, help="the first so many documents (all; of Gazette 500)")
    parser.add_argument("--seed", type=int, default=7, help="of Gazette's stories (7)")
    parser.add_argument("--folder", default="", help="where tensorflow_datasets keeps its sets")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--tokenizer", help="a folder, for summarizers that have none beside them")
    parser.add_argument(
        "--metric",
        nargs="+",
        default=[],
        metavar="NAME",
        help="further metrics: NAME or NAME=MODEL; none: no more columns (on Gazette qags, and factcc if a model is embedded)",
    )
    parser.add_argument("--qagen", help="the model of QUALS (the embedded one)")
    parser.add_argument("--qagen_tokenizer", help="a folder, if that model has none beside it")
    parser.add_argument(
        "--num_beams", "--qagen_beams", type=int, default=60, help="of QUALS, each a group of its own (60)"
    )
    parser.add_argument(
        "--best_of",
        type=at_least(0),
        default=0,
        metavar="N",
        help="also the best by QUALS of the N beams of the baseline",
    )
    parser.add_argument(
        "--summary_beams",
        "--beams",
        type=int,
        help="of the summarizers' search; this and the next four: as each model says (6, 10, 60, 1.0, 0)",
    )
    parser.add_argument("--min_length", type=int)
    parser.add_argument("--max_length", type=int)
    parser.add_argument("--length_penalty", type=float)
    parser.add_argument("--no_repeat_ngram_size", type=int)
    parser.add_argument("--batch_size", type=int, default=16, help="documents on each device (16)")
    parser.add_argument("--dtype", default="float32", help="of matrix products: float32, tf32 (GPUs) or bfloat16")
    options = parser.parse_args(arguments)
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.metrics import MetricSettings, load
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals
    from quals_jax.recipes.documents import Documents
    from quals_jax.recipes.evaluation import System, evaluate, metrics_for

    given = {"num_beams": options.summary_beams}
    given |= {
        name: getattr(options, name) for name in ("min_length", "max_length", "length_penalty", "no_repeat_ngram_size")
    }
    given = {name: value for name, value in given.items() if value is not None}
    try:
        systems = [_system(word) for word in options.system]
        if options.best_of:
            systems.append(System(f"{systems[0].name}, best of {options.best_of}", systems[0].path, options.best_of))
        rows = options.rows or (500 if options.data.startswith("gazette:") else 0)
        documents = Documents(options.data, rows=rows, story_seed=options.seed, folder=options.folder)
        questions = SearchConfig(num_beams=options.num_beams)
        qagen = QAGen.from_pretrained(
            options.qagen, options.qagen_tokenizer, questions, options.dtype, options.batch_size
        )
        settings = MetricSettings(dtype=options.dtype, batch_size=options.batch_size)
        names, remarks = metrics_for(options.data, options.metric)
        text = evaluate(
            systems, documents, Quals(qagen), options.output, search=given, tokenizer=options.tokenizer,
            dtype=options.dtype, batch_size=options.batch_size, metrics={name: load(name, settings) for name in names},
            remarks=remarks,
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    print(text)
    return 0


def _system(word: str):
    from quals_jax.recipes.evaluation import System

    name, equals, path = word.partition("=")
    if not (name and equals and path):
        raise ValueError(f"--system {word}: must be NAME=PATH")
    return System(name, path)
