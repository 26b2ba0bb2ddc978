"""The flags of `score.py`, and which of them do not go together."""

from __future__ import annotations

import codecs
import glob
import math
import os
from pathlib import Path

from quals_jax.commands.errors import Parser, UserError
from quals_jax.remote import RemoteError, is_url, reach
from quals_jax.scoring.job import AUTO
from quals_jax.scoring.ledger import ENDINGS, refuse_special
from quals_jax.scoring.shards import shard_of

# The least and the most that is taken.
LIMITS = {
    "num_beams": (1, 1000),
    "batch_size": (1, 4096),
    "block_rows": (1, 1_000_000),
    "max_pairs": (0, 1_000_000),
    "report_rows": (1, 1_000_000),
    "report_sentences": (0, 1_000_000),
}
STRONGEST = 1e6
DESCRIPTION = "Scores summaries against their documents with QUALS. Near 0: the document supports the summary; far below 0: it does not."
USAGE = (
    "score.py (--input FILE | --documents FILE --summaries FILE | --document TEXT --summary TEXT) [--output FILE] ..."
)
EXAMPLES = """examples:
  python score.py --input pairs.jsonl --output scores.jsonl --report report.html
  python score.py --documents test.source --summaries test.hypo --model DIR_OR_PT_OR_HUB_ID
"""
FORMS = (("input",), ("documents", "summaries"), ("document", "summary"))
INPUT = (
    (
        "input",
        "FILE",
        "JSONL, JSON, CSV, TSV, Parquet, Arrow, a saved data set; several; - standard input",
    ),
    ("documents", "FILE", "one document a line; goes with --summaries"),
    ("summaries", "FILE", 'one summary a line, or {"summaries": [...]}'),
    ("document", "TEXT", "a single document; goes with --summary"),
    ("summary", "TEXT", "a single summary (one that begins with -: --summary=-x)"),
)
LONG_DOCUMENTS = {
    "choices": ("truncate", "windows"),
    "default": "truncate",
    "metavar": "HOW",
    "help": "truncate, or windows: read whole what is longer than the model reads (truncate)",
}
MODEL = "Hugging Face folder, fairseq .pt or hub id (the embedded one, of Gazette alone)"


def parser() -> Parser:
    parser = Parser(prog="score.py", usage=USAGE, description=DESCRIPTION, epilog=EXAMPLES)
    add = parser.add_argument_group("input (one of the three)").add_argument
    for name, value, text in INPUT:
        several = {"nargs": "+", "action": "extend"} if name == "input" else {}
        add(f"--{name}", metavar=value, help=text, **several)
    add("--document_column", metavar="NAME", help="the field that holds the document (document, or a known pair)")
    add("--summary_column", metavar="NAME", help="the field that holds the summary, or a list of them (summary)")
    add("--id_column", metavar="NAME", help="the field that holds the id (id)")
    add("--encoding", metavar="NAME", help="of text files, such as cp1252 (UTF-8, or UTF-16 with its mark)")
    add("--on_error", choices=("stop", "skip"), default="stop", help="what to do with a bad row (stop)")
    add = parser.add_argument_group("output").add_argument
    add("--output", metavar="FILE", help="JSONL, a path or a URL; without it the rows go to standard output")
    add("--report", metavar="FILE", help="an HTML page to look at the results; needs --output")
    add("--report_rows", type=int, default=2000, metavar="N", help="rows that the page holds, the worst (2000)")
    told = "the worst rows, whose documents are read again to mark where to look (20)"
    add("--report_sentences", type=int, default=20, metavar="N", help=told)
    add("--summary_json", metavar="FILE", help="mean, interval and counts as one JSON object")
    add("--group_by", metavar="FIELD", help="means by the values of this field, in table, report and --summary_json")
    add("--fail_below", type=float, metavar="X", help="end with status 1 where the mean is below X, or there is none")
    add("--quiet", action="store_true", help="standard output is the mean alone, one number")
    add("--overwrite", action="store_true", help="start afresh even if the output is there")
    add(
        "--shard",
        metavar="I/N",
        help="take every N-th block from the I-th on (from 0); `merge` joins them",
    )
    add(
        "--distributed",
        action="store_true",
        help="one of a cluster's processes: each takes its shard, OUTPUT.I-of-N",
    )
    add("--block_rows", type=int, metavar="N", help="input rows worked on together (as suits the devices)")
    add("--verbose", action="store_true", help="progress and compilations on standard error, terminal or not")
    add(
        "--profile",
        metavar="DIR",
        help="what the devices do in the first block and 20 s after it, for XProf or Perfetto",
    )
    add = parser.add_argument_group("metric").add_argument
    add("--model", metavar="PATH", help=MODEL)
    add("--tokenizer", metavar="DIR", help="the tokenizer's folder, if the model has none beside it")
    add(
        "--covering",
        action="store_true",
        help="answers are spans of the summary, and as many pairs are sampled; not the paper's",
    )
    says = "ask the document too: what it answers to every question, how likely, and where"
    add("--document_answers", action="store_true", help=says)
    agree = "QUALS-F1 too: how far these answers agree with the summary's"
    add("--f1", action="store_true", help=agree)
    formats = "connector, sep or qag: how the model writes pairs, where its folder does not say"
    add("--pair_format", metavar="NAME", help=formats)
    add("--revision", metavar="REV", help="of a hub id: a branch, tag or commit")
    add("--num_beams", type=int, default=60, metavar="N", help="pairs written for a summary (60)")
    add("--num_groups", type=int, metavar="N", help="groups of diverse beam search (as many as beams)")
    add("--diversity_strength", type=float, default=0.5, metavar="X", help="of the groups' penalty (0.5)")
    add("--max_pairs", type=int, default=10, metavar="N", help="pairs kept, about; 0 keeps all (10)")
    score = "likelihood, or beam: as the released code (likelihood)"
    add("--summary_score", choices=("likelihood", "beam"), default="likelihood", metavar="S", help=score)
    add("--long_documents", **LONG_DOCUMENTS)
    add(
        "--force",
        action="store_true",
        help="percentiles and marks also where the embedded model knows nothing of the texts",
    )
    told = "rows per device (8); auto: as many as its memory holds"
    add("--batch_size", type=batch_size, default=8, metavar="N", help=told)
    add(
        "--dtype",
        choices=("float32", "tf32", "bfloat16"),
        default="float32",
        help="of matrix products (float32); tf32: GPUs alone",
    )
    told = "kernels of ours to compute with, choice, cache, attention, or all; nobody has run them on an accelerator (none)"
    add("--kernels", default="none", metavar="NAMES", help=told)
    return parser


def batch_size(text: str) -> int | str:
    """A number, or that it be found."""
    return AUTO if text == AUTO else int(text)


def check(options) -> None:
    """Refuses flags that do not go together, before anything is loaded.

    Raises:
        UserError: naming the flag.
    """
    if options.input is not None:
        options.input = files_of(options.input)
    if options.encoding is not None:
        try:
            codecs.lookup(options.encoding)
        except LookupError:
            raise UserError(
                f"--encoding {options.encoding}: is no encoding that Python knows, such as utf-8 or cp1252"
            ) from None
    named = [name for name in ("document_column", "summary_column", "id_column") if getattr(options, name)]
    if named and options.input is None:
        raise UserError(f"--{named[0]} goes with --input")
    used = [form for form in FORMS if any(getattr(options, name) is not None for name in form)]
    if len(used) != 1 or any(getattr(options, name) is None for name in used[0]):
        raise UserError(
            "score.py: name one input: --input FILE, or --documents FILE --summaries FILE, or --document TEXT --summary TEXT"
        )
    if options.documents == "-" and options.summaries == "-":
        raise UserError("--documents and --summaries cannot both be standard input")
    for name, (low, high) in LIMITS.items():
        if getattr(options, name) not in (None, AUTO) and not low <= getattr(options, name) <= high:
            raise UserError(f"--{name} is {getattr(options, name)}; it must be from {low} to {high}")
    if options.num_groups is not None and (options.num_groups < 1 or options.num_beams % options.num_groups):
        raise UserError(f"--num_groups is {options.num_groups}; it must divide --num_beams, {options.num_beams}")
    if not 0 <= options.diversity_strength <= STRONGEST:
        raise UserError(f"--diversity_strength is {options.diversity_strength}; it must be from 0 to {STRONGEST:.0f}")
    for name in ("model", "tokenizer"):
        path = getattr(options, name) or ""
        if path.startswith("~") and os.path.expanduser(path) == path:
            raise UserError(f"--{name} is {path}; there is no such home folder, name a path")
    if options.shard is not None:
        shard_of(options.shard)
    if options.shard is not None and options.distributed:
        raise UserError("--distributed finds the shard itself: leave out --shard")
    for name in ("report", "shard", "distributed"):
        if getattr(options, name) and not options.output:
            raise UserError(f"--{name} needs --output")
    if options.fail_below is not None and not math.isfinite(options.fail_below):
        raise UserError(f"--fail_below is {options.fail_below}; it must be a number")
    _check_files(options)


def files_of(words: list[str]) -> str | list[str]:
    """The files that the words of `--input` name: each a path, or a pattern such as part-*.jsonl. One alone is no list.

    Raises:
        UserError: if a pattern fits nothing.
    """
    files = []
    for word in words:
        if any(mark in word for mark in "*?[") and not os.path.exists(word) and not is_url(word):
            found = sorted(glob.glob(word, recursive=True))
            if not found:
                raise UserError(f"--input {word}: no file fits this pattern")
            files += found
        else:
            files.append(word)
    if "-" in files and len(files) > 1:
        raise UserError("--input: standard input cannot be one of several files")
    return files[0] if len(files) == 1 else files


def _check_files(options) -> None:
    """No file is both read and written; and a report that could not be written is found before hours of work."""
    read = []
    for name in ("input", "documents", "summaries", "model"):
        given = getattr(options, name) or []
        read += [(name, path) for path in ([given] if isinstance(given, str) else given)]
    pages = [name for name in ("report", "summary_json") if getattr(options, name)]
    if options.output:
        refuse_special(Path(options.output))
    for ending in ENDINGS if options.output else ():
        own = options.output + ending
        for other, path in [*read, *((page, getattr(options, page)) for page in pages)]:
            if _same(own, path):
                raise UserError(f"--{other} is {own}, which --output writes; name another file")
    for page in pages:
        for other, path in [*read, *((name, getattr(options, name)) for name in pages if name < page)]:
            if _same(getattr(options, page), path):
                raise UserError(f"--{page} and --{other} are the same file, {getattr(options, page)}")
    for place in (options.output, options.report, options.summary_json):
        if is_url(place):
            try:
                reach(place)
            except RemoteError as error:
                raise UserError(error) from None
    for page in pages:
        path = getattr(options, page)
        if not is_url(path):
            refuse_unwritable(path, page)


def refuse_unwritable(path: str, flag: str) -> None:
    """Finds before the work what could not be written after it.

    Raises:
        UserError: if the path is a folder, or its folder is not ours to write in.
    """
    nearest = os.path.dirname(path) or "."
    while not os.path.exists(nearest):
        nearest = os.path.dirname(nearest) or "."
    if os.path.isdir(path):
        raise UserError(f"{path}: is a folder; name a file for --{flag}")
    if not os.path.isdir(nearest) or not os.access(nearest, os.W_OK):
        raise UserError(f"{path}: cannot be written there")


def _same(one: str, other: str) -> bool:
    if os.path.exists(one) and os.path.exists(other):
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)
