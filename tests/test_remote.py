"""Inputs, models, reports and outputs at URLs, through fsspec's file systems in memory and on this disk."""

import builtins
import gzip
import json
import sys
from pathlib import Path

import fsspec
import pytest
from commands.test_score_in_process import Killed, kill_after, lines, refused
from fake_quals import FakeQuals, run  # noqa: F401 - run is a fixture

from quals_jax.commands import rerank
from quals_jax.commands.compare import main as compare
from quals_jax.remote import RemoteError, as_url, fetch_model, is_url, local_name, open_binary
from quals_jax.scoring.rows import Row, RowError, read_rows


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(params=["memory", "file"])
def place(request, tmp_path):
    """The URL of an empty folder."""
    if request.param == "file":
        return f"file://{tmp_path / 'bucket'}"
    files = fsspec.filesystem("memory")
    if files.exists("/bucket"):
        files.rm("/bucket", recursive=True)
    return "memory://bucket"


def put(url, contents):
    with fsspec.open(url, "wb", auto_mkdir=True) as file:
        file.write(contents)
    return url


def held(url):
    with fsspec.open(url, "rb") as file:
        return file.read()


def exists(url):
    files, path = fsspec.core.url_to_fs(url)
    return files.exists(path)


def test_what_is_a_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for url in ("gs://b/x", "s3://b/x", "memory://x", "file:///x", "abfss://c@a/x", Path("gs://b/x")):
        assert is_url(url) and "://" in as_url(url)
    for path in ("x", "a/b", "/a:/b", "-", "a:b", "c/d://e", None, "facebook/bart-large", "https", "~/x", "gs:"):
        assert not is_url(path)
    (tmp_path / "gs:").mkdir()
    (tmp_path / "gs:" / "x").touch()
    assert not is_url("gs://x")  # a file of this name is what is meant


def test_rows_come_from_urls(place):
    row = {"document": "d", "summary": "s"}
    text = (json.dumps(row) + "\n").encode()
    expected = [Row(0, 0, "d", ("s",))]
    assert list(read_rows(put(f"{place}/a.jsonl", text))) == expected
    assert list(read_rows(put(f"{place}/a.jsonl.gz", gzip.compress(text)))) == expected
    assert list(read_rows(put(f"{place}/a.csv", b"document,summary\nd,s\n"))) == expected
    for name, message in (("none.jsonl", "/none.jsonl: "), ("", "is a folder")):
        with pytest.raises(RowError, match=message) as caught:
            list(read_rows(f"{place}/{name}".rstrip("/")))
        assert "\n" not in str(caught.value)


FLAGS = ("--block_rows", 2, "--model", "m")


def test_a_run_from_url_to_url_is_that_of_files(place, run, monkeypatch):  # noqa: F811
    monkeypatch.setattr("quals_jax.evidence.sentences_for_report", lambda qagen: None)
    rows = lines("a", "bb", "", "dddd")
    source = put(f"{place}/rows.jsonl", rows)
    Path("rows.jsonl").write_bytes(rows)
    local = run(*FLAGS, "--input", "rows.jsonl", "--output", "o.jsonl")
    flags = (*FLAGS, "--input", source, "--output", f"{place}/out/o.jsonl", "--report", f"{place}/out/r.html")
    quals = FakeQuals()
    quals.reference_scores = None
    quals.qagen.only_gazette, quals.qagen.config, quals.qagen.eos_token_id = False, quals.qagen, 2
    status, table, error = run(*flags, quals=quals)
    assert status == 0 and not error
    assert table == local[1].replace("\nQUALS", f"report         {place}/out/r.html\n\nQUALS")
    assert held(f"{place}/out/o.jsonl") == Path("o.jsonl").read_bytes()
    assert json.loads(held(f"{place}/out/o.jsonl.run.json"))["arguments"]["input"] == source
    assert b"dddd" in held(f"{place}/out/r.html")
    assert not Path("memory:").exists() and not Path("file:").exists()
    assert compare([f"{place}/out/o.jsonl", "o.jsonl"]) == 0


def test_a_killed_run_leaves_nothing_there_and_goes_on(place, run):  # noqa: F811
    source, output = put(f"{place}/rows.jsonl", lines(*"abcdef")), f"{place}/o.jsonl"
    flags = (*FLAGS, "--input", source, "--output", output)
    with pytest.raises(Killed):
        run(*flags, quals=kill_after(2))
    assert not exists(output) and Path(f"{local_name(output)}.partial").read_bytes().count(b"\n") > 0
    quals = kill_after(9)
    assert run(*flags, quals=quals)[0] == 0 and quals.blocks < 3 and held(output).count(b"\n") == 6


def test_a_finished_run_is_known_from_another_machine(place, run, tmp_path, monkeypatch):  # noqa: F811
    source, output = put(f"{place}/rows.jsonl", lines("a", "b")), f"{place}/o.jsonl"
    flags = (*FLAGS, "--input", source, "--output", output)
    first = run(*flags)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    quals = kill_after(0)
    assert run(*flags, quals=quals) == first and quals.blocks == 0
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "third"))
    put(source, lines("a", "c"))
    refused(run(*flags), "was made from other rows", "--overwrite")
    assert run(*flags, "--overwrite")[0] == 0 and b'"c"' in held(output)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "fourth"))
    put(f"{output}.run.json", b"")
    fsspec.core.url_to_fs(output)[0].rm(fsspec.core.url_to_fs(f"{output}.run.json")[1])
    refused(run(*flags), "o.jsonl: is there without its o.jsonl.run.json", "--overwrite")


def test_an_output_that_cannot_be_sent_stays_here(place, run, monkeypatch):  # noqa: F811
    source, output = put(f"{place}/rows.jsonl", lines("a")), f"{place}/o.jsonl"
    flags = (*FLAGS, "--input", source, "--output", output)
    files = type(fsspec.core.url_to_fs(output)[0])
    with monkeypatch.context() as broken:
        broken.setattr(files, "put_file", lambda *all, **named: (_ for _ in ()).throw(OSError("quota\nexceeded")))
        refused(run(*flags), "o.jsonl: quota exceeded; the output is in ", "sends it again")
    quals = kill_after(0)
    assert run(*flags, quals=quals)[0] == 0 and quals.blocks == 0 and exists(output)


def test_models_come_from_urls(place, tmp_path):
    """A folder is fetched once, and again when its files have changed; the numbers are those of the folder."""
    import jax
    from tiny_qagen import make_tiny_qagen

    from quals_jax import QAGen

    folder = make_tiny_qagen(tmp_path / "tiny")
    for file in folder.iterdir():
        put(f"{place}/models/tiny/{file.name}", file.read_bytes())
    here, there = (
        QAGen.from_pretrained(path, tokenizer=tokenizer, devices=jax.devices()[:1])
        for path, tokenizer in ((folder, None), (f"{place}/models/tiny", f"{place}/models/tiny"))
    )
    assert there.fingerprint == here.fingerprint and there.name == f"{place}/models/tiny"
    local = fetch_model(f"{place}/models/tiny")
    assert local.name == "tiny" and fetch_model(f"{place}/models/tiny") == local
    put(f"{place}/models/tiny/more.txt", b"more")
    assert (fetch_model(f"{place}/models/tiny") / "more.txt").read_bytes() == b"more"
    assert fetch_model(f"{place}/models/tiny/more.txt").read_bytes() == b"more"
    with pytest.raises(ValueError, match="models/none: there is no such file or folder"):
        QAGen.from_pretrained(f"{place}/models/none")


@pytest.mark.parametrize("flag", ["--output", "--report", "--input", "--model"])
def test_without_the_packages_it_is_one_line(run, monkeypatch, flag):  # noqa: F811
    """It was a folder named `gs:` and status 0."""
    Path("i.jsonl").write_bytes(lines("a"))
    imported = builtins.__import__

    def without(name, *rest):
        if name.partition(".")[0] in ("gcsfs", "fsspec"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return imported(name, *rest)

    for name in [name for name in sys.modules if name.partition(".")[0] in ("gcsfs", "fsspec")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    flags = {"--input": "i.jsonl", "--output": "o.jsonl", "--model": "m", flag: "gs://bucket/x"}
    if flag == "--model":
        with pytest.raises(RemoteError, match=r"gs://bucket/x: needs the packages of the extra 'cloud': pip install"):
            fetch_model("gs://bucket/x")
        return
    refused(run(*(part for pair in flags.items() for part in pair)), "gs://bucket/x", "pip install 'quals_jax[cloud]'")
    assert not Path("gs:").exists()


def test_other_mistakes_with_urls_are_one_line(run, place):  # noqa: F811
    Path("i.jsonl").write_bytes(lines("a"))
    put(f"{place}/folder/x", b"")
    for flags, parts in (
        (("--output", "nosuch://b/o.jsonl"), ("nosuch://b/o.jsonl", "nosuch")),
        (("--output", f"{place}/folder"), ("folder: is a folder",)),
        (("--output", "o.jsonl", "--report", f"{place}/folder"), ("folder: is a folder",)),
        (("--output", f"{place}/o", "--report", f"{place}/o"), ("which --output writes",)),
    ):
        refused(run(*FLAGS, "--input", "i.jsonl", *flags), *parts)


def test_commands_that_take_paths_alone_refuse_urls(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        rerank.main(["--input", "i.jsonl", "--output", "gs://bucket/best.jsonl"])
    assert end.value.code == 2 and not list(tmp_path.iterdir())
    assert "output is gs://bucket/best.jsonl, a URL; only a path on this machine" in capsys.readouterr().err


def test_a_file_of_this_disk_is_opened_as_ever(tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    with open_binary(str(tmp_path / "x")) as file:
        assert file.read() == b"x"


@pytest.mark.parametrize("url", ["file:/a/b.jsonl", "file:///a/b.jsonl", Path("file:///a/b.jsonl")])
def test_a_files_url_keeps_its_path(url):
    """One slash is as good as three, and what a `Path` makes of three."""
    assert as_url(url) == "file:///a/b.jsonl"
