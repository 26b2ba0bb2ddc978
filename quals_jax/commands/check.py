"""`python -m quals_jax check MODEL`: what a QAGen would do in practice, on ten short texts with a true and a false summary each.

    python -m quals_jax check lmqg/t5-small-squad-qag
    python -m quals_jax check out/qagen/model --references references.jsonl

Prints how many of its pairs split into question and answer and how many are kept, examples, how far true and false summaries are apart,
how fast it is and what memory it takes. With --references (rows of documents and reference summaries) it keeps their scores beside the
model, for percentiles.
"""

from __future__ import annotations

from pathlib import Path

from quals_jax.commands.errors import Parser, UserError, standard_output
from quals_jax.shipped import NEWS


def main(arguments: list[str]) -> int:
    """Runs the command; the exit status."""
    parser = Parser(prog="python -m quals_jax check", description=__doc__)
    parser.add_argument("model", help="a folder, a fairseq .pt or a hub id")
    parser.add_argument(
        "--input",
        default=str(NEWS),
        help="rows with a document and two summaries, the true one first (examples/news.jsonl)",
    )
    parser.add_argument("--references", help="rows with documents and reference summaries, for percentiles")
    parser.add_argument("--tokenizer", help="the folder of its tokenizer, where it has none beside it")
    parser.add_argument("--revision", help="of a hub id: a branch, tag or commit")
    parser.add_argument("--pair_format", help="how it writes pairs, where its folder does not say")
    parser.add_argument(
        "--num_beams", type=int, default=60, help="of diverse beam search, each a group of its own (60)"
    )
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args(arguments)
    from quals_jax.commands.rerank import read

    rows = [row for block in read(options.input) for row in block.rows]
    if strange := next((row for row in rows if len(row.summaries) != 2), None):
        raise UserError(
            f"{options.input}: row {strange.number} has {len(strange.summaries)} summaries; a true and a false one are wanted"
        )
    references = [row for block in read(options.references) for row in block.rows] if options.references else []
    from quals_jax.commands.runtime import prepare

    prepare()
    from quals_jax.decoding.diverse_beam import SearchConfig
    from quals_jax.model_check import check_model
    from quals_jax.qagen import QAGen
    from quals_jax.quals import Quals

    try:
        quals = Quals(
            QAGen.from_pretrained(
                options.model, options.tokenizer, SearchConfig(num_beams=options.num_beams), options.dtype, options.batch_size,
                pair_format=options.pair_format, revision=options.revision,
            )
        )  # fmt: skip
    except (ValueError, OSError) as error:
        raise UserError(error) from None
    texts = ([row.document for row in rows], [row.summaries[0] for row in rows], [row.summaries[1] for row in rows])
    with standard_output():
        print("\n".join(lines(check_model(quals, *texts), quals, len(rows))))
    if references:
        _keep_distribution(quals, options.model, references, options.references)
    return 0


def lines(found, quals, texts: int) -> list[str]:
    """What was found, line by line; the last says what to make of it."""
    from quals_jax.model_check import LEAST_SPLIT

    shown = [
        f"texts          {texts}, each with a true and a false summary",
        f"pairs that split into question and answer  {found.split:.0%}",
        f"pairs whose answer is in the summary       {found.kept:.0%}",
    ]
    for summary, pairs in found.examples:
        shown.append(f"  {summary[:100]}")
        shown += [f"  {pair.score:8.3f}  {pair.question.strip()} -> {pair.answer.strip()}" for pair in pairs] or [
            "            no pair was kept"
        ]
    if found.true is not None:
        shown.append(f"mean QUALS     {found.true:.3f} of true summaries, {found.false:.3f} of false ones")
        shown.append(f"true one higher in {found.right:.0%} of texts")
    if found.unscored:
        shown.append(f"without score  {found.unscored} texts")
    shown += [
        f"speed          {found.rate:.2f} summaries a second",
        f"memory         {found.memory:.1f} GB at most",
        quals.signature,
    ]
    if found.split < LEAST_SPLIT:
        shown.append("This is no QAGen, or it writes pairs in another format: try --pair_format connector, sep or qag.")
    elif found.true is None:
        shown.append(
            "No answer was kept: the model has not learnt to answer from the text, or was made for another language."
        )
    elif found.true - found.false < 0.05:
        shown.append("True and false summaries come out alike: do not rely on this model for such texts.")
    return shown


def _keep_distribution(quals, model: str, references: list, source: str) -> None:
    """Writes the references' scores beside the model."""
    from quals_jax.distribution import write_distribution

    folder = Path(model)
    if not folder.is_dir():
        raise UserError(f"{model}: is no folder, and percentiles lie beside the model; download it to a folder first")
    documents = [row.document for row in references for _ in row.summaries]
    results = quals.score(documents, [summary for row in references for summary in row.summaries])
    scores = [result.quals for result in results if result.quals is not None]
    if not scores:
        raise UserError(f"{source}: no summary has a score")
    try:
        path = write_distribution(folder, source, quals.signature, quals.qagen.fingerprint, scores)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from None
    with standard_output():
        print(f"{path}: {len(scores)} scores, median {sorted(scores)[len(scores) // 2]:.3f}")
