"""Ten schemas, each with the configuration that the reference's own `init` makes of it.

Taken as it is, chunks, cursors and hidden columns included, and run by both programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from ruamel.yaml import YAML

from rivet.config.load import load_config
from rivet.execution.many.invocation import run_exports
from support.comparison import arrow_fields, duckdb_difference, field_metadata, manifest_of
from support.reference import Reference
from support.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_SCHEMAS: Final = ROOT / "tests" / "compat" / "schemas"
EXPORTS: Final = {
    "shop": 6,
    "every_type": 1,
    "large": 2,
    "keys": 6,
    "names": 3,
    "views": 3,
    "partitioned": 8,
    "clocks": 3,
    "generated": 3,
}
"""Schemas of PostgreSQL, and how many tables and views `init` finds in each."""


def compared(folder: Path, program: Path, url: str, *init: str) -> list[dict[str, Any]]:
    """Run both programs by one scaffold, compare all files, and return its exports."""
    variables = {"DATABASE_URL": url}
    theirs = Reference(folder / "theirs", variables, program)
    for one in (theirs.directory, folder / "ours"):
        one.mkdir(parents=True)
    theirs("init", "--source-env", "DATABASE_URL", *init, "-o", "rivet.yaml").expect(0)
    text = (theirs.directory / "rivet.yaml").read_text(encoding="utf-8")
    path = folder / "ours" / "rivet.yaml"
    path.write_text(text, encoding="utf-8")
    theirs("run", "-c", "rivet.yaml").expect(0)
    report = run_exports(load_config(path, env=variables), env=variables).report
    assert [one.failure for one in report.exports if one.failure] == []
    exports: list[dict[str, Any]] = YAML(typ="safe").load(text)["exports"]
    for export in exports:
        left, right = (folder / one / export["destination"]["path"] for one in ("theirs", "ours"))
        expected, found = manifest_of(left), manifest_of(right)
        for key in ("export_name", "mode", "status", "format", "compression", "row_count"):
            assert found[key] == expected[key]
        assert bool(found["parts"]) == bool(expected["parts"])
        if expected["parts"]:
            assert arrow_fields(left) == arrow_fields(right)
            keys = ("rivet.fidelity", "rivet.logical_type")
            assert field_metadata(right, *keys) == field_metadata(left, *keys)
            assert duckdb_difference(left, right) == []
    return exports


@pytest.mark.live("postgresql")
def test_scaffolds_of_postgresql(any_postgres, reference_program, tmp_path):
    modes = set()
    for name, count in EXPORTS.items():
        sql = (_SCHEMAS / f"{name}.sql").read_text(encoding="utf-8")
        any_postgres.execute(f"CREATE SCHEMA {name}; SET search_path TO {name}; {sql}")
        url = any_postgres.url
        exports = compared(tmp_path / name, reference_program, url, "--schema", name)
        assert len(exports) == count, name
        modes |= {export["mode"] for export in exports}
    assert modes == {"full", "chunked", "incremental"}


@pytest.mark.live("mysql")
def test_a_scaffold_of_mysql(mysql9, reference_program, tmp_path):
    for statement in (_SCHEMAS / "mysql.sql").read_text(encoding="utf-8").split(";\n"):
        if statement.strip():
            mysql9.execute(statement)
    assert len(compared(tmp_path, reference_program, mysql9.url)) == 5
