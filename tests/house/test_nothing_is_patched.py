"""No test changes a constant or a private name of Rivet, or its clock: those are parameters."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from support import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_INNER = re.compile(r"_\w+|[A-Z][A-Z0-9_]+|sleep|monotonic|perf_counter")
_SET = re.compile(r"\brivet(?:\.\w+)+\.(_\w+|[A-Z][A-Z0-9_]+)\s*=(?!=)")
_PATCHES = {"setattr", "patch", "object"}
# What may be, and why.
ALLOWED = {
    "tests/support/forgetting.py: redact._known": "a test's secrets are forgotten after it",
    "tests/unit/execution/children/test_capture.py: redact._known": "the same",
    "tests/unit/state/test_fresh.py: sqlite.TABLES": "a program that writes them anew, no test",
}


def _patched(source: str) -> Iterator[str]:
    """Yield the inner names that a module of tests changes."""
    module = ast.parse(source)
    names = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(module):
        match node:
            case ast.Constant(value=str(text)):
                yield from (found[0].rstrip("= ") for found in _SET.finditer(text))
            case ast.Call(func=ast.Attribute(attr=name), args=arguments) if name in _PATCHES:
                texts = [one.value for one in arguments[:2] if isinstance(one, ast.Constant)]
                yield from (text for text in texts if _is_inner(text))
            case ast.Assign(targets=[ast.Attribute(value=value, attr=name) as target]):
                if _is_inner(name) and ast.unparse(value).partition(".")[0] in names:
                    yield ast.unparse(target)


def _is_inner(path: object) -> bool:
    return isinstance(path, str) and _INNER.fullmatch(path.rpartition(".")[2]) is not None


def test_no_test_patches_what_is_inside() -> None:
    found = {
        f"{tree.name(path)}: {name}"
        for path in tree.files("tests", suffix=".py")
        if path.name != "test_nothing_is_patched.py"
        for name in _patched(path.read_text(encoding="utf-8"))
    }
    assert found == set(ALLOWED)


def test_a_patch_is_seen() -> None:
    source = """
import rivet.state.locks as locks
from rivet.formats import csv
PROGRAM = "import rivet.job\\nrivet.job.SLICE_SHARE = 1"
def test(monkeypatch):
    monkeypatch.setattr("rivet.pool.LONG_S", 0)
    monkeypatch.setattr("rivet.worker.parts.time.sleep", print)
    monkeypatch.setattr(csv, "_MOST_BYTES", 1)
    monkeypatch.setattr(os, "fsync", print)
    locks.WAIT_S = 1
    self.WAIT_S = 1
"""
    assert sorted(_patched(source)) == [
        "_MOST_BYTES",
        "locks.WAIT_S",
        "rivet.job.SLICE_SHARE",
        "rivet.pool.LONG_S",
        "rivet.worker.parts.time.sleep",
    ]
