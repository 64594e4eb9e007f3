"""A state file that an earlier version made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.model.chunk import Chunk
from rivet.state import schema
from rivet.state.sqlite import SqliteDatabase
from rivet.state.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

RUN = """
INSERT INTO runs (run_id, export_name, status, started_at, mode, engine, destination_type,
    destination_uri, format, compression, fingerprint, tuning_profile, rivet_version, host,
    plan_json, batch_size, pid)
VALUES ('r1', 'orders', 'running', '2024-01-01T00:00:00.000000+00:00', '', '', '', '', '', '',
    '', '', '', '', '{}', 1, 1)"""
CHUNK = "INSERT INTO chunks VALUES ('r1', 0, 'all', NULL, NULL, 'pending', 0, NULL, '')"


def test_an_older_store_is_upgraded_and_keeps_its_rows(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / ".rivet" / "state.db")
    engine = database.migration_engine()
    with engine.begin() as connection:
        assert schema._one_step(connection, database)
    engine.dispose()
    assert database.revision() == "0001"
    with database.write() as db:
        db.change(RUN)
        db.change(CHUNK)
    database.close()
    with open_store(tmp_path) as store:
        assert store.chunks("r1") == (Chunk(0),)
        assert store.database.revision() == schema.REVISIONS[-1]
        store.journal("r1", "orders", "{}")
