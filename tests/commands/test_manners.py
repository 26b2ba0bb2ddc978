"""How every command ends, and how flags may be written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import quals_jax
from quals_jax.__main__ import run as quals
from quals_jax.commands import COMMANDS
from quals_jax.commands.errors import Parser, UserError
from quals_jax.commands.manners import EXTRAS, about_the_machine, politely

ROOT = Path(__file__).parents[2]


def parser():
    parser = Parser(prog="p")
    parser.add_argument("--num_beams", type=int)
    parser.add_argument("--low", type=float)
    parser.add_argument("--text")
    parser.add_argument("file", nargs="?")
    return parser


def test_hyphens_are_underscores_in_names_alone():
    options = parser().parse_args(["--num-beams", "3", "--text", "a --num-beams 4", "--low", "-1e-3"])
    assert (options.num_beams, options.text, options.low) == (3, "a --num-beams 4", -0.001)
    assert parser().parse_args(["--num-beams=3"]).num_beams == 3
    assert parser().parse_args(["--", "--num-beams"]).file == "--num-beams"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--text", ""], "p: --text is empty"), (["--text="], "p: --text is empty"), ([""], "p: an argument is empty")],
)
def test_what_is_empty_is_refused(capsys, arguments, told):
    """As `--model "$MODEL"` is where that is not set, which must not mean another model."""
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(arguments)
    assert capsys.readouterr().err == told + "\n"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_tells_an_unknown_flag_in_one_line(capsys, command):
    try:
        status = quals([command, "--no-such-flag", "x"])
    except SystemExit as end:
        status = end.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and command in error


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        *(
            ("evaluate_metric", "--stories"),
            ("correlate", "--rows"),
            ("correlate", "--resamples"),
            ("evaluate", "--rows"),
        ),
        *(("study", "--count"), ("study", "--annotators"), ("correct", "--show"), ("train_tokenizer", "--vocab_size")),
    ],
)
def test_numbers_that_are_too_small_are_refused_before_any_work(capsys, command, flag):
    for value in ("-3", "many"):
        with pytest.raises(SystemExit, match="2"):
            quals([command, flag, value])
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and flag in error and value in error


def test_a_typo_is_one_line_that_names_the_nearest(capsys):
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(["--num-beam", "3"])
    assert capsys.readouterr().err == "p: unrecognized arguments: --num-beam; did you mean --num_beams?\n"


@pytest.mark.parametrize(
    "arguments", [["--version"], ["score", "--version"], ["compare", "--version"], ["train", "--version"]]
)
def test_every_command_says_its_version(capsys, arguments):
    try:
        status = quals(arguments)
    except SystemExit as end:
        status = end.code
    assert status in (0, None) and capsys.readouterr().out == f"quals_jax {quals_jax.__version__}\n"


def test_the_list_has_a_line_for_every_command(capsys):
    assert quals([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(any(line.strip().startswith(f"{name} ") for line in lines) for name in COMMANDS)


def raising(error):
    def command(_):
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("a file: is bad"), "a file: is bad"),
        (PermissionError(13, "Permission denied", "/ro/x"), "/ro/x: Permission denied"),
        (ModuleNotFoundError("No module", name="orbax.checkpoint"), "p: needs the package orbax, which the extra 'train'"),
        (RuntimeError("Unable to initialize backend 'cuda': none"), "p: JAX_PLATFORMS is"),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), "memory does not hold"),
    ],
)  # fmt: skip
def test_what_can_be_mended_is_one_line(capsys, error, told):
    with pytest.raises(SystemExit, match="2"):
        politely(raising(error), [], name="p")
    said = capsys.readouterr().err
    assert said.startswith(told) and said.count("\n") == 1


def test_what_cannot_is_raised():
    for error in (RuntimeError("a defect"), ModuleNotFoundError("No module", name="quals_jax.nothing")):
        with pytest.raises(type(error)):
            politely(raising(error), [], name="p")
        assert about_the_machine(error) is None


def test_interrupts_and_closed_pipes_have_their_status(capsys):
    assert politely(raising(KeyboardInterrupt()), [], name="p", goes_on=True) == 130
    assert capsys.readouterr().err == "interrupted; the same command goes on from there\n"


def test_extras_are_those_of_the_package():
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {name for name in EXTRAS.values() if name not in ("data", "qags")} <= set(extras)


BUSY = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs have not
from quals_jax.commands.manners import as_process
def command(_):
    import jax, jax.numpy as jnp
    def long(x):
        return jax.lax.fori_loop(0, 10**9, lambda _, y: jnp.sin(y) + 1, x)
    print("ready", flush=True)
    if sys.argv[1] == "device":
        jax.device_get(jax.jit(long)(jnp.zeros(1000)))  # minutes, in one call of C++
    if sys.argv[1] == "collection":
        import gc
        def callback(*_):
            while True:
                pass
        gc.callbacks.append(callback)  # as XLA has one; an error in it is told, with a traceback, and forgotten
        gc.collect()
    def swallow(x):
        try:
            while True:
                pass
        except KeyboardInterrupt:
            while True:
                pass
    swallow(0)
sys.exit(as_process(command, [], name="p", goes_on=True))
"""


@pytest.mark.command
@pytest.mark.parametrize("where", ["device", "callback", "collection"])
def test_an_interrupt_ends_what_python_cannot(where):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, where], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)  # by then it is where Python cannot be interrupted; were it not yet, the test would ask for less
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=600)
    assert process.returncode == 130  # 1 s later on a quiet machine; the call itself takes longer than the limit
    assert error == "interrupted; the same command goes on from there\n"


STARTING = """
import builtins, os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
plain = builtins.__import__
def interrupted(name, *arguments, **named):
    if name == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGINT)
    return plain(name, *arguments, **named)
builtins.__import__ = interrupted
sys.argv[1:] = [sys.argv[1], "--version"]
import runpy
runpy.run_path("score.py", run_name="__main__")
"""


@pytest.mark.parametrize("module", ["quals_jax.commands", "quals_jax.commands.score_flags", "quals_jax.remote"])
def test_an_interrupt_while_modules_are_imported_is_no_traceback(module):
    done = subprocess.run([sys.executable, "-c", STARTING, module], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr == "interrupted\n"


@pytest.mark.parametrize("platform", ["nosuch", "rocm"])
def test_a_platform_that_is_not_there_is_one_line(platform):
    flags = ["--document", "a document", "--summary", "a"]
    done = subprocess.run(
        [sys.executable, "score.py", *flags], cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": platform}, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and f"JAX_PLATFORMS is {platform!r}" in done.stderr


def test_a_users_own_settings_of_jax_are_obeyed(command, one_device, tmp_path):
    environment = one_device | {"JAX_NUMPY_RANK_PROMOTION": "raise", "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "own")}
    done = subprocess.run(
        command("--document", "the cat sat at tea", "--summary", "a cat sat", "--quiet"), env=environment, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == "none\n" or float(done.stdout) < 1
    assert list((tmp_path / "own").iterdir())
