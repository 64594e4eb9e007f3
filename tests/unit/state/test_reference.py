"""The reference's state: found, taken over, never written."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from rivet.errors import RefusedError, StateError
from rivet.model.source import Position
from rivet.state.reference import (
    arrow_name,
    find_reference_state,
    import_reference,
    refuse_unimported,
)
from rivet.state.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

OLDEST = """
CREATE TABLE export_state (
    export_name TEXT PRIMARY KEY, last_cursor_value TEXT, last_run_at TEXT);
CREATE TABLE export_schema (
    export_name TEXT PRIMARY KEY, columns_json TEXT NOT NULL, updated_at TEXT NOT NULL);
INSERT INTO export_state VALUES ('items', '50', NULL), ('never', NULL, NULL);
INSERT INTO export_schema VALUES ('items',
    '[{"name":"id","type":"Int32"},{"name":"u","type":"Timestamp(Microsecond, Some(\\"UTC\\"))"}]',
    ''), ('lists', '[{"name":"a","type":"List(Utf8)"}]', '');
"""
NEWEST = """
CREATE TABLE export_state (export_name TEXT NOT NULL, prefix TEXT NOT NULL DEFAULT '',
    last_cursor_value TEXT, last_run_at TEXT, cursor_column TEXT,
    PRIMARY KEY (export_name, prefix));
CREATE TABLE export_metrics (id INTEGER PRIMARY KEY, export_name TEXT NOT NULL, source_type TEXT,
    key_descriptor_json TEXT);
INSERT INTO export_state VALUES ('items', 'p', '2024-01-01T00:50:00.000000', '', 'u'),
    ('twice', 'a', '1', '', 'id'), ('twice', 'b', '2', '', 'id');
INSERT INTO export_metrics VALUES
    (2, 'items', 'postgres', '{"strategy":"incremental","key":"u","db_type":"timestamptz"}'),
    (1, 'items', 'postgres', '{"strategy":"incremental","key":"id","db_type":"int4"}'),
    (3, 'items', NULL, NULL);
"""


@pytest.fixture(autouse=True)
def _no_shared_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIVET_STATE_URL", raising=False)


def left_behind(folder: Path, script: str, *, is_open: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / ".rivet_state.db")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(script)
    if not is_open:
        connection.close()
    return connection


def test_nothing_there(tmp_path: Path) -> None:
    assert find_reference_state(tmp_path) is None
    with open_store(tmp_path) as store:
        refuse_unimported(store, tmp_path, "items")
    left_behind(tmp_path, "CREATE TABLE unrelated (a)")
    assert find_reference_state(tmp_path) is None


def test_the_oldest_form_is_taken_over(tmp_path: Path) -> None:
    left_behind(tmp_path, OLDEST)
    reference = find_reference_state(tmp_path)
    assert reference is not None
    with open_store(tmp_path) as store:
        refuse_unimported(store, tmp_path, "never")
        with pytest.raises(RefusedError, match="progress in") as refused:
            refuse_unimported(store, tmp_path, "items")
        assert refused.value.error_code == "RIVET_REFUSED_FOREIGN_STATE"
        report = import_reference(store, reference)
        assert (report.cursors, report.schemas, report.kept) == (("items",), ("items",), ())
        assert store.watermark("items") == Position("", "reference", "50")
        assert store.schema_of("items") == (("id", "int32"), ("u", "timestamp[us, tz=UTC]"))
        assert store.schema_of("lists") is None
        refuse_unimported(store, tmp_path, "items")
        again = import_reference(store, reference)
        assert (again.cursors, again.schemas, again.kept) == ((), (), ("items",))
        assert report.lines() == (
            "took over the progress of items",
            "took over the columns of items",
        )
        assert again.lines() == ("kept the progress this store has of items",)


def test_the_newest_form_names_engine_and_type(tmp_path: Path) -> None:
    left_behind(tmp_path, NEWEST)
    reference = find_reference_state(tmp_path)
    assert reference is not None
    with open_store(tmp_path) as store:
        report = import_reference(store, reference, engine_name=lambda name: f"{name}ql")
        assert report.unclear == ("twice",)
        assert store.watermark("items") == Position(
            "postgresql", "timestamptz", "2024-01-01T00:50:00.000000"
        )
        with pytest.raises(RefusedError):
            refuse_unimported(store, tmp_path, "twice")


def test_it_is_never_written(tmp_path: Path) -> None:
    holder = left_behind(tmp_path, OLDEST, is_open=True)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {".rivet_state.db", ".rivet_state.db-shm", ".rivet_state.db-wal"}
    reference = find_reference_state(tmp_path)
    assert reference is not None
    assert [cursor.text for cursor in reference.cursors] == ["50"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    holder.close()


def test_one_that_cannot_be_read_stops(tmp_path: Path) -> None:
    (tmp_path / ".rivet_state.db").write_bytes(b"garbage " * 100)
    with pytest.raises(StateError, match="cannot be read"):
        find_reference_state(tmp_path)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Decimal128(10, 2)", "decimal128(10, 2)"),
        ("Timestamp(Microsecond, None)", "timestamp[us]"),
        ('Timestamp(Nanosecond, Some("UTC"))', "timestamp[ns, tz=UTC]"),
        ("Time64(Microsecond)", "time64[us]"),
        ("FixedSizeBinary(16)", "extension<arrow.uuid>"),
        ("Utf8", "string | extension<arrow.json>"),
        ("List(Field { data_type: Int32, nullable: true })", "list<item: int32>"),
        (
            'List(Field { name: "item", data_type: Utf8, nullable: true, dict_id: 0 })',
            "list<item: string> | list<item: extension<arrow.json>>",
        ),
        ("List(Field { data_type: Duration(Second), nullable: true })", None),
        ("List(Utf8)", None),
        ('Timestamp(Microsecond, Some("Europe/Berlin"))', None),
    ],
)
def test_types_are_respelled(theirs: str, ours: str | None) -> None:
    assert arrow_name(theirs) == ours
