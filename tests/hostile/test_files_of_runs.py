"""Only files of recorded runs, under the prefix they went to, are listed, moved or removed."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime

import pytest

import rivet as library
from rivet.config.load import load_config
from rivet.errors import RivetError, StateDamagedError
from rivet.execution.context import RunContext, RunOptions
from rivet.execution.run.prune import plan_prune, prune
from rivet.execution.upkeep.current_files import current_files
from rivet.plan.naming import is_run_of, new_run_id, place_of_part
from rivet.state.store import open_store

CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: t, table: t, mode: chunked, chunk_column: id, chunk_size: 1, format: csv,
   destination: {type: local, path: out}}
- {name: other, table: t, format: csv, destination: {type: local, path: other}}
"""
PRECIOUS = "precious.csv"


@pytest.fixture
def folder(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1), (2)")
    (tmp_path / "rivet.yaml").write_text(CONFIG)
    for _ in range(2):
        assert not library.run(tmp_path / "rivet.yaml", check=False).exports[0].failure
    (tmp_path / PRECIOUS).write_text("precious")
    (tmp_path / "out" / PRECIOUS).write_text("precious")
    return tmp_path


def change(folder, sql, *values):
    with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection, connection:
        assert connection.execute(sql, values).rowcount > 0


def ids(folder, export="t"):
    with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection:
        rows = connection.execute(
            "SELECT run_id FROM runs WHERE export_name = ? ORDER BY sequence", [export]
        )
        return [name for (name,) in rows]


def everything(folder):
    return {path: path.lstat().st_ino for path in folder.rglob("*") if ".rivet" not in path.parts}


def prune_all(folder):
    config = load_config(folder / "rivet.yaml")
    with open_store(folder) as state:
        context = RunContext(config, RunOptions(), state, lambda _: None, {})
        return prune(config, plan_prune(config, None, context, 1), context)


def list_all(folder):
    return current_files(load_config(folder / "rivet.yaml"), env={})


NAMES = [
    f"../{PRECIOUS}",
    PRECIOUS,
    "/etc/passwd",
    "{other}-00000-1-0000.csv",
    "{older}-00000-1-0000.csv",
    "{own}-00000-1-0000.csv/../../" + PRECIOUS,
    "{own}-important",
    "{own}-00000-1-0000.csv\n",
    "",
]


def test_a_name_that_no_run_gives(folder):
    old, new = ids(folder)
    other = ids(folder, "other")[0]
    before = everything(folder)
    for run_id, use in ((old, prune_all), (new, list_all)):
        older = old if run_id == new else new
        sql = "UPDATE parts SET name = ?, uri = ? WHERE run_id = ? AND part_id = 1"
        for name in NAMES:
            told = name.format(own=run_id, other=other, older=older)
            change(folder, sql, told, f"file://{folder / 'out'}/{told}", run_id)
            with pytest.raises(StateDamagedError) as caught:
                use(folder)
            assert caught.value.exit_status == 5, name
            assert "repair --state" in (caught.value.hint or "")
            assert everything(folder) == before
        own = f"{run_id}-00000-1-0000.csv"
        change(folder, sql, own, f"file://{folder / 'out'}/{own}", run_id)


def test_a_run_of_another_name_or_place(folder):
    old, new = ids(folder)
    change(folder, "UPDATE runs SET export_name = 'other' WHERE run_id = ?", old)
    before = everything(folder)
    with pytest.raises(StateDamagedError):
        prune_all(folder)
    change(folder, "UPDATE runs SET export_name = 't' WHERE run_id = ?", old)
    change(folder, "UPDATE parts SET uri = 'file:///etc/' || name WHERE run_id = ?", new)
    with pytest.raises(StateDamagedError):
        list_all(folder)
    assert everything(folder) == before


def test_a_link_in_the_place_of_a_file_stays(folder):
    old, _ = ids(folder)
    part = next((folder / "out").glob(f"{old}-00000*"))
    part.unlink()
    part.symlink_to(folder / PRECIOUS)
    with pytest.raises(RivetError, match="it is a link"):
        prune_all(folder)
    assert part.is_symlink()
    assert (folder / PRECIOUS).read_text() == "precious"


@pytest.fixture
def cut_short(folder, rivet):
    """Return the run that was killed between two chunks, to be taken up."""
    rivet("run", "-c", "rivet.yaml", "-e", "t", env={"RIVET_FAULT": "kill@chunk_completed"})
    return ids(folder)[-1]


def test_resume_counts_no_link_and_moves_no_folder(folder, cut_short, rivet):
    (part,) = (folder / "out").glob(f"{cut_short}-*")
    content = part.read_bytes()
    part.unlink()
    (folder / "same-size").write_bytes(content.replace(b"1", b"7"))
    part.symlink_to(folder / "same-size")
    kept = folder / "out" / f"{cut_short}-important" / "data.csv"
    kept.parent.mkdir()
    kept.write_text("mine")
    (folder / "elsewhere").mkdir()
    (folder / "out/_quarantine").symlink_to(folder / "elsewhere")
    rivet("run", "-c", "rivet.yaml", "-e", "t", "--resume").expect(0)
    rows = []
    for entry in json.loads((folder / "out/manifest.json").read_text())["parts"]:
        rows += (folder / "out" / entry["path"]).read_text().split()[1:]
    assert sorted(rows) == ["1", "2"]
    assert kept.read_text() == "mine"
    assert (folder / "same-size").read_bytes() == content.replace(b"1", b"7")
    assert not list((folder / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["../../../evil", "t_20260101T000000.000_../x", "other"])
def test_resume_takes_up_no_run_of_another_name(name, folder, cut_short, rivet):
    with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection, connection:
        for table in ("runs", "chunks", "parts"):
            sql = f"UPDATE {table} SET run_id = ? WHERE run_id = ?"
            connection.execute(sql, [name, cut_short])
    before = everything(folder)
    done = rivet("run", "-c", "rivet.yaml", "-e", "t", "--resume").expect(5)
    assert "RIVET_STATE_DAMAGED" in done.stderr
    assert everything(folder) == before
    assert not (folder.parent / "evil").exists()


def test_names_of_ours():
    run_id = new_run_id("a.b-1", datetime.now(UTC), "0123abcd")
    assert is_run_of(run_id, "a.b-1")
    assert not is_run_of(run_id, "a.b")
    assert place_of_part(f"{run_id}-00012-3-0004.csv", run_id) == (12, 3, 4)
    assert place_of_part(f"{run_id}-00012-3-0004.csv/x", run_id) is None
    assert place_of_part("manifest.json", run_id) is None


def on_terminal(folder, *arguments):
    reader, writer = pty.openpty()
    subprocess.run(
        [sys.executable, "-m", "rivet", *arguments],
        cwd=folder,
        stdout=writer,
        stderr=writer,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    os.close(writer)
    said = b""
    while True:
        try:
            said += os.read(reader, 65536)
        except OSError:
            os.close(reader)
            return said


def test_no_control_character_reaches_a_terminal(folder):
    nasty = "o\x1b]0;pwned\x07\u202eut\x9b31m\nx"
    text = CONFIG.replace("path: out", f"path: {json.dumps(nasty)}")
    (folder / "rivet.yaml").write_text(text)
    said = on_terminal(folder, "run", "-c", "rivet.yaml", "-e", "t", "--json")
    said += on_terminal(folder, "files", "-c", "rivet.yaml", "-e", "t")
    said += on_terminal(folder, "files", "-c", "rivet.yaml", "-e", "t", "--json")
    said += on_terminal(folder, "state", "reset", "-c", "rivet.yaml", "-e", "t")
    assert b"pwned" in said
    for raw in ("\x1b]", "\x07", "\u202e", "\x9b"):
        assert raw.encode() not in said, raw


@pytest.mark.parametrize(
    ("body", "way_out"),
    [
        (b"{", "mv /"),
        (b"[" * 99_999, "mv /"),
        (b'{"manifest_version": 1}', "mv /"),
        (b'{"manifest_version": ' + b"9" * 4000 + b"}", "newer Rivet"),
        (None, "mv /"),
    ],
)
def test_an_unreadable_manifest_names_its_way_out(body, way_out, folder):
    manifest = folder / "other/manifest.json"
    manifest.unlink()
    if body is None:
        manifest.symlink_to(folder / PRECIOUS)
    else:
        manifest.write_bytes(body)
    failure = library.run(folder / "rivet.yaml", exports=["other"], check=False).exports[0].failure
    assert failure.exit_code == 3
    assert way_out in failure.hint
    assert len(failure.message) < 500
    if "mv" in way_out:
        subprocess.run(["sh", "-c", failure.hint[failure.hint.index("mv ") :]], check=True)
        report = library.run(folder / "rivet.yaml", exports=["other"], check=False).exports[0]
        assert report.failure is None
    assert (folder / PRECIOUS).read_text() == "precious"
