"""SQL is text of the engines alone: above them, what is asked for is structure."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from support import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_SQL = re.compile(
    r"^\s*(SELECT|INSERT|UPDATE|DELETE|WITH|CREATE|ALTER|DROP|SET|SHOW|BEGIN|COMMIT|KILL|EXPLAIN)\s"
    r"|\bSELECT\b.*\bFROM\b|\b(WHERE|GROUP BY|ORDER BY|HAVING|UNION|FETCH FIRST|LIMIT|OFFSET)\b"
    r"|\bcount\(\*\)|\bIS (NOT )?NULL\b",
    re.DOTALL,
)
# Where SQL may stand, and why.
ALLOWED = {
    "src/rivet/sources/": "the engines",
    "src/rivet/state/": "the state store, a database of our own",
    "src/rivet/scaffold/": "the demo fills databases of its own",
    "src/rivet/verify/outside.py": "the witness, which reads files with DuckDB",
    "src/rivet/config/export.py": "says in words which queries are not cut into chunks",
}


def _texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield every text of a module that is no docstring."""
    module = ast.parse(source)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    } | {  # those of attributes
        id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)
    }
    for node in ast.walk(module):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.lineno, node.value


def test_no_sql_stands_above_the_engines() -> None:
    found = [
        f"{tree.name(path)}:{line}: {text}"
        for path in tree.files("src/rivet", suffix=".py")
        if not tree.name(path).startswith(tuple(ALLOWED))
        for line, text in _texts(path.read_text(encoding="utf-8"))
        if _SQL.search(text)
    ]
    assert found == []


def test_what_is_allowed_is_needed() -> None:
    needless = [
        place
        for place in ALLOWED
        if not any(
            _SQL.search(text)
            for path in tree.files("src/rivet", suffix=".py")
            if tree.name(path).startswith(place)
            for _, text in _texts(path.read_text(encoding="utf-8"))
        )
    ]
    assert needless == []


def test_a_statement_is_seen() -> None:
    source = '"""SELECT in words."""\nx = f"SELECT {y} FROM t"\nz = "a LIMIT 3"\nw = "no limit"\n'
    assert sorted(line for line, text in _texts(source) if _SQL.search(text)) == [2, 3]
