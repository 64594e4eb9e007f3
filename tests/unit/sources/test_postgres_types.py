"""Type decisions that need no server."""

from __future__ import annotations

import pytest

from rivet.errors import PlanError, UnsafeTypeError
from rivet.model import types as logical
from rivet.model.columns import ColumnRules
from rivet.model.types import Fidelity, InvalidPolicy, parse_override
from rivet.sources.postgres import types
from rivet.sources.postgres.catalog import NativeColumn
from rivet.sources.postgres.nativetypes import NativeType
from rivet.sources.postgres.overrides import plan_columns, wire_form
from rivet.sources.postgres.read import field_spec


def column(name, code, spelling="?", *, modifier=-1, kind="b", is_array=False):
    native = NativeType(spelling, code, spelling, modifier, kind, is_array)
    return NativeColumn(name, native, nullable=True)


def modifier(precision, scale):
    return ((precision << 16) | (scale & 0x7FF)) + 4


@pytest.mark.parametrize(
    ("precision", "scale"), [(1, 0), (10, 2), (38, 38), (1000, 1000), (5, -2), (3, 5), (2, -1000)]
)
def test_digits_of_a_modifier(precision, scale):
    assert types.numeric_digits(modifier(precision, scale)) == (precision, scale)


def test_no_modifier_has_no_digits():
    assert types.numeric_digits(-1) is None


@pytest.mark.parametrize("code", sorted(types.PLAIN))
@pytest.mark.parametrize("is_array", [False, True])
def test_a_plain_type_is_selected_as_it_is(code, is_array):
    (found,) = plan_columns([column("a", code, is_array=is_array)], ColumnRules())
    form = wire_form(found)
    assert (form.cast, form.code, form.is_array) == (None, code, is_array)
    assert not found.is_text_cast
    assert field_spec(found, 180000).name == "a"


@pytest.mark.parametrize("code", sorted({*types.PLAIN, types.NUMERIC, types.MONEY, 99999}))
@pytest.mark.parametrize("is_array", [False, True])
def test_every_type_can_be_text(code, is_array):
    rules = ColumnRules(overrides={"a": logical.STRING}, is_strict=True)
    (found,) = plan_columns([column("a", code, is_array=is_array)], rules)
    assert found.logical == logical.STRING
    assert wire_form(found).cast in {"text", None}
    assert found.invalid is InvalidPolicy.FAIL


def test_an_unknown_type_is_text_unless_types_are_strict():
    strange = column("a", 99999, "vector(3)")
    (found,) = plan_columns([strange], ColumnRules())
    assert (found.logical, found.fidelity) == (logical.STRING, Fidelity.TEXT)
    with pytest.raises(UnsafeTypeError, match=r"'a' \(vector\(3\)\)"):
        plan_columns([strange], ColumnRules(is_strict=True))


@pytest.mark.parametrize(
    "kind", ["float4", "decimal(38,2)", "uuid", "bool", "date", "timestamp_ns"]
)
def test_an_override_that_guesses_is_refused(kind):
    rules = ColumnRules(overrides={"a": parse_override(kind, column="a")})
    with pytest.raises(UnsafeTypeError, match="'a' from text to"):
        plan_columns([column("a", types.TEXT, "text")], rules)


def test_names_are_refused_before_types():
    twice = [column("a", types.INT4), column("a", types.INT4)]
    with pytest.raises(PlanError, match="'a'"):
        plan_columns(twice, ColumnRules())
    with pytest.raises(PlanError, match="'b'"):
        plan_columns(twice[:1], ColumnRules(invalid_overrides={"b": InvalidPolicy.NULL}))


def test_a_policy_that_cannot_apply_changes_nothing():
    rules = ColumnRules(non_finite=InvalidPolicy.TEXT, out_of_range=InvalidPolicy.NULL)
    natives = [column("a", types.INT4), column("b", types.FLOAT8), column("c", types.DATE)]
    a, b, c = plan_columns(natives, rules)
    assert (a.logical, b.logical, c.logical) == (logical.INT32, logical.FLOAT64, logical.DATE)
    assert [x.invalid for x in (a, b, c)] == [
        InvalidPolicy.FAIL,
        InvalidPolicy.FAIL,
        InvalidPolicy.NULL,
    ]
