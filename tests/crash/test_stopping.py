"""Signals to a run of many exports: an orderly end, nothing left running, and a way to go on."""

from __future__ import annotations

import json
import os
import pty
import random
import shlex
import signal
import subprocess
import termios
import time

import duckdb
import psutil
import pyarrow.parquet as pq
import pytest

from support.children import paused

LIMIT_S = 10
NAMES = ("orders", "second", "third")


@pytest.fixture
def many(shop):
    """A shop with three exports of the same table."""
    shop.configure(*({"name": name, "table": "orders"} for name in NAMES))
    return shop


def _hold(rivet, shop, event):
    """Return the environment of children that wait at an event, and the file that holds them."""
    marker = shop.directory / "hold"
    marker.touch()
    fault = {"RIVET_FAULT": f"pause@{event}", "RIVET_FAULT_MARKER": str(marker)}
    return {**rivet.environment, **fault}, marker


def _of_this_run(shop):
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if str(shop.config) in " ".join(process.info["cmdline"] or ())
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def _wait_for(is_so, limit_s=30):
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


def _children(shop):
    return [one for one in _of_this_run(shop) if "--export" in " ".join(one.info["cmdline"])]


def _check_whole(rivet, shop, rows=1000):
    """What stands under a final name is whole, and a plain run brings everything."""
    for path in shop.out.rglob("*_*.parquet"):
        assert pq.read_metadata(path).num_rows == rows
    for manifest in shop.out.rglob("manifest.json"):
        body = json.loads(manifest.read_text())
        parts = [manifest.parent / part["path"] for part in body["parts"]]
        assert sum(pq.read_metadata(part).num_rows for part in parts) == body["row_count"]
    rivet("run", "-c", shop.config, "--parallel-export-processes").expect(0)
    for name in NAMES:
        listed = rivet("files", "-c", shop.config, "-e", name).expect(0).stdout.split()
        counted = duckdb.sql(f"SELECT count(*), count(DISTINCT id) FROM read_parquet({listed})")
        assert counted.fetchall() == [(rows, rows)]


def _go_on(rivet, stderr):
    (line,) = [line for line in stderr.splitlines() if "go on with: rivet " in line]
    words = shlex.split(line.partition("go on with: rivet ")[2])
    return rivet(*words)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("event", ["started", "part_stored"])
def test_a_signal_ends_the_children_in_order(rivet, many, number, event):
    environment, marker = _hold(rivet, many, event)
    process = rivet.start("run", "-c", many.config, "--parallel-export-processes", env=environment)
    _wait_for(lambda: paused(marker) == len(NAMES))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + number
    assert _of_this_run(many) == []
    assert f"by {number.name}" in stderr
    assert stderr.count("⚠ ") == len(NAMES)
    marker.unlink()
    _go_on(rivet, stderr).expect(0)
    _check_whole(rivet, many)


def test_what_was_committed_before_the_signal_is_named(rivet, many):
    environment, marker = _hold(rivet, many, "started")
    rivet("run", "-c", many.config, "-e", "orders").expect(0)
    script = many.directory / "child.py"
    script.write_text(
        "import os, sys\n"
        "if sys.argv[-1] == 'orders': os.environ.pop('RIVET_FAULT')\n"
        "os.execv(sys.executable, [sys.executable, '-P', '-m', 'rivet', *sys.argv[1:]])\n"
    )
    command = json.dumps([rivet.command[0], str(script)])
    process = rivet.start(
        "run",
        "-c",
        many.config,
        "--parallel-export-processes=3",
        env={**environment, "RIVET_CHILD_COMMAND": command},
    )
    success = many.out / "orders" / "_SUCCESS"
    before = success.stat().st_mtime_ns
    _wait_for(lambda: success.stat().st_mtime_ns != before)
    _wait_for(lambda: paused(marker) == len(NAMES) - 1 == len(_children(many)))
    time.sleep(1)  # until the parent has looked at the one that ended
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "committed: orders 1,000 rows in 1 file" in stderr
    (line,) = [line for line in stderr.splitlines() if "go on with" in line]
    assert line.endswith("-e second -e third --parallel-export-processes=3")


def test_a_second_signal_is_immediate(rivet, many):
    script, deaf = many.directory / "deaf.py", many.directory / "deaf.txt"
    script.write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"print('deaf', file=open({str(deaf)!r}, 'a'))\n"
        "while True: time.sleep(60)\n"
    )
    command = json.dumps([rivet.command[0], str(script)])
    process = rivet.start(
        "run",
        "-c",
        many.config,
        "--parallel-export-processes",
        env={**rivet.environment, "RIVET_CHILD_COMMAND": command},
    )
    _wait_for(lambda: deaf.exists() and deaf.read_text().count("\n") == len(NAMES))
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert time.monotonic() - began < 2
    assert process.returncode == 130
    assert "was killed" in stderr
    assert _of_this_run(many) == []


@pytest.mark.parametrize("event", ["chunk_started", "part_stored", "manifest_written"])
def test_a_parent_that_is_killed_takes_its_children_along(rivet, many, event):
    environment, marker = _hold(rivet, many, event)
    process = rivet.start("run", "-c", many.config, "--parallel-export-processes", env=environment)
    _wait_for(lambda: paused(marker) == len(NAMES))
    process.kill()
    process.communicate()
    _wait_for(lambda: _of_this_run(many) == [], LIMIT_S)
    marker.unlink()
    _check_whole(rivet, many)


@pytest.mark.parametrize("seed", range(4))
def test_a_parent_that_is_killed_at_any_moment_loses_nothing(rivet, many, seed):
    chooser = random.Random(seed)
    for _ in range(2):
        process = rivet.start("run", "-c", many.config, "--parallel-export-processes")
        time.sleep(chooser.uniform(0.3, 2.0))
        process.send_signal(chooser.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        process.communicate(timeout=LIMIT_S)
        _wait_for(lambda: _of_this_run(many) == [], LIMIT_S)
    _check_whole(rivet, many)


def test_a_child_that_is_killed_is_named_and_the_others_go_on(rivet, many):
    environment, marker = _hold(rivet, many, "part_stored")
    process = rivet.start(
        "run", "-c", many.config, "--parallel-export-processes", "--json", env=environment
    )
    _wait_for(lambda: paused(marker) == len(NAMES))
    (victim,) = [one for one in _children(many) if "--export second" in " ".join(one.cmdline())]
    victim.kill()
    marker.unlink()
    stdout, _ = process.communicate(timeout=30)
    verdicts = {one["export_name"]: one for one in json.loads(stdout)["per_export"]}
    assert process.returncode == 2  # worth trying again; 137 would be the parent's own death
    assert verdicts["second"]["error_code"] == "RIVET_CHILD_KILLED"
    assert "SIGKILL" in verdicts["second"]["error_message"]
    assert [verdicts[name]["status"] for name in ("orders", "third")] == ["success"] * 2
    _check_whole(rivet, many)


def test_the_death_of_the_fork_server_is_told_of_every_child(rivet, many):
    environment, marker = _hold(rivet, many, "started")
    process = rivet.start(
        "run", "-c", many.config, "--parallel-export-processes=2", "--json", env=environment
    )
    _wait_for(lambda: paused(marker) == 2)
    servers = [
        child
        for child in psutil.Process(process.pid).children()
        if "rivet.cli.preloaded" in " ".join(child.cmdline())
    ]
    if not servers:
        process.kill()
        pytest.skip("no fork server on this system")
    servers[0].kill()
    marker.unlink()
    stdout, _ = process.communicate(timeout=30)
    statuses = {one["export_name"]: one["status"] for one in json.loads(stdout)["per_export"]}
    # Those that lived are lost; the one that had not begun is started the plain way.
    assert sorted(statuses.values()) == ["failed", "failed", "success"]
    lost = [one for one in json.loads(stdout)["per_export"] if one["status"] == "failed"]
    assert all("SIGKILL" in one["error_message"] for one in lost)
    assert _of_this_run(many) == []
    _check_whole(rivet, many)


def test_ctrl_c_on_a_terminal_leaves_it_as_it_was(rivet, many):
    environment, marker = _hold(rivet, many, "started")
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = rivet.start(
        "run",
        "-c",
        many.config,
        "--parallel-export-processes",
        env={**environment, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        text=None,
        encoding=None,
        start_new_session=True,
        preexec_fn=lambda: _take_terminal(0),
    )
    _wait_for(lambda: paused(marker) == len(NAMES))
    os.write(master, b"\x03")
    shown = _read_until_end(master, process)
    assert process.returncode == 130
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    os.close(master)
    assert b"\x1b[?25l" not in shown
    assert b"go on with: rivet run" in shown
    assert _of_this_run(many) == []


def _take_terminal(descriptor):
    import fcntl

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def _read_until_end(master, process):
    shown = b""
    os.set_blocking(master, False)
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        try:
            shown += os.read(master, 65536)
        except BlockingIOError:
            if process.poll() is not None:
                return shown
            time.sleep(0.02)
    raise AssertionError(shown)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_threads_that_are_busy(rivet, many, number):
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)"
        " SELECT max(i) AS top FROM n"
    )
    many.configure({}, {"name": "endless", "query": endless, "columns": {"top": "int64"}})
    process = rivet.start("run", "-c", many.config, "--parallel-exports")
    _wait_for((many.out / "orders" / "_SUCCESS").exists)
    time.sleep(0.5)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + number
    assert "committed: orders 1,000 rows in 1 file" in stderr
    assert "⚠ endless" in stderr
    assert "-e endless" in stderr


def test_a_sequential_run_tells_what_was_not_started(rivet, many):
    environment, marker = _hold(rivet, many, "part_stored")
    process = rivet.start("run", "-c", many.config, env=environment)
    _wait_for(lambda: paused(marker))
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert stderr.count("not started") == 1, "told for both at once"
    assert f"go on with: rivet run -c {many.config}" in stderr


def test_a_second_signal_ends_a_thread_that_cannot_be_interrupted(rivet, many):
    environment, marker = _hold(rivet, many, "started")
    process = rivet.start("run", "-c", many.config, "--parallel-exports", env=environment)
    _wait_for(lambda: paused(marker))
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=3)
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay_s", [0.05, 0.2])
def test_a_signal_while_the_program_is_loaded(rivet, many, number, delay_s):
    process = rivet.start("run", "-c", many.config, "--parallel-export-processes")
    time.sleep(delay_s)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=LIMIT_S)
    # Before the first line of the program the interpreter itself answers, and with 1 where it was
    # still loading modules of its own.
    was_early = number == signal.SIGINT and stderr.endswith("KeyboardInterrupt\n")
    if not (process.returncode == 1 and was_early and "src/rivet" not in stderr):
        assert process.returncode in (128 + number, -number), stderr
        if process.returncode > 0:
            assert "Traceback" not in stderr
    _wait_for(lambda: _of_this_run(many) == [], LIMIT_S)


@pytest.mark.parametrize("way", ["--parallel-export-processes", "--parallel-exports"])
def test_an_ignored_signal_stays_ignored(rivet, many, way):
    environment, marker = _hold(rivet, many, "started")
    process = rivet.start(
        "run",
        "-c",
        many.config,
        way,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    _wait_for(lambda: paused(marker))
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    marker.unlink()
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
