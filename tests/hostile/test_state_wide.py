"""Long and wide lists of a state: long ones are read in pages, and none fills the memory."""

import sqlite3
from contextlib import closing

import pytest

from rivet.state.store import open_store
from support.hostile.measured import Measured

FILES = 25_000
MB = 1 << 20
CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: t, table: t, format: csv, destination: {type: local, path: out}}
"""
_PART = (
    "chunk_index, claim_number, is_void, row_count, size_bytes, content_hash, content_md5,"
    " columns_json, recorded_at, run_id, export_name"
)
_CHUNK = "kind, lower_bound, upper_bound, status, claim_number, updated_at, span_json, run_id"
MORE_PARTS = f"""
    INSERT INTO pyrivet.parts ({_PART}, part_id, ordinal, name, uri)
    SELECT {_PART}, g, g, name || g, uri || g FROM pyrivet.parts, {{numbers}} WHERE part_id = 1"""
# As many chunks, and a row of what was observed of each.
MORE = f"""
    {MORE_PARTS.format(numbers="generate_series(2, {count}) g")};
    UPDATE pyrivet.runs SET recorded_parts = {{count}}, recorded_chunks = {{count}} + 1;
    INSERT INTO pyrivet.observations SELECT run_id, g, '{{{{}}}}' FROM pyrivet.runs,
        generate_series(1, {{count}}) g;
    INSERT INTO pyrivet.chunks ({_CHUNK}, chunk_index)
    SELECT {_CHUNK}, g FROM pyrivet.chunks, generate_series(1, {{count}}) g;
"""
# (table, column, how many rows, how wide): each within the limits of one answer, or of none.
WIDE = {
    "a wide value": ("parts", "uri", 1, 250 * MB),
    "wide rows": ("parts", "columns_json", 60, MB),
    "wide rows of the newest run": ("runs", "plan_json", 1, 250 * MB),
}


@pytest.fixture(scope="module")
def measured():
    with Measured() as runs:
        yield runs


def exported(measured, folder, **variables):
    """Run an export once; its state is what is harmed."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1)")
    (folder / "rivet.yaml").write_text(CONFIG)
    ending = measured.start(folder, "run", "-c", "rivet.yaml", **variables).result(timeout=60)
    assert ending.code == 0, ending


def judged(measured, folder, name, **variables):
    ending = measured.start(folder, "files", "-c", "rivet.yaml", **variables).result(timeout=120)
    ending.check(name, (1, 5), 60)
    assert "[RIVET_STATE_" in ending.said, ending


@pytest.mark.live("postgresql")
def test_a_run_of_very_many_files_is_read(any_postgres, measured, tmp_path):
    folder = tmp_path / "t"
    exported(measured, folder, RIVET_STATE_URL=any_postgres.url)
    ((run,),) = any_postgres.execute("SELECT run_id FROM pyrivet.runs")
    any_postgres.execute(MORE.format(count=FILES))
    with open_store(folder, url=any_postgres.url) as store:
        parts = store.whole_parts(run)
        assert [part.part_id for part in parts] == list(range(1, FILES + 1))
        assert len(store.observations(run)) == FILES
        assert len(store.chunks(run)) == FILES + 1


@pytest.mark.live("postgresql")
def test_wide_rows_of_a_shared_state(any_postgres, measured, tmp_path):
    table, column, count, width = WIDE["wide rows"]
    url = any_postgres.url
    exported(measured, tmp_path / "t", RIVET_STATE_URL=url)
    any_postgres.execute(MORE_PARTS.format(numbers=f"generate_series(2, {count}) g"))
    any_postgres.execute(f"UPDATE pyrivet.{table} SET {column} = repeat('x', {width})")
    judged(measured, tmp_path / "t", "wide rows", RIVET_STATE_URL=url)


@pytest.mark.parametrize("name", WIDE)
def test_wide_rows_of_a_file(measured, tmp_path, name):
    table, column, count, width = WIDE[name]
    folder = tmp_path / "t"
    exported(measured, folder)
    numbers = f"WITH RECURSIVE n(g) AS (SELECT 2 UNION ALL SELECT g + 1 FROM n WHERE g < {count})"
    with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection, connection:
        more = MORE_PARTS.format(numbers="n").replace("pyrivet.", "")
        connection.execute(f"{numbers} {more} AND g <= {count}")
        connection.execute(f"UPDATE {table} SET {column} = printf('%.*c', {width}, 'x')")
    judged(measured, folder, name)
