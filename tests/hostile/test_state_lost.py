"""A state that is empty, lost, older than the files or damaged never begins anew without a word."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from rivet.config.load import load_config
from rivet.errors import RivetError
from rivet.execution.context import RunOptions
from rivet.execution.invocation import run_exports
from rivet.execution.listing import forget_progress
from rivet.execution.owning import accept_progress

CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: t, table: t, mode: %s, format: csv,
   destination: {type: local, path: '%s'}}
"""
MODES = {
    "incremental": "incremental, cursor_column: id",
    "keyset": "chunked, chunk_by_key: id, keyset_incremental: true",
}


class Export:
    """A table of two rows that was exported, and a third row that came later."""

    def __init__(self, folder, mode="incremental", path="out"):
        self.folder = folder
        with closing(sqlite3.connect(folder / "a.db")) as connection, connection:
            connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        (folder / "rivet.yaml").write_text(CONFIG % (MODES.get(mode, mode), path))
        self.config = load_config(folder / "rivet.yaml")
        self.insert(1, 2)
        assert self.run() is None
        self.insert(3)

    @property
    def state(self):
        return self.folder / ".rivet/state.db"

    def insert(self, *ids):
        with closing(sqlite3.connect(self.folder / "a.db")) as connection, connection:
            connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in ids])

    def run(self, **options):
        config = load_config(self.config.path)
        (self.report,) = run_exports(config, options=RunOptions(**options), env={}).report.exports
        return self.report.failure

    def rows(self):
        """Return the rows of all runs together, through their own manifests."""
        found = []
        for path in sorted(self.folder.glob("**/manifest-*.json")):
            for part in json.loads(path.read_text())["parts"]:
                found += (path.parent / part["path"]).read_text().split()[1:]
        return sorted(map(int, found))

    def sql(self, *statements):
        with closing(sqlite3.connect(self.state)) as connection, connection:
            for one in statements:
                connection.execute(one)


def no_bytes(export):
    export.state.write_bytes(b"")


def no_folder(export):
    shutil.rmtree(export.folder / ".rivet")


def no_rows(export):
    export.sql("DELETE FROM watermarks", "DELETE FROM parts", "DELETE FROM runs")


def no_watermark(export):
    export.sql("DELETE FROM watermarks")


def another_name(export):
    export.sql("UPDATE watermarks SET export_name = 'u' || random()")


LOSSES = [no_bytes, no_folder, no_rows, no_watermark, another_name]


@pytest.mark.parametrize(
    ("lose", "mode", "path"),
    [
        *((lose, "incremental", "out") for lose in LOSSES),
        (no_bytes, "keyset", "out"),
        (no_watermark, "keyset", "out"),
        (no_folder, "incremental", "out/x-{date}/{export}"),
        (no_bytes, "keyset", "{run_id}"),
    ],
)
def test_a_lost_state_is_refused_until_somebody_decides(lose, mode, path, tmp_path):
    export = Export(tmp_path, mode, path)
    lose(export)
    for _ in range(2):
        failure = export.run()
        assert (failure.code, failure.exit_code) == ("RIVET_STATE_LOST", 5)
        for way in ("rivet repair --state", "rivet state reset -e t", "--fresh"):
            assert way in failure.hint
        assert export.rows() == [1, 2]
    assert "takes everything" in forget_progress(export.config, "t", {})
    assert export.run() is None
    assert export.rows() == [1, 1, 2, 2, 3]
    export.insert(4)
    assert export.run() is None
    assert export.rows() == [1, 1, 2, 2, 3, 4]
    lose(export)
    assert export.run().code == "RIVET_STATE_LOST"
    assert export.run(fresh=True) is None
    export.insert(5)
    assert export.run() is None
    assert export.rows().count(5) == 1


def test_a_state_older_than_the_files(tmp_path):
    export = Export(tmp_path)
    backup = export.state.read_bytes()
    assert export.run() is None
    export.insert(4)
    export.state.write_bytes(backup)
    failure = export.run()
    assert (failure.code, failure.exit_code) == ("RIVET_STATE_BEHIND", 5)
    assert "rivet state accept -e t" in failure.hint
    accept_progress(export.config, "t", {})
    assert export.run() is None
    assert export.rows() == [1, 2, 3, 3, 4]


def test_what_takes_everything_goes_on_with_a_word(tmp_path):
    export = Export(tmp_path, "full")
    assert not export.report.warnings
    no_bytes(export)
    assert export.run() is None
    assert any("does not know" in text for text in export.report.warnings)
    assert export.run() is None
    assert not export.report.warnings


def test_what_is_no_loss(tmp_path):
    export = Export(tmp_path, "full")
    text = export.config.path.read_text().replace("mode: full", "mode: " + MODES["incremental"])
    export.config.path.write_text(text)
    assert export.run() is None
    export.insert(4)
    assert export.run() is None
    (tmp_path / "second").mkdir()
    other = Export(tmp_path / "second")
    shutil.rmtree(other.folder / "out")
    shutil.rmtree(other.folder / ".rivet")
    assert other.run() is None


def verdict(export):
    try:
        failure = export.run()
    except RivetError as error:
        return error.error_code, error.exit_status, error.hint
    return (failure.code, failure.exit_code, failure.hint) if failure else ("", 0, "")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE watermarks SET position_text = '1'",
        "UPDATE watermarks SET position_text = 9",
        "UPDATE watermarks SET position_text = x'ff'",
        "UPDATE watermarks SET seal = NULL",
        "UPDATE watermarks SET owner_json = (SELECT columns_json FROM schemas)",
        "UPDATE watermarks SET kind = 'cursor:number:before'",
        "UPDATE schemas SET columns_json = '{'",
        "UPDATE schemas SET columns_json = 7",
        "UPDATE schemas SET columns_json = replace(hex(zeroblob(60000)), '0', '[')",
        "UPDATE runs SET plan_json = '[]'",
        "UPDATE runs SET finished_at = 'yesterday'",
        "DELETE FROM alembic_version",
        "UPDATE alembic_version SET version_num = '0003'",
        "UPDATE alembic_version SET version_num = '9999'",
        "DROP TABLE schemas",
        "DROP TABLE watermarks",
        "ALTER TABLE watermarks RENAME COLUMN seal TO leas",
    ],
)
def test_rows_that_nobody_wrote(change, tmp_path):
    export = Export(tmp_path)
    if "runs" in change:
        export.sql("DELETE FROM watermarks")
    export.sql(change)
    code, exit_code, hint = verdict(export)
    assert code.startswith("RIVET_STATE")
    assert exit_code == 5
    assert hint
    assert export.rows() == [1, 2]
