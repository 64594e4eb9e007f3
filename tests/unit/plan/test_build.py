"""Pure planning decisions."""

import pytest

from rivet.errors import PlanError, UnsupportedPlanError
from rivet.model.chunk import Chunk, Claim
from rivet.model.output import OutputPlan
from rivet.model.relation import Relation
from rivet.plan.build import (
    query_relation,
    refuse_impossible,
    schema_difference,
    table_relation,
)
from rivet.plan.naming import part_name


@pytest.mark.parametrize(
    ("text", "schema", "table"),
    [
        ("orders", None, "orders"),
        ("shop.orders", "shop", "orders"),
        ('"we""ird"."a.b"', 'we"ird', "a.b"),
        ("Mixed Case", None, "Mixed Case"),
    ],
)
def test_table_names(text, schema, table):
    assert table_relation(text, export_name="e") == Relation(schema=schema, table=table)


@pytest.mark.parametrize("text", ["", ".", "a.", ".b", "a.b.c", 'a"b', '"open'])
def test_what_is_no_table_name(text):
    with pytest.raises(PlanError):
        table_relation(text, export_name="e")


def test_a_query_loses_its_last_semicolon():
    assert query_relation(" SELECT ';' ;; \n", export_name="e").query == "SELECT ';'"
    with pytest.raises(PlanError):
        query_relation(" ; ", export_name="e")


def test_part_names_rise_with_the_claim():
    claim = Claim("orders_20260101T000000.000_ab", "orders", Chunk(3), number=2)
    assert part_name(claim, 7, "parquet") == ("orders_20260101T000000.000_ab-00003-2-0007.parquet")


def test_stdout_cannot_be_split():
    output = OutputPlan(format="csv", max_file_bytes=10)
    with pytest.raises(UnsupportedPlanError, match="stdout-no-split"):
        refuse_impossible(export_name="e", destination_is_listable=False, output=output)


def test_schema_difference_ignores_order():
    before = (("a", "int64"), ("b", "string"), ("c", "double"))
    after = (("c", "double"), ("b", "int32"), ("d", "bool"))
    assert schema_difference(before, after) == (("d",), ("a",), ("b",))
    assert schema_difference(before, before[::-1]) == ((), (), ())


def test_a_type_that_may_be_several_is_any_of_them():
    before = (("a", "string | extension<arrow.json>"), ("b", "string | extension<arrow.json>"))
    after = (("a", "extension<arrow.json>"), ("b", "int32"))
    assert schema_difference(before, after) == ((), (), ("b",))
