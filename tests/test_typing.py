"""What editors and type checkers see of the library."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import quals_jax

ROOT = Path(__file__).parents[1]


def test_static_imports_name_what_the_table_names():
    """Editors read the imports under TYPE_CHECKING, programs the table: both must say the same."""
    tree = ast.parse(Path(quals_jax.__file__).read_text(encoding="utf-8"))
    guard = next(node for node in tree.body if isinstance(node, ast.If))
    static = {name.name: node.module for node in guard.body for name in node.names}
    assert static == {name: f"quals_jax.{home}" for name, home in quals_jax._HOMES.items()}
    assert set(quals_jax.__all__) == {*static, "__version__"}
    assert Path(quals_jax.__file__).with_name("py.typed").exists()


def test_a_type_checker_knows_the_lines_of_the_first_page(tmp_path):
    """mypy takes them as they are pasted, knows the types of results, and finds a wrong name."""
    pytest.importorskip("mypy")
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    more = "\ncorpus = quals.corpus([document], [document])\nreveal_type(corpus.mean)\nreveal_type(results[0].pairs[0].score)\n"
    (tmp_path / "lines.py").write_text(block + more + "quals.scor\nquals_jax.Qals\n", encoding="utf-8")
    flags = ["--follow-imports=silent", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache")]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    command = [sys.executable, "-m", "mypy", *flags, "lines.py"]
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout
    assert re.findall(r'Revealed type is "([^"]+)"', said) == ["float | None", "float"], said
    errors = [line for line in said.splitlines() if ": error:" in line]
    assert len(errors) == 2 and '"Quals" has no attribute "scor"' in errors[0], said
    assert 'Module has no attribute "Qals"' in errors[1], said
