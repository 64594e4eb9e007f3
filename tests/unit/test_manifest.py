"""manifest.json and _SUCCESS: a pure function of records, and a reader that trusts nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from rivet import manifest
from rivet.errors import ManifestMismatchError
from rivet.manifest import build_manifest, check_manifest, parse_manifest, success_marker
from rivet.model.output import OutputPlan
from rivet.model.part import ColumnStats, FileStats, RecordedPart
from rivet.model.plan import ExportPlan, Mode, ReadTuning
from rivet.model.relation import Relation, TableFacts
from rivet.model.source import Position

START = datetime(2026, 11, 23, 8, 0, 0, 5, tzinfo=UTC)
PLAN = ExportPlan(
    export_name="orders",
    run_id="orders_20261123T080000.000_ab12cd34",
    started_at=START,
    engine="postgresql",
    relation=Relation(schema="shop", table="orders"),
    columns=(),
    facts=TableFacts(),
    mode=Mode.FULL,
    output=OutputPlan("parquet"),
    tuning=ReadTuning("balanced", 1000, 1000),
    destination_type="local",
    destination_uri="file:///data/orders",
    fingerprint="f" * 16,
)


def part(chunk: int, ordinal: int, rows: int = 10, part_id: int = 900) -> RecordedPart:
    name = f"{PLAN.run_id}-{chunk:05d}-1-{ordinal:04d}.parquet"
    return RecordedPart(
        part_id=part_id + ordinal,
        run_id=PLAN.run_id,
        export_name="orders",
        chunk_index=chunk,
        claim_number=1,
        name=name,
        uri=f"{PLAN.destination_uri}/{name}",
        ordinal=ordinal,
        stats=FileStats(
            rows=rows,
            size_bytes=100,
            content_hash="xxh3:0123456789abcdef",
            content_md5="1B2M2Y8AsgTpgAmY7PhCfg==",
            columns=(ColumnStats("id", 0, "1", "9"), ColumnStats("note", 3)),
        ),
        recorded_at=START + timedelta(seconds=3),
    )


def built(parts=(), **more) -> bytes:
    values = {
        "started_at": START,
        "finished_at": START + timedelta(seconds=5),
        "status": "success",
        "schema_fingerprint": "xxh3:aaaaaaaaaaaaaaaa",
        **more,
    }
    return build_manifest(PLAN, tuple(parts), **values)


def test_the_golden_manifest() -> None:
    position = Position("postgresql", "lsn", "0/16B3748")
    body = built([part(1, 0, 5), part(0, 1), part(0, 0)], position=position)
    golden = Path(__file__).parents[1] / "golden" / "manifest.json"
    assert body.decode() == golden.read_text(encoding="utf-8")


def test_the_order_of_the_records_does_not_matter() -> None:
    parts = [part(0, 0), part(0, 1), part(1, 0)]
    assert built(parts) == built(reversed(parts))
    found = json.loads(built(parts))
    assert [entry["part_id"] for entry in found["parts"]] == [1, 2, 3]
    assert (found["row_count"], found["part_count"]) == (30, 3)


def test_times_are_utc_whatever_zone_they_came_in() -> None:
    zoned = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert built(started_at=zoned) == built()
    assert json.loads(built())["started_at"] == "2026-11-23T08:00:00.000005Z"


def test_a_run_without_rows_has_a_manifest_without_parts() -> None:
    found = parse_manifest(built())
    assert (found.row_count, found.part_count, found.parts, found.mode) == (0, 0, (), "batch")


def test_a_query_has_no_table_and_row_hash_is_named() -> None:
    plan = replace(
        PLAN, relation=Relation(query="select 1"), output=OutputPlan("csv", row_hash=("a",))
    )
    body = build_manifest(plan, (), started_at=START, finished_at=None, status="running")
    found = json.loads(body)
    assert found["source"]["table"] is None
    assert "select 1" not in body.decode()
    assert found["finished_at"] is None
    column = {"column": "_rivet_row_hash", "render": manifest.ROW_HASH_RENDER}
    assert found["row_hash"] == {**column, "covered": ["a"]}
    plan = replace(plan, output=OutputPlan("csv", row_hash=()))
    body = build_manifest(plan, (), started_at=START, finished_at=None, status="running")
    assert json.loads(body)["row_hash"] == {**column, "covered": True}


def test_what_is_built_is_read_back() -> None:
    found = parse_manifest(built([part(0, 0)], position=Position("e", "k", "t")))
    assert found.export_name == "orders"
    assert found.source.schema_name == "shop"
    assert found.snapshot is not None
    assert found.committed[0].columns[0].max == "9"
    assert check_manifest(found) == []


def test_the_marker_hashes_the_exact_bytes() -> None:
    body = built()
    assert success_marker(body) == f"xxh3:{xxhash.xxh3_64_hexdigest(body)}\n".encode()
    assert success_marker(body) != success_marker(body + b"\n")
    assert manifest.run_manifest_name("r1") == "manifest-r1.json"


def changed(**more) -> bytes:
    return json.dumps({**json.loads(built([part(0, 0), part(0, 1)])), **more}).encode()


def test_a_manifest_of_the_reference_is_read() -> None:
    body = {
        "manifest_version": 1,
        "run_id": "o_20250101T000000.000",
        "export_name": "o",
        "started_at": "2025-01-01T00:00:00.123456789Z",
        "finished_at": "2025-01-01T00:00:01Z",
        "status": "success",
        "source": {"engine": "postgres", "extraction": {"strategy": "snapshot"}},
        "destination": {"kind": "local", "uri": "file://out"},
        "format": "parquet",
        "compression": "zstd",
        "schema_fingerprint": "xxh3:0000000000000000",
        "row_count": 3,
        "part_count": 1,
        "parts": [
            {
                "part_id": 1,
                "path": "o.parquet",
                "rows": 3,
                "size_bytes": 9,
                "content_fingerprint": "xxh3:00",
                "status": "committed",
            },
            {
                "part_id": 2,
                "path": "q.parquet",
                "rows": 7,
                "size_bytes": 9,
                "status": "quarantined",
            },
        ],
        "column_checksums": [{"name": "a", "checksum": "1"}],
        "something_newer": {"x": 1},
    }
    found = parse_manifest(json.dumps(body).encode())
    assert [entry.path for entry in found.committed] == ["o.parquet"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not valid"),
        (b"null", "not valid"),
        (b"{}", "not valid"),
        (changed(manifest_version=2), "version 2"),
        (changed(row_count=7), "row_count is 7"),
        (changed(part_count=1), "part_count is 1"),
        (changed(mode="other"), "not valid at mode"),
        (changed(parts=[{"part_id": 1}]), "not valid at parts.0.path"),
        (changed(row_count=10**30), "row_count"),
    ],
)
def test_garbage_is_refused_in_plain_words(body, words) -> None:
    with pytest.raises(ManifestMismatchError, match=words) as caught:
        parse_manifest(body)
    assert caught.value.hint
    assert caught.value.exit_status == 3


def test_twins_and_paths_that_leave_are_found() -> None:
    found = json.loads(built([part(0, 0), part(0, 1)]))
    found["parts"][1]["part_id"] = 1
    found["parts"][0]["path"] = "../x"
    with pytest.raises(ManifestMismatchError, match=r"part_id is listed twice.*leads out"):
        parse_manifest(json.dumps(found).encode())


def test_the_size_is_bounded() -> None:
    with pytest.raises(ManifestMismatchError, match="more than 10"):
        parse_manifest(built(), max_bytes=10)


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_no_bytes_make_it_fail_otherwise(body) -> None:
    with pytest.raises(ManifestMismatchError):
        parse_manifest(body)
