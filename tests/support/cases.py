"""Conformance cases: what one engine's types must become, kept as YAML beside the tests.

A file is named after a type. Those in `common/` are for every engine; an engine's file of the same
name stands in the common one's place. A file holds one case, or several as YAML documents:

    title: text keeps what it holds
    setup: CREATE TABLE t (...); INSERT ...      run in a fresh schema or file
    table: t                                     or `query: SELECT ...`
    columns: {d: "decimal(10,2)"}                overrides; also {d: {type: date, invalid: null}}
    types: {unbounded_numeric: ..., non_finite: ..., out_of_range: ...}
    strict_types: true
    include: [a]; exclude: [b]; rename: {a: x}; mask: {a: hash}      one key a line
    min_version: 16
    server: MariaDB                              or MySQL; without it both
    expect:
      columns: [{name: a, native: integer, logical: int32, arrow: int32, fidelity: exact}]
      rows: [["1", null]]                        canonical texts, see readers.py
      nulled: {a: 1}
      error: {class: UnsafeTypeError, contains: "..."}     instead of columns and rows

A long value may be written as `{repeat: x, times: 1000000}`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML

from rivet.model.columns import ColumnRules, Mask
from rivet.model.relation import Relation
from rivet.model.types import InvalidPolicy, LogicalType, parse_override

CASES: Final = Path(__file__).parents[1] / "conformance" / "cases"
_KEYS: Final = {
    "title", "setup", "table", "query", "columns", "types", "strict_types", "min_version", "expect",
    "include", "exclude", "rename", "mask", "server",
}  # fmt: skip
_EXPECT_KEYS: Final = {"columns", "rows", "nulled", "error"}


@dataclass(frozen=True)
class ExpectedColumn:
    """What a column must become; parts left out are not judged."""

    name: str
    native: str | None = None
    logical: str | None = None
    arrow: str | None = None
    fidelity: str | None = None


@dataclass(frozen=True)
class ExpectedError:
    """The class name of an error and texts its message and hint must hold."""

    class_name: str
    contains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One case; `error` excludes `columns` and `rows`."""

    name: str
    title: str
    setup: str
    relation: Relation
    raw_rules: dict[str, Any]
    min_version: int
    server: str | None = None
    columns: tuple[ExpectedColumn, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    nulled: dict[str, int] = field(default_factory=dict)
    error: ExpectedError | None = None

    @property
    def digest(self) -> str:
        """What the report of passed cases knows the case's content by."""
        return hashlib.sha256(json.dumps(self.raw_rules, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def rules(self) -> ColumnRules:
        """The rules; read when the case runs, so that a mistake fails that case alone."""
        return _rules(self.raw_rules)


@cache
def load_cases(engine: str) -> tuple[Case, ...]:
    """Read all cases of an engine, in file order; a case that is not well-formed is an error."""
    files = {
        path.stem: path for folder in ("common", engine) for path in (CASES / folder).glob("*.yaml")
    }
    return tuple(
        _case(f"{name}-{number}" if number else name, document)
        for name, path in sorted(files.items())
        for number, document in enumerate(_documents(path))
    )


@cache
def _documents(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for document in YAML(typ="safe").load_all(path):
        found.extend(document if isinstance(document, list) else [document])
    return found


def _case(name: str, raw: dict[str, Any]) -> Case:
    expect = raw["expect"]
    unknown = (raw.keys() - _KEYS) | (expect.keys() - _EXPECT_KEYS)
    if unknown or ("table" in raw) == ("query" in raw):
        raise ValueError(f"{name}: unknown keys {sorted(unknown)}, or not one of table and query")
    error = expect.get("error")
    return Case(
        name=name,
        title=raw["title"],
        setup=raw["setup"],
        relation=Relation(table=raw.get("table"), query=raw.get("query")),
        raw_rules=raw,
        min_version=raw.get("min_version", 0),
        server=raw.get("server"),
        columns=tuple(ExpectedColumn(**column) for column in expect.get("columns", ())),
        rows=tuple(tuple(_text(name, v) for v in row) for row in expect.get("rows", ())),
        nulled=expect.get("nulled", {}),
        error=None if error is None else _error(error),
    )


def _error(raw: dict[str, Any]) -> ExpectedError:
    contains = raw.get("contains", [])
    return ExpectedError(raw["class"], tuple([contains] if isinstance(contains, str) else contains))


def _text(name: str, value: Any) -> str | None:
    if isinstance(value, dict):
        return str(value["repeat"]) * int(value["times"])
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name}: quote {value!r}: values are written as text")
    return value


def _rules(raw: dict[str, Any]) -> ColumnRules:
    overrides: dict[str, LogicalType] = {}
    policies: dict[str, InvalidPolicy] = {}
    for column, given in raw.get("columns", {}).items():
        block = given if isinstance(given, dict) else {"type": given}
        if "type" in block:
            overrides[column] = parse_override(block["type"], column=column)
        if "invalid" in block:
            policies[column] = _policy(block["invalid"])
    types = raw.get("types", {})
    unbounded = types.get("unbounded_numeric", "text")
    return ColumnRules(
        include=tuple(raw["include"]) if "include" in raw else None,
        exclude=tuple(raw.get("exclude", ())),
        renames=raw.get("rename", {}),
        masks={column: Mask(word or "null") for column, word in raw.get("mask", {}).items()},
        overrides=overrides,
        invalid_overrides=policies,
        unbounded_numeric=None
        if unbounded == "text"
        else parse_override(unbounded, column="unbounded_numeric"),
        non_finite=_policy(types.get("non_finite", "fail")),
        out_of_range=_policy(types["out_of_range"]) if "out_of_range" in types else None,
        tinyint1_is_bool=types.get("tinyint1", "bool") == "bool",
        is_strict=raw.get("strict_types", False),
    )


def _policy(value: str | None) -> InvalidPolicy:
    return InvalidPolicy("null" if value is None else value)
