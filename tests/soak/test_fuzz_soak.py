"""score.py on files of every kind, good, bad and absurd: each ends with status 0, or with one line and status 2."""

import gzip
import io
import json
import os
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_qagen import make_tiny_qagen

from quals_jax.commands import score
from quals_jax.scoring.job import ScoreJob
from quals_jax.scoring.metric import load_quals

CASES = 400
ended = Counter()

TEXT = st.text(max_size=40) | st.sampled_from(
    ["a cat sat", "", " ", "tea", "\0", '"', "a\u2028b", "a\r\nb", "-x", "{}", "x" * 600]
)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=2), max_leaves=5
)
GOOD = st.fixed_dictionaries({"document": TEXT, "summary": TEXT}, optional={"id": VALUE, "kind": VALUE, "quals": VALUE})
LISTED = st.fixed_dictionaries({"document": TEXT, "summaries": st.lists(TEXT, max_size=3)}, optional={"id": VALUE})
BROKEN = st.dictionaries(st.sampled_from(["document", "summary", "summaries", "id"]) | TEXT, VALUE, max_size=4)
JSON_LINE = (GOOD | LISTED | BROKEN).map(lambda row: json.dumps(row).encode())
DEEP = st.integers(1, 1100).map(lambda n: b'{"document": "d", "summary": "s", "x": ' + b"[" * n + b"]" * n + b"}")
LINE = st.one_of(
    DEEP,
    JSON_LINE,
    JSON_LINE,
    JSON_LINE,
    st.binary(max_size=30),
    TEXT.map(lambda text: text.encode()),
    st.just(b"[" * 2000),
    st.just(b'{"document": "\\ud800"}'),
)
FIELD = TEXT | TEXT.map(lambda text: '"' + text.replace('"', '""') + '"') | TEXT.map(lambda text: f'"{text}')
END = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"])


def table(separator):
    """Files with a header that is right more often than not."""
    header = st.sampled_from(
        [["document", "summary"], ["id", "document", "summary"], ["summary", "document", "document"], ["text"], []]
    )
    record = st.lists(FIELD, max_size=4)
    lines = st.tuples(header, st.lists(record, max_size=6)).map(lambda both: [both[0], *both[1]])
    lines = lines.map(lambda records: [separator.join(record).encode("utf-8", "surrogatepass") for record in records])
    return st.tuples(lines, st.lists(st.binary(max_size=3), max_size=2), END).map(
        lambda parts: parts[2].join([*parts[0], *parts[1]])
    )


def joined(lines):
    return st.tuples(st.lists(lines, max_size=6), END).map(lambda parts: parts[1].join(parts[0]) + parts[1])


def packed(contents):
    """Sometimes cut or damaged, too."""
    cut = st.integers(0, 60)
    return st.tuples(contents, st.booleans(), cut).map(
        lambda p: gzip.compress(p[0])[: -p[2] or None] if p[1] else gzip.compress(p[0])
    )


JSONL, PLAIN = joined(LINE), joined(TEXT.map(lambda text: text.encode()) | st.binary(max_size=8) | JSON_LINE)
FILES = st.one_of(
    st.tuples(st.sampled_from(["i.jsonl", "-", "i", "i.CSV.txt"]), JSONL),
    st.tuples(st.sampled_from(["i.csv", "i.CSV"]), table(",")),
    st.tuples(st.just("i.tsv"), table("\t")),
    st.tuples(st.just("i.jsonl.gz"), packed(JSONL) | JSONL),
    st.tuples(st.just("i.csv.gz"), packed(table(","))),
)
FLAGS = st.fixed_dictionaries(
    {},
    optional={
        "--on_error": st.sampled_from(["skip", "skip", "stop"]),
        "--block_rows": st.integers(1, 5) | st.sampled_from([0, -1, 10**20]),
        "--shard": st.sampled_from(["0/1", "0/2", "1/2", "2/2", "x", "0/", "1/99999999999999999999"]),
        "--output": st.sampled_from(
            ["o.jsonl", "o.jsonl", "o.jsonl", "i.jsonl", "folder", "/dev/null", "none/o", "", "i/x", "i.jsonl.partial"]
        ),
        "--report": st.sampled_from(["o.html", "o.jsonl.run.json", "i.jsonl", "folder", "r/s.html"]),
    },
)


@pytest.fixture(scope="module")
def quals(tmp_path_factory):
    model = make_tiny_qagen(tmp_path_factory.mktemp("tiny"))
    return load_quals(ScoreJob(model=str(model), num_beams=16, batch_size=1))


@pytest.fixture(scope="module")
def run(quals, tmp_path_factory):
    """score.py's command in this process and in an empty folder, with the model loaded once."""

    def run(flags, files, folder=None):
        folder = folder or tmp_path_factory.mktemp("case")
        (folder / "folder").mkdir(exist_ok=True)
        for name, contents in files.items():
            if name != "-":
                (folder / name).write_bytes(contents)
        kept = sys.stdin, sys.stdout, sys.stderr, os.getcwd()
        sys.stdin = io.TextIOWrapper(io.BytesIO(files.get("-", b"")))
        sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
        try:
            os.chdir(folder)
            status = score.main(flags)
        except SystemExit as end:
            status = end.code
        finally:
            output, error = sys.stdout.getvalue(), sys.stderr.getvalue()
            sys.stdin, sys.stdout, sys.stderr, back = kept
            os.chdir(back)
        return SimpleNamespace(status=status, output=output, error=error, folder=folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("quals_jax.commands.runtime.prepare", lambda verbose: None)
        patch.setattr("quals_jax.scoring.run.load_quals", lambda job: quals)
        yield run


def check(done, output):
    """One of the two ends; rows that are JSON with a score that is a number or null."""
    ended[done.status] += 1
    assert "Traceback" not in done.error
    if done.status == 2:
        assert done.error.count("\n") == 1 and 0 < len(done.error) < 3000, done.error
        return
    assert done.status == 0, done.error
    if not output:
        rows = done.output
    else:
        assert done.error == "" and "QUALS = " in done.output
        rows = (done.folder / output).read_bytes().decode("utf-8")
    for line in rows.split("\n")[:-1]:
        row = json.loads(line, parse_constant=pytest.fail)
        assert row["quals"] is None or row["quals"] <= 50
        assert row["num_pairs"] == len(row["pairs"]) and row["document"].strip()


def listed(flags):
    return [f"{name}={value}" for name, value in flags.items()]


COMMON = settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


@COMMON
@given(file=FILES, flags=FLAGS)
def test_files_of_every_kind(run, file, flags):
    name, contents = file
    output = flags.get("--output")
    done = run([f"--input={name}", *listed(flags)], {name: contents})
    check(done, output)
    assert (done.folder / "folder").is_dir() and Path("/dev/null").is_char_device()
    if name != "-":
        assert (done.folder / name).read_bytes() == contents  # the input is never written
        if done.status == 0 and output:
            assert run([f"--input={name}", *listed(flags)], {}, done.folder).output == done.output  # asked for again


@COMMON
@given(documents=PLAIN, summaries=PLAIN, flags=FLAGS, piped=st.sampled_from([None, None, None, "d", "s"]))
def test_parallel_files(run, documents, summaries, flags, piped):
    names = {"d": documents, "s": summaries}
    if piped:
        names["-"] = names.pop(piped)
    given = [f"--documents={'-' if piped == 'd' else 'd'}", f"--summaries={'-' if piped == 's' else 's'}"]
    check(run([*given, *listed(flags)], names), flags.get("--output"))


@COMMON
@given(document=TEXT, summary=TEXT, flags=FLAGS)
def test_texts_on_the_command_line(run, document, summary, flags):
    check(run([f"--document={document}", f"--summary={summary}", *listed(flags)], {}), flags.get("--output"))


def test_both_ends_were_reached():
    print(dict(ended))
    assert set(ended) == {0, 2} and min(ended.values()) > CASES / 4
