"""One configuration, both programs: the same rows and the same Arrow types.

What differs on purpose is listed in `docs/reference/compatibility.md`.
"""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pytest

from support.comparison import (
    OWN_VALUES,
    arrow_fields,
    canonical_counts,
    manifest_of,
    part_paths,
)
from support.side_by_side import one_export

pytestmark = pytest.mark.live("postgresql")


def test_every_value_is_the_same_to_the_last_bit(side_by_side):
    both = side_by_side("every_type")
    both.configure(both.scaffold())
    for outcome in both.run():
        outcome.expect(0)
    theirs, ours = both.prefixes("output/every_type")
    assert canonical_counts(ours, OWN_VALUES) == canonical_counts(theirs, OWN_VALUES)


def test_the_printed_result_has_the_same_keys(side_by_side):
    both = side_by_side("shop")
    both.configure(one_export(table="orders"))
    theirs, ours = (outcome.expect(0).json for outcome in both.run("--json"))
    assert ours.keys() - theirs.keys() == {"recovered_runs"}
    assert not theirs.keys() - ours.keys()
    [expected], [found] = theirs["per_export"], ours["per_export"]
    assert expected.keys() - found.keys() == {"answered_by_run"}
    for key in ("export_name", "status", "rows", "files", "mode", "error_message", "skip_reason"):
        assert found[key] == expected[key]


def test_changed_columns_are_refused_before_data_and_the_last_good_run_stays(
    side_by_side, any_postgres
):
    both = side_by_side("shop")
    both.configure(one_export(table="returns", on_schema_drift="fail"))
    any_postgres.execute("INSERT INTO returns VALUES (1, now(), 'broken', 1.50)")
    for outcome in both.run():
        outcome.expect(0)
    any_postgres.execute("ALTER TABLE returns ADD COLUMN more text")
    for outcome in both.run():
        outcome.expect(4)
    theirs, ours = both.prefixes("out")
    assert (manifest_of(theirs)["status"], len([*theirs.glob("*.parquet")])) == ("failed", 2)
    assert not (theirs / "_SUCCESS").exists()
    assert (manifest_of(ours)["status"], len([*ours.glob("*.parquet")])) == ("success", 1)
    assert (ours / "_SUCCESS").is_file()


def test_an_empty_table_has_a_manifest_and_no_part(side_by_side):
    both = side_by_side("shop")
    both.configure(one_export(table="returns"))
    for outcome in both.run():
        outcome.expect(0)
    for prefix in both.prefixes("out"):
        assert manifest_of(prefix)["parts"] == []
        assert (prefix / "_SUCCESS").is_file()


def test_exports_in_one_folder(side_by_side):
    both = side_by_side("shop")
    document = json.loads(one_export(table="orders"))
    (first,) = document["exports"]
    document["exports"].append({**first, "name": "y", "table": "customers"})
    both.configure(json.dumps(document))
    for outcome in both.run():
        outcome.expect(0)
    theirs, ours = both.prefixes("out")
    assert (manifest_of(theirs)["export_name"], manifest_of(ours)["export_name"]) == ("y", "x")
    for prefix in (theirs, ours):
        counts = [json.loads(one.read_text()) for one in prefix.glob("manifest-*.json")]
        assert {one["export_name"]: one["row_count"] for one in counts} == {"x": 10000, "y": 2000}
    assert json.loads((ours / "manifest.y.json").read_text())["row_count"] == 2000
    assert (ours / "_SUCCESS.y").is_file()


# Table, and what this program makes of its columns where the reference refuses them.
ONLY_HERE = {
    "unbounded": [pa.int32(), pa.string()],
    "networks": [pa.int32(), *[pa.string()] * 3],
    "spans": [pa.int32(), *[pa.string()] * 2],
    "oddities": [pa.int32(), *[pa.string()] * 6],
    "lists": [
        pa.int32(),
        pa.list_(pa.uuid()),
        pa.list_(pa.date32()),
        pa.list_(pa.decimal128(8, 2)),
        pa.list_(pa.timestamp("us", tz="UTC")),
        pa.list_(pa.json_()),
    ],
}
REFUSED_BY_BOTH = {
    "forever": "RIVET_FORMAT_OUT_OF_RANGE",
    "matrices": "RIVET_FORMAT_ARRAY",
    "not_numbers": "RIVET_FORMAT_NOT_FINITE",
}


def test_columns_that_only_this_program_reads(side_by_side):
    both = side_by_side("beyond")
    for table, types in ONLY_HERE.items():
        both.configure(one_export(table=table, destination={"type": "local", "path": table}))
        theirs, ours = both.run()
        assert "RIVET_TYPE_UNSAFE_MAPPING" in theirs.expect(1).stderr
        ours.expect(0)
        _, prefix = both.prefixes(table)
        assert [kind for _, kind, _ in arrow_fields(prefix)] == types
    [exact] = (
        row for row in canonical_counts(both.ours.directory / "unbounded", ()) if row[0] == "2"
    )
    assert exact[1] == "123456789012345678901234567890.123456789"


@pytest.mark.parametrize("table", REFUSED_BY_BOTH)
def test_values_that_no_file_can_hold_are_refused_by_both(side_by_side, table):
    both = side_by_side("beyond")
    both.configure(one_export(table=table))
    theirs, ours = both.run()
    assert "RIVET_SOURCE_VALUE_UNREPRESENTABLE" in theirs.expect(5).stderr
    assert REFUSED_BY_BOTH[table] in ours.expect(1).stderr
    for prefix in both.prefixes("out"):
        assert not list(prefix.rglob("_SUCCESS"))
        assert not list(prefix.rglob("*.parquet"))


def test_a_decimal_too_narrow_for_a_value_is_refused_by_both(side_by_side):
    both = side_by_side("beyond")
    both.configure(one_export(table="unbounded", columns={"amount": "decimal(38,18)"}))
    theirs, ours = both.run()
    theirs.expect(5)
    assert "RIVET_FORMAT_DECIMAL" in ours.expect(1).stderr


PLAIN = (
    "id, c_bool, c_int2, c_int4, c_int8, c_num, c_num_38, c_text, c_varchar, c_char, c_bytea, "
    "c_date, c_time, c_ts, c_tstz, c_json, c_jsonb, c_uuid, c_enum"
)


def _csv(both, columns):
    query = f"SELECT {columns} FROM every_type ORDER BY id"
    digits = {"c_num": "decimal(12,2)", "c_num_38": "decimal(38,10)"}
    overrides = {name: kind for name, kind in digits.items() if name in columns.split(", ")}
    both.configure(one_export(query=query, format="csv", columns=overrides))
    return both.run()


def _rows(prefix):
    [path] = part_paths(prefix)
    with open(path, newline="", encoding="utf-8") as lines:  # noqa: PTH123 - csv wants it raw
        return list(csv.reader(lines))


def test_csv_files_are_the_same_bytes(side_by_side):
    both = side_by_side("every_type")
    for outcome in _csv(both, PLAIN):
        outcome.expect(0)
    theirs, ours = ([*prefix.glob("*.csv")] for prefix in both.prefixes("out"))
    assert ours[0].read_bytes() == theirs[0].read_bytes()
    assert b"\n2,true,-32768,-2147483648,-9223372036854775808," in ours[0].read_bytes()


def test_csv_spells_floats_in_its_own_way(side_by_side):
    both = side_by_side("every_type")
    for outcome in _csv(both, "id, c_float4, c_float8, c_interval"):
        outcome.expect(0)
    theirs, ours = (_rows(prefix) for prefix in both.prefixes("out"))
    assert len(ours) == len(theirs) == 3001
    for expected, found in zip(theirs[1:], ours[1:], strict=True):
        for left, right in zip(expected[:3], found[:3], strict=True):
            assert left == right or repr(float(left)) == repr(float(right))
        assert expected[3] == found[3]


def test_csv_keeps_lists_and_wide_decimals_that_the_reference_refuses(side_by_side):
    both = side_by_side("every_type")
    both.configure(
        one_export(
            query="SELECT c_texts, c_num_wide FROM every_type WHERE id = 3",
            format="csv",
            columns={"c_num_wide": "decimal(60,20)"},
        )
    )
    theirs, ours = both.run()
    assert "RIVET_CONFIG_FORMAT_COLUMN_UNSUPPORTED" in theirs.expect(1).stderr
    ours.expect(0)
    assert _rows(both.prefixes("out")[1])[1] == [
        r'["a,b",null,"","NULL","x\"y","\n"]',
        "0.00000000000000000001",
    ]
