"""Hint texts of the source, read from its syntax, each with the file that it stands in.

Found are the texts given as `hint=`, those assigned to names that are given so or that are called
hints, what functions so called return, and tables of them. A piece that is put in is `{}`.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from support import tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHORTEST = 4
_CODE = re.compile(r"RIVET_[A-Z_]+")
# Functions that take a hint by its place.
_BY_PLACE = {"_fail": 2, "SyntaxProblem": 2, "Missing": 2}


def hints_of_the_source() -> Iterator[str]:
    """Yield each as `file: text`."""
    root = tree.ROOT / "src" / "rivet"
    for path in sorted(root.rglob("*.py")):
        for text in dict.fromkeys(" ".join(one.split()) for one in _hints_of(path)):
            if len(text) >= _SHORTEST:
                yield f"{path.relative_to(root)}: {text}"


def _hints_of(path: Path) -> Iterator[str]:
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    given = [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "hint"]
    given += [value for node in nodes for name, value in _assigned(node) if _is_hint(name)]
    given += [value for node in nodes for value in _returned(node) if _is_hint(node.name)]
    given += [value for node in nodes for value in _by_place(node, path)]
    seen: set[str] = set()
    while given:
        expression = given.pop(0)
        yield from _texts(expression)
        for name in set(_names(expression)) - seen:
            seen.add(name)
            given += [value for node in nodes for at, value in _assigned(node) if at == name]
            given += [value for node in nodes for value in _returned(node) if node.name == name]


def _is_hint(name: str) -> bool:
    return re.search("hint", name, re.IGNORECASE) is not None


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        yield node.target.id, node.value
    for target in node.targets if isinstance(node, ast.Assign) else ():
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else None
            for at, name in enumerate(target.elts):
                if isinstance(name, ast.Name):
                    yield name.id, node.value if values is None else values[at]


def _returned(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.FunctionDef):
        yield from (
            one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value
        )


def _by_place(node: ast.AST, path: Path) -> Iterator[ast.expr]:
    if isinstance(node, ast.FunctionDef) and node.name.endswith("_contradiction"):
        for value in _returned(node):
            if isinstance(value, ast.Tuple):
                yield value.elts[2]
    if isinstance(node, ast.Call):
        called = getattr(node.func, "id", getattr(node.func, "attr", ""))
        is_rule = called in {"fail", "_auth"} and path.stem == "destination_rules"
        place = 2 if is_rule else _BY_PLACE.get(called)
        if place is not None and len(node.args) > place:
            yield node.args[place]


def _texts(node: ast.expr | None) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(
                str(one.value) if isinstance(one, ast.Constant) else "{}" for one in values
            )
        case ast.Dict(values=values) | ast.BoolOp(values=values):
            for one in values:
                yield from _texts(one)
        case ast.Tuple(elts=values) | ast.List(elts=values):
            # A line of a table: the message, the code and what helps, which comes last.
            texts = [text for one in values for text in _texts(one) if not _CODE.fullmatch(text)]
            yield from texts[-1:]
        case ast.IfExp(body=left, orelse=right) | ast.BinOp(left=left, right=right):
            yield from _texts(left)
            yield from _texts(right)


def _names(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Call(func=ast.Attribute(value=inner)) | ast.Subscript(value=inner):
            yield from _names(inner)
        case ast.Call(func=inner):
            yield from _names(inner)
        case ast.IfExp(body=left, orelse=right) | ast.BinOp(left=left, right=right):
            yield from (*_names(left), *_names(right))
        case ast.BoolOp(values=values):
            for one in values:
                yield from _names(one)
