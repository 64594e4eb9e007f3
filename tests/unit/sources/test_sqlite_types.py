"""Declared types of SQLite as logical types."""

from __future__ import annotations

import pytest

from rivet.errors import PlanError, UnsafeTypeError
from rivet.model.columns import ColumnRules
from rivet.model.types import INT64, STRING, Fidelity, InvalidPolicy, decimal
from rivet.sources.sqlite.types import Declared, describe, map_declared


@pytest.mark.parametrize(
    ("declared", "label"),
    [
        ("INTEGER", "int64"),
        ("int unsigned", "int64"),
        ("  BigInt ( 20 ) ", "int64"),
        ("INT(10) UNSIGNED", "int64"),
        ("bigserial", "int64"),
        ("Boolean", "bool"),
        ("double  precision", "float64"),
        ("FLOAT(24)", "float64"),
        ("decimal(10, 2)", "decimal(10,2)"),
        ("NUMERIC( 38 )", "decimal(38,0)"),
        ("number(76,76)", "decimal(76,76)"),
        ("NATIVE CHARACTER(70)", "string"),
        ("longtext", "string"),
        ("STRING", "string"),
        ("longblob", "binary"),
        ("VARBINARY(16)", "binary"),
        ("bytea", "binary"),
        ("date", "date"),
        ("DATETIME", "timestamp(us)"),
        ("timestamp(3)", "timestamp(us)"),
        ("TIMESTAMP(6) WITH TIME ZONE", "timestamp_tz(us,UTC)"),
        ("timestamptz", "timestamp_tz(us,UTC)"),
        ("Time", "time(us)"),
        ("JSON", "json"),
        ("uuid", "uuid"),
    ],
)
def test_known_names_have_an_exact_type(declared: str, label: str) -> None:
    mapping = map_declared(declared)
    assert mapping.logical.label == label
    assert mapping.fidelity in {Fidelity.EXACT, Fidelity.LOGICAL_STRING}


@pytest.mark.parametrize(
    "declared",
    ["", "ANY", "POINT", "INTERVAL", "PRINTER", "NUMERIC", "DECIMAL(77,0)", "DECIMAL(2,3)",
     "DECIMAL(0)", "DECIMAL(x,y)", "MONEY", "TIMETZ", "((", "a(b)(c)", "geometry"],
)  # fmt: skip
def test_other_names_are_exact_text(declared: str) -> None:
    mapping = map_declared(declared)
    assert mapping.logical == STRING
    assert mapping.fidelity is Fidelity.TEXT
    assert mapping.note


def test_the_policy_for_numerics_without_precision() -> None:
    assert map_declared("numeric", decimal(20, 4)).logical == decimal(20, 4)
    assert map_declared("numeric(5,1)", decimal(20, 4)).logical == decimal(5, 1)


def test_a_column_keeps_its_name_and_declaration() -> None:
    (column,) = describe([Declared("a", "INT", is_nullable=False)], ColumnRules())
    assert (column.name, column.native_type, column.nullable) == ("a", "INT", False)


def test_an_override_to_the_same_type_changes_nothing_but_is_an_override() -> None:
    rules = ColumnRules(overrides={"a": STRING}, is_strict=True)
    (column,) = describe([Declared("a", "TEXT")], rules)
    assert column.fidelity is Fidelity.EXACT


@pytest.mark.parametrize("where", ["overrides", "invalid_overrides"])
def test_rules_for_no_column_are_refused(where: str) -> None:
    wanted = {"b": INT64 if where == "overrides" else InvalidPolicy.NULL}
    with pytest.raises(PlanError, match="names what the relation does not have: 'b'"):
        describe([Declared("a", "INT")], ColumnRules(**{where: wanted}))


@pytest.mark.parametrize("where", ["overrides", "invalid_overrides"])
def test_types_for_no_column_stop_no_run(where: str) -> None:
    wanted = {"b": INT64 if where == "overrides" else InvalidPolicy.NULL}
    (column,) = describe([Declared("a", "INT")], ColumnRules(**{where: wanted}, is_lenient=True))
    assert column.name == "a"
    with pytest.raises(PlanError, match="names what the relation does not have: 'b'"):
        describe([Declared("a", "INT")], ColumnRules(exclude=("b",), is_lenient=True))


def test_strict_types_name_every_offender() -> None:
    declared = [Declared("a", ""), Declared("b", "INT"), Declared("c", "MONEY")]
    with pytest.raises(UnsafeTypeError, match=r"2 column.*'a' \(untyped\).*'c' \(MONEY\)"):
        describe(declared, ColumnRules(is_strict=True))


def test_a_text_policy_fixes_the_type_and_a_columns_own_goes_first() -> None:
    declared = [Declared("a", "DATE"), Declared("b", "DATE"), Declared("c", "INT")]
    rules = ColumnRules(
        out_of_range=InvalidPolicy.TEXT, invalid_overrides={"b": InvalidPolicy.NULL}
    )
    labels = [column.logical.label for column in describe(declared, rules)]
    assert labels == ["string", "date", "int64"]
