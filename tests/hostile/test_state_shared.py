"""A state in PostgreSQL whose tables are not as Rivet left them: stop with 5, or go on rightly."""

import os
import shutil
import stat

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rivet.errors import StateDamagedError
from rivet.execution.upkeep.repair_state import repair_state
from support.forgetful import Export, verdict

pytestmark = pytest.mark.live("postgresql")
SWALLOW = (
    "CREATE FUNCTION pyrivet.swallow() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NULL; END';"
    "CREATE TRIGGER swallow BEFORE INSERT OR UPDATE ON pyrivet.{} FOR EACH ROW"
    " EXECUTE FUNCTION pyrivet.swallow()"
)
INSTEAD = "CREATE RULE r AS ON {} TO pyrivet.{} DO INSTEAD NOTHING"
VIEW = (
    "ALTER TABLE pyrivet.{0} RENAME TO other;"
    " CREATE VIEW pyrivet.{0} AS SELECT * FROM pyrivet.other"
)
TABLES = ["watermarks", "schemas", "audits", "parts", "chunks", "journal", "runs"]
STOPS = {
    "RIVET_STATE_LOST": [
        "DROP SCHEMA pyrivet CASCADE",
        "TRUNCATE pyrivet.watermarks",
        "TRUNCATE pyrivet.watermarks, pyrivet.runs CASCADE",
        "UPDATE pyrivet.watermarks SET export_name = 'u'",
    ],
    "RIVET_STATE_SCHEMA_NEWER": ["UPDATE pyrivet.alembic_version SET version_num = '9999'"],
    "RIVET_STATE_DAMAGED": [
        *(f"DROP TABLE pyrivet.{table} CASCADE" for table in [*TABLES, "alembic_version"]),
        "DELETE FROM pyrivet.alembic_version",
        "UPDATE pyrivet.alembic_version SET version_num = '0003'",
        "UPDATE pyrivet.watermarks SET position_text = '1'",
        "UPDATE pyrivet.watermarks SET seal = NULL",
        "UPDATE pyrivet.watermarks SET owner_json = (SELECT columns_json FROM pyrivet.schemas)",
        "UPDATE pyrivet.schemas SET columns_json = '{'",
        "UPDATE pyrivet.schemas SET columns_json = repeat('[', 120000)",
        "UPDATE pyrivet.runs SET plan_json = '[]'; DELETE FROM pyrivet.watermarks",
        "ALTER TABLE pyrivet.watermarks RENAME COLUMN seal TO leas",
        "ALTER TABLE pyrivet.watermarks ALTER position_text TYPE int USING 1",
        "ALTER TABLE pyrivet.watermarks ALTER export_name TYPE bytea USING 'x'",
        "ALTER TABLE pyrivet.schemas ALTER columns_json TYPE text[] USING ARRAY[columns_json]",
        "ALTER TABLE pyrivet.runs ALTER started_at TYPE timestamp",
        "ALTER TABLE pyrivet.watermarks DROP CONSTRAINT watermarks_pkey",
        "DROP INDEX pyrivet.runs_one_running",
        VIEW.format("watermarks"),
        VIEW.format("journal"),
        INSTEAD.format("INSERT", "runs"),
        INSTEAD.format("UPDATE", "runs"),
        INSTEAD.format("INSERT", "chunks"),
        INSTEAD.format("UPDATE", "chunks"),
        "ALTER TABLE pyrivet.runs ALTER sequence DROP IDENTITY",
    ],
}
# The file is there before the record of it is refused: its rows come again, and the run says so.
WRITES = [
    INSTEAD.format("INSERT", "parts"),
    INSTEAD.format("INSERT", "watermarks"),
    SWALLOW.format("watermarks"),
    SWALLOW.format("schemas"),
    "ALTER TABLE pyrivet.watermarks ADD CHECK (position_text <> '3')",
]
HARMLESS = [
    "TRUNCATE pyrivet.journal, pyrivet.schemas, pyrivet.parts",
    "UPDATE pyrivet.runs SET finished_at = 'infinity', started_at = '-infinity'",
    "INSERT INTO pyrivet.alembic_version VALUES ('0001')",
    "ALTER TABLE pyrivet.watermarks ADD COLUMN noted int NOT NULL DEFAULT 1",
]


class Bench:
    """One export whose state and files come back for every change."""

    def __init__(self, database, folder):
        self._whole = database
        self._url = f"{database.url}_copy"
        self.export = Export(folder, state_url=database.url)
        self._files = {path: path.read_bytes() for path in (folder / "out").iterdir()}

    def _admin(self, sql):
        url = make_conninfo(self._whole.admin_url, dbname="postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql)

    def drop(self):
        self._admin(f'DROP DATABASE IF EXISTS "{self._whole.name}_copy" WITH (FORCE)')

    def change(self, sql):
        self.drop()
        ((owner,),) = self._whole.execute("SELECT current_user")
        name = self._whole.name
        self._admin(f'CREATE DATABASE "{name}_copy" TEMPLATE "{name}" OWNER "{owner}"')
        self.export.env = {"RIVET_STATE_URL": self._url}
        for path in (self.export.folder / "out").iterdir():
            path.unlink()
        for path, body in self._files.items():
            path.write_bytes(body)
        self.execute(sql)

    def execute(self, sql):
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(sql)


@pytest.fixture(scope="module")
def bench(shared_any_postgres, tmp_path_factory):
    made = Bench(shared_any_postgres, tmp_path_factory.mktemp("shared"))
    yield made
    made.drop()


def test_tables_that_nobody_made(bench):
    wrong = []
    for code, changes in STOPS.items():
        for sql in changes:
            bench.change(sql)
            found, exit_code, hint = verdict(bench.export)
            if (found, exit_code) != (code, 5) or not hint or bench.export.rows() != [1, 2]:
                wrong.append((sql, found, exit_code, bench.export.rows()))
    assert not wrong


def test_writes_that_are_swallowed_or_refused(bench):
    wrong = []
    for sql in WRITES:
        bench.change(sql)
        found, exit_code, hint = verdict(bench.export)
        if (found, exit_code) != ("RIVET_STATE_DAMAGED", 5) or not hint:
            wrong.append((sql, found, exit_code, bench.export.rows()))
    assert not wrong


def test_what_harms_nothing(bench):
    for sql in HARMLESS:
        bench.change(sql)
        assert verdict(bench.export)[0] == "", sql
        assert bench.export.rows() == [1, 2, 3], sql


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE pyrivet.watermarks, pyrivet.runs CASCADE",
        "UPDATE pyrivet.watermarks SET position_text = '9'",
        "UPDATE pyrivet.schemas SET columns_json = '[1]'",
    ],
)
def test_rows_are_repaired(bench, sql):
    bench.change(sql)
    done = repair_state(bench.export.config, None, bench.export.env)
    assert done.is_whole, done.lines
    assert verdict(bench.export)[0] == ""
    assert bench.export.rows() == [1, 2, 3]


def test_tables_are_moved_away_and_then_repaired(bench):
    bench.change("DROP TABLE pyrivet.parts")
    with pytest.raises(StateDamagedError) as caught:
        repair_state(bench.export.config, None, bench.export.env)
    assert "ALTER SCHEMA pyrivet RENAME TO pyrivet_damaged" in caught.value.hint
    bench.execute("ALTER SCHEMA pyrivet RENAME TO pyrivet_damaged")
    done = repair_state(bench.export.config, None, bench.export.env)
    assert done.is_whole, done.lines
    assert verdict(bench.export)[0] == ""
    assert bench.export.rows() == [1, 2, 3]


def test_what_stays_beside_the_configuration_is_private(any_postgres, tmp_path):
    own = tmp_path / ".rivet"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    mask = os.umask(0o002)
    try:
        export = Export(tmp_path, state_url=any_postgres.url)
        for path in [own, *own.rglob("*")]:
            expected = 0o700 if path.is_dir() else 0o600
            assert stat.S_IMODE(path.lstat().st_mode) == expected, path
        shutil.rmtree(own)
        own.symlink_to(elsewhere)
        assert export.run() is None
        own.unlink()
        own.mkdir()
        own.chmod(0o777)
        assert export.run() is None
        assert not [*elsewhere.iterdir(), *own.iterdir()]
        own.rmdir()
        os.mkfifo(own)
        assert export.run() is None
    finally:
        os.umask(mask)
