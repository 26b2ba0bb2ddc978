"""The README's lines of Python run as they are pasted, and tell the true summary from the false one."""

import re
from pathlib import Path

import quals_jax
from quals_jax.commands import COMMANDS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_lines_of_python_run_as_pasted(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    true, false = names["results"]
    assert true.pairs and false.pairs and true.quals > false.quals + 0.2
    assert f"version:{quals_jax.__version__}" in capsys.readouterr().out


def test_every_command_that_is_named_exists():
    assert set(re.findall(r"python -m quals_jax (\w+)", README)) <= set(COMMANDS)
