"""Every link, path, command and flag of the pages exists; what runs offline is run."""

import ast
import contextlib
import importlib
import io
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

import quals_jax
from quals_jax.commands import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
OUR_PATH = re.compile(r"`((?:docs|configs|quals_jax|tests|examples|benchmarks)/[\w./-]+)`")
names = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page, *languages):
    return [text for language, text in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def commands(page):
    """Every command of ours that a page tells to type, as words."""
    text = page.read_text(encoding="utf-8")
    plain = FENCE.sub("", text)
    pieces = [*blocks(page, "sh", "yaml"), *INDENTED.findall(plain), *re.findall(r"`([^`\n]+)`", plain)]
    for line in "\n".join(pieces).replace("\\\n", " ").splitlines():
        found = re.search(
            r"(?:python\S*\s+(?P<file>score|train)\.py|python\S* -m quals_jax|quals-jax)(?P<rest>[^`|>&]*)", line
        )
        if not found:
            continue
        words = split(found["rest"].strip())
        name = found["file"] or (words.pop(0) if words else "")
        if name in ("NAME", "COMMAND", "...", ""):
            continue
        yield name, words


def split(line):
    """The words of a command; one that stands within quotes brings the last of them with it."""
    for text in (line, line.strip("'\")")):
        with contextlib.suppress(ValueError):
            return shlex.split(text, comments=True)
    return line.split()


@names
def test_links_and_paths_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", text):
        assert (page.parent / target).exists(), target
    for path in OUR_PATH.findall(text):
        if "NAME" not in path and not path.endswith(("numbers.py",)):  # the example of a metric yet to be written
            assert (ROOT / path.rstrip("/.")).exists(), path


@names
def test_commands_and_their_flags_exist(page):
    for name, words in commands(page):
        assert name in COMMANDS, f"{page.name}: python -m quals_jax {name}"
        known = flags(name)
        for word in words:
            flag = word.split("=")[0]
            if flag.startswith("--") and not flag.startswith("--config.") and len(flag) > 2:
                assert flag.replace("-", "_").replace("__", "--", 1) in known, f"{page.name}: {name} {flag}"
        config = next((word for word in words if re.fullmatch(r"(--config=)?configs/\w+\.py", word)), None)
        if config and "NAME" not in config:
            assert (ROOT / config.removeprefix("--config=")).is_file(), config


def flags(name, found={}):  # noqa: B006 - kept from one page to the next
    """The flags that a command's help names."""
    if name not in found:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            importlib.import_module(f"quals_jax.commands.{name}").main(["--help"])
        found[name] = set(re.findall(r"--[a-z]\w+", said.getvalue().replace("-\n", "-"))) | {"--help"}
        assert len(found[name]) > 1 or name in ("merge", "gazette_tokenizer"), f"{name} --help names no flags"
    return found[name]


def test_a_flag_that_is_not_there_would_be_found(tmp_path):
    """The test of the test: it reads commands in blocks, in lines and over several lines."""
    page = tmp_path / "page.md"
    page.write_text(
        "`python score.py --wrong x`\n\n```sh\npython -m quals_jax nothing\nsrun python train.py \\\n  --no 1\n```\n"
    )
    assert list(commands(page)) == [("nothing", []), ("train", ["--no", "1"]), ("score", ["--wrong", "x"])]
    with pytest.raises(AssertionError, match="nothing"):
        test_commands_and_their_flags_exist(page)


def test_the_flags_of_score_are_the_parsers():
    from quals_jax.commands.score_flags import parser

    own = {option for action in parser()._actions for option in action.option_strings if option.startswith("--")}
    assert own == flags("score")


@names
def test_blocks_of_python_json_and_yaml_can_be_read(page):
    for text in blocks(page, "python"):
        with contextlib.suppress(IndentationError):  # a line of a dictionary, shown by itself
            ast.parse(text)
    for text in blocks(page, "json"):
        json.loads(text)
    for text in blocks(page, "yaml"):
        assert yaml.safe_load(text)["kind"] == "Job"


@names
def test_targets_of_make_exist(page):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z][\w-]*)(?=[`\s])", page.read_text(encoding="utf-8"), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_library_page_runs_as_it_is_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space: dict = {}
    texts = blocks(ROOT / "docs" / "library.md", "python")
    assert len(texts) == 4
    for text in texts:
        exec(compile(text, "library.md", "exec"), space)
    assert (tmp_path / "out" / "report.html").stat().st_size > 20_000
    assert space["best"].summary == space["summaries"][0]  # the true one
    said = capsys.readouterr().out.splitlines()
    assert float(said[0].split()[0]) == pytest.approx(space["corpus"].mean)
    assert space["scores"]["scores"] == [result.quals for result in space["corpus"].results]


def test_short_commands_of_the_first_page_run(capsys, monkeypatch):
    """The one that scores two texts given by hand, and every one that asks for help, as they are typed."""
    asked = [(name, words) for name, words in commands(ROOT / "README.md") if words == ["--help"]]
    assert len(asked) >= 3
    for name, words in asked:
        with pytest.raises(SystemExit, match="0"):
            importlib.import_module(f"quals_jax.commands.{name}").main(words)
        assert capsys.readouterr().out.startswith("usage: ")
    ((name, words),) = [found for found in commands(ROOT / "README.md") if "--document" in found[1]]
    texts = iter(["Marlen Tolvik beat Dara Brenmor on points.", "Marlen Tolvik won on points."])
    words = [next(texts) if word == "..." else word for word in words]
    assert importlib.import_module(f"quals_jax.commands.{name}").main(words) == 0
    said = capsys.readouterr()
    row = json.loads(said.out)
    assert row["summary"].startswith("Marlen") and "QUALS = " in said.err


def test_every_public_name_is_in_the_reference():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for name in quals_jax.__all__:
        if name != "__version__":
            assert re.search(rf"^### `{name}\b", text, re.MULTILINE), f"{name}: python docs/make_api.py > docs/api.md"


def test_every_page_is_reached_from_the_first_one():
    """By a name in backticks or a link, over any number of pages."""
    seen, waiting = set(), [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    while waiting:
        text = waiting.pop().read_text(encoding="utf-8")
        for name in re.findall(r"docs/(\w+\.md)", text):
            if name not in seen:
                seen.add(name)
                waiting.append(ROOT / "docs" / name)
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= seen


def test_the_first_page_prints_this_version():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^QUALS = .*version:(\S+)$", readme, re.MULTILINE)[1] == quals_jax.__version__
