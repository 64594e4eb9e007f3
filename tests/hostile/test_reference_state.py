"""An earlier program's state that is damaged or made by an enemy: one line, nothing half taken."""

import json
import os
import sqlite3
from contextlib import closing

import pytest

from support import warm

CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: t, table: t, mode: incremental, cursor_column: id, format: csv,
   destination: {type: local, path: out}}
"""
TABLES = """
CREATE TABLE export_state (export_name, last_cursor_value, cursor_column);
CREATE TABLE export_schema (export_name, columns_json);
CREATE TABLE export_metrics (id, export_name, source_type, key_descriptor_json);
INSERT INTO export_state VALUES ('a', '1', 'id'), ('t', '1', 'id');
INSERT INTO export_schema VALUES ('a', '[{"name":"id","type":"Int32"}]');
INSERT INTO export_metrics VALUES (1, 't', 'sqlite', '{"key":"id","db_type":"integer"}');
"""
DEEP = "[" * 100_000
LISTS = "List(Field { data_type: " * 20_000
SLOW = json.dumps(
    [{"name": "id", "type": "List(Field { data_type: " + ", nullable: true" * 60_000}]
)
HUGE = "zeroblob(200000000)"
CHANGES = {
    "cursor-blob": ("UPDATE export_state SET last_cursor_value = x'ff'",),
    "cursor-number": ("UPDATE export_state SET last_cursor_value = 1.5 WHERE export_name = 't'",),
    "cursor-huge": ("UPDATE export_state SET last_cursor_value = hex(zeroblob(20000000))",),
    "no-text": ("UPDATE export_state SET last_cursor_value = CAST(x'ff1b5d30' AS TEXT)",),
    "name-null": ("UPDATE export_state SET export_name = NULL WHERE export_name = 't'",),
    "name-huge": ("UPDATE export_state SET export_name = hex(zeroblob(5000000))",),
    "column-number": ("UPDATE export_state SET cursor_column = 7",),
    "schema-name": ("UPDATE export_schema SET export_name = 7",),
    "schema-deep": ("UPDATE export_schema SET columns_json = :deep",),
    "schema-numbers": ("UPDATE export_schema SET columns_json = '[1, 2]'",),
    "schema-blob": ("UPDATE export_schema SET columns_json = x'00'",),
    "schema-lists": ("UPDATE export_schema SET columns_json = :lists",),
    "schema-slow": ("UPDATE export_schema SET columns_json = :slow",),
    "key-deep": ("UPDATE export_metrics SET key_descriptor_json = :deep",),
    "key-types": ('UPDATE export_metrics SET key_descriptor_json = \'{"key":"id","db_type":[]}\'',),
    "id-text": ("INSERT INTO export_metrics VALUES ('x', 't', 'sqlite', '{}')",),
    "engine": ("UPDATE export_metrics SET source_type = 'oracle' || char(27)",),
    "engine-blob": ("UPDATE export_metrics SET source_type = x'ff'",),
    "no-column": ("ALTER TABLE export_state RENAME COLUMN export_name TO other",),
    "no-id": ("ALTER TABLE export_metrics RENAME COLUMN id TO other",),
    "many-rows": (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)"
        " INSERT INTO export_state SELECT 'x' || i, '1', 'id' FROM n",
    ),
    "computed": (
        "CREATE TABLE o AS SELECT * FROM export_schema",
        "DROP TABLE export_schema",
        "CREATE TABLE export_schema (export_name, columns_json AS (hex(zeroblob(400000000))))",
        "INSERT INTO export_schema SELECT export_name FROM o",
    ),
}


def fifo(path):
    os.mkfifo(path)


def huge(path):
    os.truncate(path, 20 * 2**30)


def garbage(path):
    path.write_bytes(b"\x1b]0;x\x07 garbage" * 100)


def cut(path):
    os.truncate(path, path.stat().st_size - 5000)


def wal(path):
    os.mkfifo(path.with_name(f"{path.name}-wal"))


FILES = {"huge": huge, "garbage": garbage, "cut": cut, "wal": wal}


def left_behind(folder):
    path = folder / ".rivet_state.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(TABLES)
    return path


@pytest.fixture
def folder(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1), (2)")
    (tmp_path / "rivet.yaml").write_text(CONFIG)
    return tmp_path


def ended(folder, *arguments):
    environment = {**warm.plain_environment(), "HOME": str(folder)}
    return warm.server().run([*arguments, "-c", "rivet.yaml"], folder, environment, 30)


def refused(folder):
    for arguments in (("state", "import"), ("run",)):
        done = ended(folder, *arguments)
        assert done.code == 5, done
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error:")]
        assert "RIVET_STATE_" in line or ("FOREIGN_STATE" in line and arguments == ("run",)), line
        assert ".rivet_state.db" in line
        assert len(done.stderr) < 2000
        assert "\x1b" not in done.stderr
        assert done.peak_mb < 300
        assert done.seconds < 15
        with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection:
            for table in ("watermarks", "schemas", "runs"):
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    assert not (folder / "out/manifest.json").exists()


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_no_program_wrote(change, folder):
    path = left_behind(folder)
    texts = {"deep": DEEP, "slow": SLOW, "lists": json.dumps([{"name": "a", "type": LISTS}])}
    with closing(sqlite3.connect(path)) as connection, connection:
        for sql in CHANGES[change]:
            connection.execute(sql, {key: texts[key] for key in texts if f":{key}" in sql})
    refused(folder)


@pytest.mark.parametrize("change", FILES)
def test_a_file_that_is_none(change, folder):
    FILES[change](left_behind(folder))
    refused(folder)


def test_a_good_one_is_taken_over(folder):
    left_behind(folder)
    assert ended(folder, "state", "import").code == 0
    assert ended(folder, "run").code == 0
    (manifest,) = (folder / "out").glob("manifest-*.json")
    (part,) = json.loads(manifest.read_text())["parts"]
    assert (folder / "out" / part["path"]).read_text().split() == ["id", "2"]
