"""Closed, full and broken standard streams: the verdict of a run is its exit code all the same."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

RIVET = [sys.executable, "-m", "rivet"]
CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: good, table: t, format: csv, destination: {type: local, path: out}}
- {name: streamed, table: t, format: csv, destination: {type: stdout}}
- {name: gated, table: t, format: csv, destination: {type: local, path: gated},
   quality: {row_count_min: 9}}
- {name: missing, table: nowhere, format: csv, destination: {type: local, path: missing}}
"""
CLOSED, FULL, BROKEN, READ_ONLY = "closed", "full", "broken", "read-only"
every_way = pytest.mark.parametrize("way", [CLOSED, FULL, BROKEN])


@pytest.fixture
def folder(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1), (2)")
    (tmp_path / "rivet.yaml").write_text(CONFIG)
    return tmp_path


def run(folder, *arguments, stream, way):
    """Run a command with a stream as it should not be; return its code and the other's text."""
    spoilt = 1 if stream == "stdout" else 2
    reader, writer = os.pipe()
    os.close(reader)

    def spoil():
        if way == CLOSED:
            os.close(spoilt)
        elif way == READ_ONLY:
            os.dup2(os.open(os.devnull, os.O_RDONLY), spoilt)
        elif way == FULL:
            os.dup2(os.open("/dev/full", os.O_WRONLY), spoilt)
        else:
            os.dup2(writer, spoilt)

    done = subprocess.run(
        [*RIVET, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=spoil,
        timeout=120,
    )
    os.close(writer)
    return done.returncode, done.stderr if spoilt == 1 else done.stdout


def rows_of(folder):
    (part,) = json.loads((folder / "out/manifest.json").read_text())["parts"]
    return (folder / "out" / part["path"]).read_text().split()


@every_way
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_run_is_what_it_is(way, stream, folder):
    code, said = run(folder, "run", "-c", "rivet.yaml", "-e", "good", stream=stream, way=way)
    assert code == 0
    assert "Traceback" not in said
    assert rows_of(folder) == ["id", "1", "2"]


@every_way
@pytest.mark.parametrize(("export", "expected"), [("gated", 3), ("missing", 1)])
def test_a_failure_keeps_its_code(way, export, expected, folder):
    for stream in ("stdout", "stderr"):
        code, said = run(
            folder, "run", "-c", "rivet.yaml", "-e", export, "--json", stream=stream, way=way
        )
        assert code == expected
        assert "Traceback" not in said


@every_way
def test_a_result_that_cannot_be_printed_is_an_error_after_everything_else(way, folder):
    code, said = run(
        folder,
        *("run", "-c", "rivet.yaml", "-e", "good", "--json", "--summary-output", "summary.json"),
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
    code, said = run(folder, "run", "-c", "rivet.yaml", "-e", "streamed", stream="stdout", way=way)
    assert code in {1, 141}
    assert "Traceback" not in said
    assert "bug" not in said


@every_way
def test_rows_for_standard_output_come_whatever_becomes_of_words(way, folder):
    code, rows = run(folder, "run", "-c", "rivet.yaml", "-e", "streamed", stream="stderr", way=way)
    assert (code, rows.split()) == (0, ["id", "1", "2"])


@every_way
@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["schema", "config"]])
def test_text_that_cannot_be_printed_is_no_bug(way, arguments, folder):
    code, said = run(folder, *arguments, stream="stdout", way=way)
    assert code == (141 if way == BROKEN else 1)
    assert "Traceback" not in said
    assert "bug" not in said


@every_way
def test_a_usage_error_keeps_its_code(way, folder):
    code, said = run(folder, "run", "--no-such-option", stream="stderr", way=way)
    assert (code, said) == (1, "")


def test_a_file_that_takes_the_place_of_a_closed_stream_is_not_written_into(folder):
    """The state would be the next file opened: what is said must not go into it."""
    done = subprocess.run(
        [*RIVET, "run", "-c", "rivet.yaml", "-e", "good"],
        cwd=folder,
        check=False,
        preexec_fn=lambda: [os.close(number) for number in (0, 1, 2)],
    )
    assert done.returncode == 0
    assert rows_of(folder) == ["id", "1", "2"]
    with closing(sqlite3.connect(folder / ".rivet/state.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_summary_that_cannot_be_written_is_told_after_the_verdict(folder):
    code, said = run(
        folder,
        *("run", "-c", "rivet.yaml", "-e", "gated", "--summary-output", "/dev/full/x"),
        stream="stdout",
        way=CLOSED,
    )
    assert code == 3
    assert "RIVET_DATA_QUALITY" in said


def test_every_command_has_its_code_whatever_its_streams_are(folder):
    """The code is that of good streams, unless what was to be printed is lost."""
    run(folder, "run", "-c", "rivet.yaml", "-e", "good", stream="stderr", way=CLOSED)
    commands = [("files", "-c", "rivet.yaml", "-e", "good"), ("prune", "-c", "rivet.yaml")]
    for arguments in commands:
        usual = subprocess.run([*RIVET, *arguments], cwd=folder, capture_output=True, check=False)
        for stream, way in (("stdout", READ_ONLY), ("stderr", READ_ONLY)):
            code, said = run(folder, *arguments, stream=stream, way=way)
            is_lost = stream == "stdout" and usual.stdout and not usual.returncode
            assert code == (1 if is_lost else usual.returncode), (arguments, stream, way, said)
            assert "Traceback" not in said
            assert "bug" not in said


def test_a_run_needs_no_standard_input(folder):
    done = subprocess.run(
        [*RIVET, "run", "-c", "rivet.yaml", "-e", "good"],
        cwd=folder,
        capture_output=True,
        check=False,
        preexec_fn=lambda: os.close(0),
    )
    assert done.returncode == 0, done.stderr
    assert rows_of(folder) == ["id", "1", "2"]
