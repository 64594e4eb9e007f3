"""Every environment variable the program knows is on the page of environment variables."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING

from scripts import render_docs
from support import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(r"RIVET(_[A-Z0-9]+)+|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+|CI|TERM|PATH|PG[A-Z]+")
_LOOKUPS = {"get", "pop", "getenv", "setdefault"}


def _constants(module: ast.Module) -> dict[str, str]:
    """Return the module's names that stand for a text."""
    found = {}
    for node in module.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found |= {target.id: value.value for target in targets if isinstance(target, ast.Name)}
    return found


def _keys(module: ast.Module) -> Iterator[ast.expr]:
    """Yield whatever something is looked up by, or put under."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield from node.args[:1] if node.func.attr in _LOOKUPS else ()
        elif isinstance(node, ast.Subscript):
            yield node.slice
        elif isinstance(node, ast.Dict):
            yield from (key for key in node.keys if key is not None)


@cache
def variables() -> set[str]:
    modules = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in tree.files("src", suffix=".py")
    }
    known: dict[str, set[str]] = {}
    for module in modules.values():
        for name, text in _constants(module).items():
            known.setdefault(name, set()).add(text)
    found = set()
    for module in modules.values():
        # Another module's constant comes under its own name or under one given by `import as`.
        renamed = {
            alias.asname: alias.name
            for node in ast.walk(module)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.asname
        }
        own = _constants(module)
        for key in _keys(module):
            if isinstance(key, ast.Constant):
                found.add(key.value)
            elif isinstance(key, ast.Name):
                name = renamed.get(key.id, key.id)
                found |= {own[key.id]} if key.id in own else known.get(name, set())
    return {one for one in found if isinstance(one, str) and _NAME.fullmatch(one)}


PAGE = (render_docs.REFERENCE / "environment.md").read_text(encoding="utf-8")


def test_the_search_finds_what_is_there():
    assert {
        "RIVET_STATE_URL",
        "RIVET_FAULT",
        "RIVET_CONTEXT_FD",
        "RIVET_CHILD_COMMAND",
        "RIVET_ROOM_FOR_TITLES",
        "PGSSLMODE",
        "CI",
    } <= variables()


def test_every_variable_is_explained():
    assert {one for one in variables() if f"`{one}`" not in PAGE} == set()


def test_every_variable_of_rivet_on_the_page_exists():
    assert render_docs.variables() - variables() == set()
