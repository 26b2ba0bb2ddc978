"""QUALS beside QAGS: seconds a summary of the same texts and model sizes, random weights, here and in PyTorch.

    python benchmarks/qags.py [--shape large] [--summaries 1] [--runs 1] [--peer_python PEER/bin/python]

A summary of 30 tokens, a document of 600. QUALS: one BART writes 60 hypotheses of 25 tokens (a question of 20, an answer of 5)
and scores 10 of them against summary and document. QAGS: a BART of the same size asks for 10 answers of 5 tokens, 10 beams of 20 tokens
each; a BERT of the same name answers the 100 questions from the summary, and the 20 that are kept from the document, in windows of 384 with
stride 128. Random weights keep and drop nothing by themselves, so that as many are kept as QAGS's settings allow. Finding the
answers in the summary, tokenisers and comparing of answers are not counted.

In PyTorch (transformers==4.56.2, in the environment of --peer_python) QAGS goes question by question: a search for every answer, a
reading for every question and window. QUALS there is a group beam search and the pairs of a document in one batch.
Each side has a process of its own and they take turns, after one run that is not counted, and in which ours compiles.
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import peers
from models import DOCUMENT, PAIR, SHAPES, SUMMARY, Shape, random_bart, random_ids, random_qagen

ANSWERS, BEAMS, KEPT = 10, 10, 20  # as in QagsConfig
ANSWER, QUESTION = 5, 20  # tokens; together a pair of QUALS
WINDOW, STRIDE = 384, 128
PIECES, SPECIAL = 30522, 3  # of BERT's vocabulary; [CLS], [SEP] and [SEP]
STAGES = {
    "QUALS": ("quals decode", "quals score"),
    "QAGS": ("qags questions", "qags summary", "qags document"),
}  # fmt: skip
TINY = Shape(64, 2, 4, 1000)  # to see that it runs


@dataclass(frozen=True)
class Inputs:
    """Ids of `summaries` summaries: their texts, what the generator reads, and what the reader reads in each of its two turns."""

    asked: list[list[int]]
    summaries: list[list[int]]
    documents: list[list[int]]

    @classmethod
    def of(cls, count: int, vocabulary: int) -> "Inputs":
        question = SPECIAL + QUESTION
        return cls(
            asked=random_ids(count * ANSWERS, SUMMARY + ANSWER, 3, vocabulary),
            summaries=random_ids(count * ANSWERS * BEAMS, question + SUMMARY, 4, PIECES),
            documents=[
                ids
                for number, part in enumerate(parts(DOCUMENT, WINDOW - question))
                for ids in random_ids(count * KEPT, question + part, 5 + number, PIECES)
            ],
        )


def parts(length: int, room: int) -> list[int]:
    """The lengths of the windows of a text (as quals_jax/windows.py cuts it, which the process without it needs too)."""
    found, first = [], 0
    while True:
        found.append(min(room, length - first))
        if first + room >= length:
            return found
        first += min(STRIDE, room)


def sizes(shape: Shape) -> dict:
    """A BERT as large as BART is: base or large, with as many layers as encoder and decoder have together."""
    return {
        "vocab_size": PIECES, "hidden_size": shape.width, "num_hidden_layers": 2 * shape.layers,
        "num_attention_heads": shape.heads, "intermediate_size": 4 * shape.width,
    }  # fmt: skip


def ours(shape: Shape, count: int, dtype: str, batch_size: int):
    """A function of a stage's name that gives what runs it here."""
    from quals_jax.commands.runtime import prepare

    prepare()
    from flax import nnx

    from quals_jax.decoding.search_config import SearchConfig
    from quals_jax.encoder import Encoder
    from quals_jax.models.bert import Bert, BertConfig
    from quals_jax.pairs import QAPair
    from quals_jax.precision import Precision
    from quals_jax.seq2seq import Seq2Seq

    bart, precision = random_bart(shape, dtype), Precision.of(dtype)
    qagen = random_qagen(bart, batch_size=count, dtype=dtype)
    generator = Seq2Seq(bart, precision=precision, batch_size=batch_size)
    bert = Bert(BertConfig(**sizes(shape)), head="span", rngs=nnx.Rngs(1), dtype=precision.compute)
    reader = Encoder(bert, precision=precision, batch_size=batch_size)
    search = SearchConfig(num_beams=BEAMS, num_groups=1, min_length=QUESTION - 1, max_length=QUESTION - 1)
    texts = Inputs.of(count, shape.vocabulary)

    def make(what: str):
        summaries, documents, pairs = peers.inputs(shape, count)
        kept = [[QAPair("", None, tokens) for tokens in pairs]] * count
        return {
            "quals decode": lambda: qagen.generate_ids(summaries),
            "quals score": lambda: qagen.score_ids(documents, kept),
            "qags questions": lambda: list(generator.search(texts.asked, search)),
            "qags summary": lambda: reader.spans(segmented(texts.summaries)),
            "qags document": lambda: reader.spans(segmented(texts.documents)),
        }[what]

    return make


def segmented(sources: list[list[int]]) -> list[tuple[list[int], list[int]]]:
    """With the segments of a question (and its two special tokens) and a text."""
    question = QUESTION + 2
    return [(ids, [0] * question + [1] * (len(ids) - question)) for ids in sources]


def theirs(shape: Shape, count: int, dtype: str, batch_size: int):
    """The same in PyTorch; `batch_size` is not used, as every question is read alone."""
    import torch
    from transformers import BertConfig, BertForQuestionAnswering

    quals = peers.theirs(shape)
    bart = peers.their_bart(shape)
    bert = BertForQuestionAnswering(BertConfig(**sizes(shape))).eval()
    texts = Inputs.of(count, shape.vocabulary)

    def ask():
        for ids in texts.asked:
            source = torch.tensor([ids])
            bart.generate(
                source, attention_mask=torch.ones_like(source), num_beams=BEAMS, num_return_sequences=BEAMS,
                do_sample=False, min_length=QUESTION + 1, max_length=QUESTION + 1,
            )  # fmt: skip

    def read(sources):
        for ids, segments in segmented(sources):
            bert(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([segments]))

    def make(what: str):
        if what.startswith("quals"):
            return quals(what.split()[1], count, PAIR)
        run = {
            "qags questions": ask,
            "qags summary": lambda: read(texts.summaries),
            "qags document": lambda: read(texts.documents),
        }[what]

        def without_gradients():
            with torch.inference_mode():
                run()

        return without_gradients

    return make


def measure(arguments: list[str], pythons: dict[str, str], runs: int, count: int) -> dict[str, dict[str, float]]:
    """Of every side, the seconds a summary that each stage takes: medians."""
    workers = {
        side: subprocess.Popen(
            [python, __file__, "--work", side, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for side, python in pythons.items()
    }
    found: dict[str, dict[str, float]] = {side: {} for side in workers}
    for stage in (stage for own in STAGES.values() for stage in own):
        seconds = [{side: peers.ask(worker, stage) for side, worker in workers.items()} for _ in range(runs)]
        for side in workers:
            found[side][stage] = statistics.median(row[side] for row in seconds) / count
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return found


def report(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """Prints the table; gives the ratios."""
    sides = list(found)
    print(f"{'seconds a summary':26}" + "".join(f"{side:>13}" for side in sides))
    totals = {}
    for metric, stages in STAGES.items():
        for stage in stages:
            print(f"{stage:26}" + "".join(f"{found[side][stage]:13.3f}" for side in sides))
        for side in sides:
            totals[metric, side] = sum(found[side][stage] for stage in stages)
        print(f"{metric:26}" + "".join(f"{totals[metric, side]:13.3f}" for side in sides))
    ratios = {}
    for side in sides:
        ratios[f"QAGS {side} / QUALS ours"] = totals["QAGS", side] / totals["QUALS", "ours"]
    if "PyTorch" in sides:
        ratios["QAGS PyTorch / QUALS PyTorch"] = totals["QAGS", "PyTorch"] / totals["QUALS", "PyTorch"]
    for name, ratio in ratios.items():
        print(f"{name:39}{ratio:13.2f}")
    return ratios


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shape",
        choices=(*(name for name in SHAPES if not SHAPES[name].t5), "tiny"),
        default="large",
        help="of BART and BERT (large)",
    )
    parser.add_argument("--summaries", type=int, default=1, help="that are worked on together (1)")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--batch_size", type=int, default=10, help="of QAGS's questions, ours (10)")
    parser.add_argument("--dtype", choices=("float32", "tf32", "bfloat16"), default="float32", help="ours")
    parser.add_argument("--peer_python", help="of an environment with torch and transformers==4.56.2")
    parser.add_argument("--output", type=Path, help="JSON of what is printed")
    parser.add_argument("--work", choices=("ours", "PyTorch"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        make = {"ours": ours, "PyTorch": theirs}[options.work]
        shape = (SHAPES | {"tiny": TINY})[options.shape]
        stages = {stage: (stage,) for own in STAGES.values() for stage in own}
        return peers.work(make(shape, options.summaries, options.dtype, options.batch_size), stages)
    names = ("shape", "summaries", "batch_size", "dtype")
    arguments = [word for name in names for word in (f"--{name}", str(getattr(options, name)))]
    pythons = {"ours": sys.executable} | ({"PyTorch": options.peer_python} if options.peer_python else {})
    found = measure(arguments, pythons, options.runs, options.summaries)
    ratios = report(found)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(
            json.dumps({"seconds": found, "ratios": ratios} | vars(options), indent=1, default=str)
        )


if __name__ == "__main__":
    main()
