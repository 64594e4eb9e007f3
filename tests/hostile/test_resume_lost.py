"""A run whose record lost rows is not taken up: nothing of the table is missing or there twice."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

import rivet as library
from rivet.config.load import load_config
from rivet.errors import StateDamagedError
from rivet.execution.upkeep.current_files import current_files
from support.cli import Rivet

CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: t, table: t, mode: chunked, %s, format: csv,
   destination: {type: local, path: out}}
"""
CUTS = ("chunk_column: id, chunk_size: 2", "chunk_by_key: id, chunk_size: 2")
KEPT = (".rivet", "out")
LAST = "(SELECT max(chunk_index) FROM chunks)"
LOSSES = {
    "tail": (f"DELETE FROM chunks WHERE chunk_index = {LAST}",),
    "all-chunks": ("DELETE FROM parts", "DELETE FROM chunks"),
    "parts": ("DELETE FROM parts",),
    "one-part": ("DELETE FROM parts WHERE part_id = (SELECT max(part_id) FROM parts)",),
    "void": ("UPDATE parts SET is_void = 1 WHERE part_id = 1",),
    "claim": ("UPDATE chunks SET claim_number = 2 WHERE chunk_index = 0",),
    "done": (f"UPDATE chunks SET status = 'completed' WHERE chunk_index = {LAST}",),
}


@pytest.fixture(scope="module", params=CUTS)
def cut_short(request, tmp_path_factory):
    """Return a folder with a run of four chunks that was killed when two were read."""
    folder = tmp_path_factory.mktemp("cut")
    with closing(sqlite3.connect(folder / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(1, 9)])
    (folder / "rivet.yaml").write_text(CONFIG % request.param)
    Rivet(folder)("run", "-c", "rivet.yaml", env={"RIVET_FAULT": "kill@chunk_completed:1"})
    for name in KEPT:
        shutil.copytree(folder / name, folder / f"{name}-kept")
    return folder


@pytest.fixture
def folder(cut_short):
    for name in KEPT:
        shutil.rmtree(cut_short / name)
        shutil.copytree(cut_short / f"{name}-kept", cut_short / name)
    return cut_short


def change(folder, *statements):
    with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection, connection:
        for sql in statements:
            assert connection.execute(sql).rowcount > 0, sql


def files_in(folder):
    return sorted(path.name for path in (folder / "out").glob("t_*"))


def rows_of(folder):
    rows = []
    for entry in json.loads((folder / "out/manifest.json").read_text())["parts"]:
        rows += (folder / "out" / entry["path"]).read_text().split()[1:]
    return sorted(map(int, rows))


def test_a_whole_record_is_taken_up(folder):
    report = library.run(folder / "rivet.yaml", resume=True, check=False).exports[0]
    assert report.failure is None
    assert rows_of(folder) == list(range(1, 9))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_record_that_lost_rows_is_not_taken_up(loss, folder):
    change(folder, *LOSSES[loss])
    before = files_in(folder)
    failure = library.run(folder / "rivet.yaml", resume=True, check=False).exports[0].failure
    assert failure is not None, rows_of(folder)
    assert (failure.code, failure.exit_code) == ("RIVET_STATE_DAMAGED", 5)
    assert "without --resume" in failure.hint
    assert files_in(folder) == before
    # What the hint says works from that state.
    assert library.run(folder / "rivet.yaml", check=False).exports[0].failure is None
    assert rows_of(folder) == list(range(1, 9))


def test_files_that_the_record_lost_are_missed(folder):
    assert library.run(folder / "rivet.yaml", check=False).exports[0].failure is None
    for loss in ("one-part", "parts"):
        change(folder, *LOSSES[loss])
        with pytest.raises(StateDamagedError):
            current_files(load_config(folder / "rivet.yaml"), env={})
