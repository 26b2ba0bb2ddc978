"""What editors and type checkers see of the library."""

import ast
from pathlib import Path

import quals_jax


def test_static_imports_name_what_the_table_names():
    """Editors read the imports under TYPE_CHECKING, programs the table: both must say the same."""
    tree = ast.parse(Path(quals_jax.__file__).read_text(encoding="utf-8"))
    guard = next(node for node in tree.body if isinstance(node, ast.If))
    static = {name.name: node.module for node in guard.body for name in node.names}
    assert static == {name: f"quals_jax.{home}" for name, home in quals_jax._HOMES.items()}
    assert set(quals_jax.__all__) == {*static, "__version__"}
    assert Path(quals_jax.__file__).with_name("py.typed").exists()
