"""Signals at any moment of a run of many exports: whole parts, no process left, and a way on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import random
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import duckdb
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.children import is_running, wait_until
from support.scripted import Overseer

NAMES = ("north", "south", "east", "west", "centre")
ROWS = 20_000
SQL = f"SELECT id, customer, amount, note, paid FROM orders WHERE id <= {ROWS}"
MANNERS = {"processes": "--parallel-export-processes=3", "threads": "--parallel-exports=3"}
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -signal.SIGKILL}


@pytest.fixture
def many(shop):
    """Five exports of several parts each, and one of a table that is empty."""
    shop.fill(ROWS)
    small = {"max_file_size": "10KB", "query": SQL, "tuning": {"batch_size": 500}}
    types = {"columns": {"note": "text", "amount": "decimal(12,2)"}}
    shop.configure(*({**small, **types, "name": name} for name in NAMES), {"name": "empty"})
    return shop


def _launch(rivet, shop, manner, *flags, **variables):
    process = rivet.start(
        "run", "-c", shop.config, manner, *flags, env={**rivet.environment, **variables}
    )
    overseer = Overseer(process.pid, shop.directory)
    overseer.start()
    return process, overseer


def _files(shop):
    return len([path for path in shop.out.rglob("*") if path.is_file()])


def _let_it_come_to(process, shop, files):
    wait_until(lambda: _files(shop) >= files or process.poll() is not None)


def _end(process, overseer):
    try:
        stdout, stderr = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    overseer.join()
    wait_until(lambda: overseer.left() == [], limit_s=10)
    return stdout, stderr


def _only_whole_parts(shop):
    """Whatever stands under a final name can be read, and manifests speak of what is there."""
    for path in shop.out.rglob("*.parquet"):
        pq.read_table(path)
    for path in shop.out.glob("*/manifest.json"):
        manifest = json.loads(path.read_text())
        sizes = {part["path"]: part["size_bytes"] for part in manifest["parts"]}
        assert {name: (path.parent / name).stat().st_size for name in sizes} == sizes
        rows = [pq.read_metadata(path.parent / name).num_rows for name in sizes]
        assert sum(rows) == manifest["row_count"]


def _readable(rivet, shop, name):
    """The rows of an export as DuckDB reads the files that Rivet names; None without files."""
    listed = rivet("files", "-c", shop.config, "-e", name).expect(0).stdout.split()
    read = f"SELECT id, customer, amount::VARCHAR AS amount, note, paid FROM read_parquet({listed})"
    return duckdb.sql(read) if listed else None


def _source(shop):
    with contextlib.closing(sqlite3.connect(shop.database)) as connection:
        rows = connection.execute(SQL.replace("amount", "printf('%.2f', amount)")).fetchall()
    names = ("id", "customer", "amount", "note", "paid")
    table = pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))
    return table.set_column(4, "paid", table["paid"].cast(pa.bool_()))


def _committed(stderr):
    return {
        name: int(rows.replace(",", ""))
        for name, rows in re.findall(r"^  committed: (\w+) ([\d,]+) rows? in [^(]*$", stderr, re.M)
    }


def _go_on(rivet, stderr):
    """Do what the summary says."""
    (command,) = re.findall(r"^  go on with: (.*)$", stderr, re.MULTILINE)
    program, *arguments = shlex.split(command)
    assert program == "rivet"
    return rivet(*arguments)


def _all_is_there(rivet, shop):
    source = duckdb.from_arrow(_source(shop))
    assert len(source) == ROWS
    for name in NAMES:
        rows = _readable(rivet, shop, name)
        assert len(rows) == ROWS
        assert rows.except_(source).fetchall() == []


MOMENTS = [(number, seed) for seed in range(2) for number in ENDS]


@pytest.mark.parametrize(("number", "seed"), MOMENTS)
@pytest.mark.parametrize("manner", MANNERS)
def test_a_signal_at_any_moment(rivet, many, manner, number, seed):
    chooser = random.Random(f"{manner} {number} {seed}")
    process, overseer = _launch(rivet, many, MANNERS[manner])
    _let_it_come_to(process, many, chooser.randrange(35))
    time.sleep(chooser.random() / 10)
    process.send_signal(number)
    sent = time.monotonic()
    _, stderr = _end(process, overseer)
    assert time.monotonic() - sent < 10
    assert process.returncode == ENDS[number], stderr
    _only_whole_parts(many)
    if number == signal.SIGKILL:
        rivet("run", "-c", many.config, MANNERS[manner]).expect(0)
    else:
        assert f"stopped:       by {number.name}" in stderr
        committed = _committed(stderr)
        for name in NAMES:
            rows = _readable(rivet, many, name)
            assert (rows is not None) == (name in committed)
            assert rows is None or len(rows) == committed[name] == ROWS
        _go_on(rivet, stderr).expect(0)
    _only_whole_parts(many)
    _all_is_there(rivet, many)


@pytest.mark.soak
@pytest.mark.parametrize(("number", "seed"), [(n, s) for s in range(2, 22) for n in ENDS])
@pytest.mark.parametrize("manner", MANNERS)
def test_a_signal_at_many_moments(rivet, many, manner, number, seed):
    test_a_signal_at_any_moment(rivet, many, manner, number, seed)


def test_the_last_good_run_stays_until_the_next_is_complete(rivet, many):
    manner = MANNERS["processes"]
    rivet("run", "-c", many.config, manner).expect(0)
    before = _files(many)
    process, overseer = _launch(rivet, many, manner)
    _let_it_come_to(process, many, before + 20)
    process.terminate()
    _end(process, overseer)
    _only_whole_parts(many)
    _all_is_there(rivet, many)


# On a terminal

_IN_FRONT = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "rivet", *sys.argv[1:]])
"""


class Foreground:
    """A run in the foreground of a terminal of its own: keys go to its whole process group."""

    def __init__(self, rivet, *arguments, **variables):
        self.master, slave = pty.openpty()
        self.settings = termios.tcgetattr(slave)
        self.slave = slave
        self.text = bytearray()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _IN_FRONT, *map(str, arguments)],
            cwd=rivet.directory,
            env={**rivet.environment, "TERM": "xterm-256color", **variables},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self):
        fcntl.fcntl(self.master, fcntl.F_SETFL, os.O_NONBLOCK)
        while True:
            is_over = self.process.poll() is not None
            try:
                self.text += os.read(self.master, 65536)
            except BlockingIOError:
                if is_over:
                    return
                time.sleep(0.01)

    def press(self, keys):
        os.write(self.master, keys)

    def wait(self):
        try:
            self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self.reader.join()
            after = termios.tcgetattr(self.slave)
            os.close(self.slave)
            os.close(self.master)
        assert after == self.settings
        return self.text.decode()


@pytest.mark.parametrize("manner", MANNERS)
def test_ctrl_c_on_a_terminal(rivet, many, manner):
    terminal = Foreground(rivet, "run", "-c", many.config, MANNERS[manner], COLUMNS="")
    overseer = Overseer(terminal.process.pid, many.directory)
    overseer.start()
    _let_it_come_to(terminal.process, many, 30)
    terminal.press(b"\x03")
    screen = terminal.wait()
    overseer.join()
    assert terminal.process.returncode == 130
    assert screen.rfind("\x1b[?25h") >= screen.rfind("\x1b[?25l"), "the cursor is shown again"
    assert screen.count("\x1b[?25h") >= screen.count("\x1b[?25l")
    plain = screen.replace("\r\n", "\n")
    assert "Traceback" not in plain
    assert "by SIGINT" in plain
    wait_until(lambda: overseer.left() == [], limit_s=10)
    _only_whole_parts(many)
    _go_on(rivet, plain).expect(0)
    _all_is_there(rivet, many)


@pytest.mark.parametrize("manner", MANNERS)
def test_a_second_ctrl_c_waits_for_nobody(rivet, shop, manner):
    """Here every export is held by a fault hook; its thread or process listens to nothing."""
    shop.configure({}, {"name": "empty"})
    marker = shop.directory / "hold"
    marker.touch()
    held = {"RIVET_FAULT": "pause@part_stored", "RIVET_FAULT_MARKER": str(marker)}
    terminal = Foreground(rivet, "run", "-c", shop.config, MANNERS[manner], **held)
    overseer = Overseer(terminal.process.pid, shop.directory)
    overseer.start()
    wait_until(lambda: len([*shop.out.rglob("orders_*.parquet")]) == 1)
    terminal.press(b"\x03")
    if manner == "threads":
        time.sleep(1)
        assert terminal.process.poll() is None
    pressed = time.monotonic()
    terminal.press(b"\x03")
    terminal.process.wait(timeout=5)
    assert time.monotonic() - pressed < 1
    terminal.wait()
    overseer.join()
    assert terminal.process.returncode == 130
    wait_until(lambda: overseer.left() == [], limit_s=10)
    marker.unlink()
    rivet("run", "-c", shop.config, MANNERS[manner]).expect(0)


# One of them is lost


@pytest.fixture
def held(rivet, many):
    """A run whose five full exports wait at their first part."""
    marker = many.directory / "hold"
    marker.touch()
    process, overseer = _launch(
        rivet,
        many,
        f"--parallel-export-processes={len(NAMES) + 1}",
        "--json",
        RIVET_FAULT="pause@part_recorded",
        RIVET_FAULT_MARKER=str(marker),
    )
    wait_until(lambda: all([*many.out.glob(f"{name}/*.parquet")] for name in NAMES))
    yield process, overseer, marker
    process.kill()
    process.communicate()


def _children(process):
    """The processes of exports by name, and that which forks them."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        command = child.cmdline()
        if "rivet.cli.preloaded" in command:
            found[None] = child.pid
        elif "--export" in command:
            found[command[command.index("--export") + 1].rstrip()] = child.pid
    return found


def _verdicts(stdout):
    return {entry["export_name"]: entry for entry in json.loads(stdout)["per_export"]}


def test_a_child_that_is_killed_is_the_only_one(rivet, many, held):
    process, overseer, marker = held
    os.kill(_children(process)["south"], signal.SIGKILL)
    time.sleep(0.2)
    marker.unlink()
    stdout, stderr = _end(process, overseer)
    verdicts = _verdicts(stdout)
    assert process.returncode == 137
    south = verdicts.pop("south")
    assert (south["status"], south["error_code"]) == ("failed", "RIVET_CHILD_KILLED")
    assert "SIGKILL" in south["error_message"]
    assert {entry["status"] for entry in verdicts.values()} == {"success"}
    _only_whole_parts(many)
    assert "-e south" in stderr
    _go_on(rivet, stderr).expect(0)
    _all_is_there(rivet, many)


def test_the_process_that_forks_them_is_killed(rivet, many, held):
    process, overseer, marker = held
    children = _children(process)
    os.kill(children.pop(None), signal.SIGKILL)
    stdout, stderr = _end(process, overseer)
    assert process.returncode == 1, stderr
    marker.unlink()
    verdicts = _verdicts(stdout)
    for name in NAMES:
        told = (verdicts[name]["status"], verdicts[name]["error_code"])
        assert told == ("failed", "RIVET_CHILD_LOST")
        assert "SIGKILL" in verdicts[name]["error_message"]
    assert not any(is_running(pid) for pid in children.values())
    assert overseer.defunct == []
    _only_whole_parts(many)
    rivet("run", "-c", many.config, MANNERS["processes"]).expect(0)
    _all_is_there(rivet, many)


def test_children_outlive_a_killed_parent_by_seconds_at_most(held, many):
    process, overseer, _ = held
    pids = [*_children(process).values()]
    assert len(pids) >= len(NAMES) + 1
    process.kill()
    killed = time.monotonic()
    process.wait()
    wait_until(lambda: not any(is_running(pid) for pid in pids), limit_s=10)
    assert time.monotonic() - killed < 10
    overseer.join()
    assert overseer.left() == []
    _only_whole_parts(many)
    assert not [*many.out.rglob("_SUCCESS")] or Path(many.out / "empty/_SUCCESS").exists()
