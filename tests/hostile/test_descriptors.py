"""Closed, full and broken standard streams: the verdict of a run is its exit code all the same."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from support import warm
from support.warm import BROKEN, CLOSED, FULL, READ_ONLY

CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: good, table: t, format: csv, destination: {type: local, path: out}}
- {name: streamed, table: t, format: csv, destination: {type: stdout}}
- {name: gated, table: t, format: csv, destination: {type: local, path: gated},
   quality: {row_count_min: 9}}
- {name: missing, table: nowhere, format: csv, destination: {type: local, path: missing}}
- {name: gone-on, table: t, mode: incremental, cursor_column: id, format: csv,
   destination: {type: local, path: gone-on}}
"""
every_way = pytest.mark.parametrize("way", [CLOSED, FULL, BROKEN])
STREAMS = ("stdout", "stderr")
OF_RIVET = ("-c", "rivet.yaml")


@pytest.fixture
def folder(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1), (2)")
    (tmp_path / "rivet.yaml").write_text(CONFIG)
    return tmp_path


def ending(folder, *arguments, **streams):
    environment = {**warm.plain_environment(), "HOME": str(folder)}
    return warm.server().run(arguments, folder, environment, 60, streams=streams)


def run(folder, *arguments, stream, way):
    """Run a command with a stream as it should not be; return its code and the other's text."""
    ended = ending(folder, *arguments, **{stream: way})
    return ended.code, ended.stdout + ended.stderr


def rows_of(folder, name="out"):
    (part,) = json.loads((folder / name / "manifest.json").read_text())["parts"]
    return (folder / name / part["path"]).read_text().split()


def plainly(folder, spoil):
    """Run the command as a process of its own, which nothing is imported for."""
    return subprocess.run(
        [sys.executable, "-m", "rivet", "run", *OF_RIVET, "-e", "good"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=spoil,
        timeout=120,
    )


@every_way
def test_a_run_is_what_it_is(way, folder):
    for stream in STREAMS:
        code, said = run(folder, "run", *OF_RIVET, "-e", "good", stream=stream, way=way)
        assert code == 0
        assert "Traceback" not in said
        assert rows_of(folder) == ["id", "1", "2"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_process_that_starts_without_a_stream(number, folder):
    done = plainly(folder, lambda: os.close(number))
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert rows_of(folder) == ["id", "1", "2"]


@every_way
@pytest.mark.parametrize(("export", "expected"), [("gated", 3), ("missing", 1)])
def test_a_failure_keeps_its_code(way, export, expected, folder):
    for stream in STREAMS:
        code, said = run(folder, "run", *OF_RIVET, "-e", export, "--json", stream=stream, way=way)
        assert code == expected
        assert "Traceback" not in said


@every_way
def test_a_result_that_cannot_be_printed_is_an_error_after_everything_else(way, folder):
    code, said = run(
        folder,
        *("run", *OF_RIVET, "-e", "good", "--json", "--summary-output", "summary.json"),
        stream="stdout",
        way=way,
    )
    assert code == (141 if way == BROKEN else 1)
    assert "Traceback" not in said
    assert "bug" not in said
    assert rows_of(folder) == ["id", "1", "2"]
    assert json.loads((folder / "summary.json").read_text())["success_count"] == 1
    if way != BROKEN:
        assert "[RIVET_DESTINATION_STDOUT_LOST] standard output cannot be written" in said


@every_way
def test_rows_for_standard_output_that_are_lost_are_a_failure(way, folder):
    code, said = run(folder, "run", *OF_RIVET, "-e", "streamed", stream="stdout", way=way)
    assert code in {1, 141}
    assert "Traceback" not in said
    assert "bug" not in said


@every_way
def test_rows_for_standard_output_come_whatever_becomes_of_words(way, folder):
    code, rows = run(folder, "run", *OF_RIVET, "-e", "streamed", stream="stderr", way=way)
    assert (code, rows.split()) == (0, ["id", "1", "2"])


@every_way
def test_a_usage_error_keeps_its_code(way, folder):
    code, said = run(folder, "run", "--no-such-option", stream="stderr", way=way)
    assert (code, said) == (1, "")


def test_a_file_that_takes_the_place_of_a_closed_stream_is_not_written_into(folder):
    """The state would be the next file opened: what is said must not go into it."""
    done = plainly(folder, lambda: [os.close(number) for number in (0, 1, 2)])
    assert done.returncode == 0
    assert rows_of(folder) == ["id", "1", "2"]
    with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_summary_that_cannot_be_written_is_told_after_the_verdict(folder):
    code, said = run(
        folder,
        *("run", *OF_RIVET, "-e", "gated", "--summary-output", "/dev/full/x"),
        stream="stdout",
        way=CLOSED,
    )
    assert code == 3
    assert "RIVET_DATA_QUALITY" in said


WAYS = [("stdout", CLOSED), ("stdout", FULL), ("stdout", BROKEN), ("stderr", READ_ONLY)]
COMMANDS = (
    ("--version",),
    ("--help",),
    ("schema", "config"),
    ("files", *OF_RIVET),
    ("files", *OF_RIVET, "-e", "good", "--json"),
    ("files", *OF_RIVET, "-e", "nobody"),
    ("prune", *OF_RIVET, "--execute"),
    ("prune", *OF_RIVET, "-e", "gone-on"),
    ("repair", *OF_RIVET),
    ("repair", *OF_RIVET, "--state"),
    ("backfill", *OF_RIVET, "-e", "gone-on", "--from", "1", "--to", "2"),
    ("backfill", *OF_RIVET, "-e", "gone-on", "--from", "1", "--to", "2", "--json"),
    ("state", "import", *OF_RIVET),
    ("state", "accept", *OF_RIVET, "-e", "gone-on"),
    ("state", "reset", *OF_RIVET, "-e", "gone-on"),
    ("demo", "--engine", "no-such-engine"),
)


def test_every_command_has_its_code_whatever_its_streams_are(folder):
    """The code is that of good streams, unless what was to be printed is lost."""
    assert ending(folder, "run", *OF_RIVET, "-e", "good", "-e", "gone-on").code == 0
    kept = folder / "kept"
    shutil.copytree(folder / ".rivet", kept)
    for arguments in COMMANDS:
        usual = ending(folder, *arguments)
        for stream, way in WAYS:
            shutil.rmtree(folder / ".rivet")
            shutil.copytree(kept, folder / ".rivet")
            code, said = run(folder, *arguments, stream=stream, way=way)
            told = (arguments, stream, way, code, usual, said)
            is_lost = stream == "stdout" and usual.stdout and not usual.code
            assert code == ((141 if way == BROKEN else 1) if is_lost else usual.code), told
            assert "Traceback" not in said, told
            assert "bug" not in said, told


def test_a_run_needs_no_standard_input(folder):
    done = plainly(folder, lambda: os.close(0))
    assert done.returncode == 0, done.stderr
    assert rows_of(folder) == ["id", "1", "2"]
