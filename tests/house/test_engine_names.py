"""Which engine it is, is data: outside `sources` no code asks for one by name."""

import ast

from rivet.sources import ENGINES
from support import tree
from support.engines import SETUPS

_KNOWN = {word for name, ref in ENGINES.items() for word in (name, *ref.aliases)}
_TO_COME = {"mysql", "mariadb", "mssql", "sqlserver", "duckdb", "oracle", "mongo", "mongodb"}

# Where a name may stand, which names, and why.
ALLOWED = {
    "src/rivet/sources/": (_KNOWN | _TO_COME, "the engines and their registry"),
    "src/rivet/config/engines.py": (_KNOWN | _TO_COME, "the table of what a configuration says"),
    "src/rivet/config/export.py": ({"duckdb"}, "a warehouse that types are reported for"),
    "src/rivet/config/lint.py": ({"mongo"}, "the name of a block of settings"),
    "src/rivet/config/rules.py": ({"mongo"}, "the name of a block of settings"),
    "src/rivet/state/": ({"sqlite", "postgresql"}, "databases that hold the state, not sources"),
    "src/rivet/cli/demo.py": ({"sqlite", "postgresql"}, "the two demos"),
    "src/rivet/scaffold/demo.py": ({"sqlite", "postgresql"}, "the two demos"),
    "src/rivet/scaffold/private_server.py": ({"postgres"}, "a program, its user and its database"),
}


def _literals(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value.lower()


def test_engine_names_are_literals_only_where_listed():
    found = []
    for path in tree.files("src/rivet", suffix=".py"):
        name = tree.name(path)
        allowed = set().union(*(words for at, (words, _) in ALLOWED.items() if name.startswith(at)))
        banned = (_KNOWN | _TO_COME) - allowed
        found += [f"{name}:{line}: {word}" for line, word in _literals(path) if word in banned]
    assert found == []


def test_every_engine_has_a_row_in_the_test_table():
    assert set(ENGINES) == set(SETUPS)
