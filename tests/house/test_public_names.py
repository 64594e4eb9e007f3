"""The library's names: sorted, complete, there, and cheap to import."""

import ast
import subprocess
import sys

import pytest

import rivet
from support import tree

HEAVY = {"pyarrow", "psycopg", "sqlalchemy", "alembic", "duckdb", "pydantic", "rich", "typer"}


def test_all_is_sorted_and_every_name_resolves():
    assert rivet.__all__ == sorted(rivet.__all__)
    assert [name for name in rivet.__all__ if not hasattr(rivet, name)] == []


def test_all_holds_every_public_function():
    body = ast.parse((tree.ROOT / "src/rivet/__init__.py").read_text()).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    public = {name for name in functions if not name.startswith("_")}
    assert public | set(rivet._LAZY) | {"__version__"} == set(rivet.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = rivet.nonsense


@pytest.mark.parametrize(
    ("module", "heavy"),
    [("rivet", HEAVY), ("rivet.cli.app", HEAVY - {"typer", "rich"})],
)
def test_import_loads_nothing_heavy(module, heavy):
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert heavy & set(done.stdout.split()) == set()
