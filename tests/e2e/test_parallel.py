"""`rivet run` with several exports at once: one verdict each, and the same as one after another."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import uuid

import duckdb
import psutil
import pytest

import rivet as library
from rivet.errors import ExportsFailedError, UnsupportedPlanError
from support.cli import Rivet
from support.scripted import scripted
from support.shop import Shop

PROCESSES = "--parallel-export-processes"
THREADS = "--parallel-exports"
SEVERITY = (6, 3, 4, 5, 2, 1)
# What the program may be put through before it is Rivet again: edits or words first, then exec.
WRAPPER = """
import os, sys
name = sys.argv[sys.argv.index("--export") + 1]
{body}
os.execv(sys.executable, [sys.executable, "-P", "-m", "rivet", *sys.argv[1:]])
"""


def _wrapped(shop, body):
    script = shop.directory / "wrapper.py"
    script.write_text(WRAPPER.format(body=body))
    return {"RIVET_CHILD_COMMAND": json.dumps([sys.executable, "-S", "-E", str(script)])}


def _verdicts(body):
    entries = body["per_export"]
    found = {entry["export_name"]: entry for entry in entries}
    assert len(found) == len(entries), "exactly one verdict each"
    return found


@pytest.mark.parametrize("place", range(len(SEVERITY)))
def test_the_exit_code_is_that_of_the_most_serious_failure(rivet, shop, place):
    codes = SEVERITY[place:]
    ways = ("refuse_early", "failed", "lying")
    given = {f"e{code}": f"{ways[code % 3]}:{code}" for code in sorted(codes)}
    done = rivet(
        "run",
        "-c",
        shop.config,
        PROCESSES,
        "--json",
        env=scripted(shop, {"fine": "good", **given} if place % 2 else given),
    ).expect(SEVERITY[place])
    verdicts = _verdicts(done.json)
    assert [name for name, entry in verdicts.items() if entry["status"] == "failed"] == [*given]
    assert verdicts.get("fine", {"status": "success"})["status"] == "success"


def test_each_misbehaviour_gets_its_own_verdict(shop, monkeypatch):
    assignment = {
        "crash": "crash_early",
        "refuse": "refuse_early:5",
        "lie": "lying:3",
        "mute": "mute",
        "fine": "good",
    }
    variables = scripted(shop, assignment)
    monkeypatch.setenv("RIVET_CHILD_COMMAND", variables["RIVET_CHILD_COMMAND"])
    with pytest.raises(ExportsFailedError, match=r"4 of 5 exports failed") as caught:
        library.run(shop.config, parallel_export_processes=True)
    assert caught.value.exit_status == 3
    reports = library.run(shop.config, parallel_export_processes=True, check=False).exports
    found = {report.export_name: report.failure for report in reports}
    assert found["fine"] is None
    assert found["crash"].exit_code == 1
    assert found["crash"].message == (
        "ended with exit code 1 before it started: RuntimeError: no such thing"
    )
    refused = found["refuse"]
    assert (refused.code, refused.exit_code, refused.hint) == ("RIVET_TEST_REFUSED", 5, "do this")
    assert refused.message == "the scripted reason (before it started)"
    assert found["lie"].message == "reported success, then ended with exit code 3"
    assert found["lie"].exit_code == 3
    assert found["mute"].code == "RIVET_CHILD_NO_VERDICT"
    assert found["mute"].exit_code == 1


@pytest.mark.parametrize(
    ("flag", "names", "arguments"),
    [(THREADS, "ab", ("-e", "b")), (PROCESSES, "ab", ("-e", "b")), (PROCESSES, "b", ())],
)
def test_one_export_alone_runs_in_this_process(rivet, shop, flag, names, arguments):
    shop.configure(*({"name": name, "table": "orders"} for name in names))
    summary = shop.directory / "summary.json"
    given = (flag, *arguments, "--progress=json", f"--summary-output={summary}")
    with rivet.start("run", "-c", shop.config, *given) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    events = [json.loads(line) for line in stderr.splitlines()]
    assert {event["export_name"] for event in events} == {"b"}
    assert {event["pid"] for event in events if event["type"] == "launched"} <= {process.pid}
    assert json.loads(summary.read_text())["parallel_mode"] == "sequential"


@pytest.mark.parametrize(
    ("keys", "arguments", "mode"),
    [
        ({"parallel_export_processes": True}, {}, "parallel-processes"),
        ({"parallel_export_processes": 2}, {}, "parallel-processes"),
        ({"parallel_exports": True}, {}, "parallel-threads"),
        ({"parallel_exports": 2, "parallel_export_processes": 2}, {}, "parallel-processes"),
        ({"parallel_export_processes": False, "parallel_exports": False}, {}, "sequential"),
        ({"parallel_export_processes": 2}, {"parallel_exports": True}, "parallel-threads"),
        ({"parallel_export_processes": 2}, {"parallel_export_processes": False}, "sequential"),
    ],
)
def test_the_configuration_may_ask_for_it(shop, keys, arguments, mode):
    shop.configure({"name": "a", "table": "orders"}, {"name": "b", "table": "orders"}, **keys)
    report = library.run(shop.config, **arguments)
    assert (report.parallel_mode, report.rows) == (mode, 2000)


def test_a_configuration_that_changes_meanwhile_is_refused_by_the_child(rivet, shop):
    shop.configure(*({"name": name, "table": "orders"} for name in ("a", "b")))
    body = f"if name == 'b': open({str(shop.config)!r}, 'a').write('\\n# changed\\n')"
    variables = _wrapped(shop, body)
    done = rivet("run", "-c", shop.config, f"{PROCESSES}=1", "--json", env=variables).expect(5)
    verdicts = _verdicts(done.json)
    assert verdicts["a"]["status"] == "success"
    assert verdicts["b"]["status"] == "failed"
    assert verdicts["b"]["error_code"] == "RIVET_REFUSED_CONFIG_CHANGED"
    assert "was changed after the run began" in verdicts["b"]["error_message"]


def _commands_while(process):
    """Return the command lines of all other processes, as long as this one runs.

    Between fork and exec a process still has its parent's: that alone is left out.
    """
    own = " ".join(psutil.Process(process.pid).cmdline())
    latest, seen = {}, set()
    while process.poll() is None:
        for other in psutil.process_iter(["pid", "cmdline"]):
            if other.info["pid"] != process.pid:
                latest[other.info["pid"]] = " ".join(other.info["cmdline"] or ())
        seen.update(latest.values())
        time.sleep(0.01)
    return (seen - {own}) | {*latest.values()}


def _everything_written(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("way", ["forked", "plain"])
def test_a_parameter_is_in_no_command_line_and_a_secret_in_no_output(rivet, shop, way):
    secret, most = f"hunter2-{uuid.uuid4().hex}", str(uuid.uuid4().int)[:12]
    exports = [
        {"name": name, "query": "SELECT 1 AS id WHERE 1 < ${most}"} for name in ("a", "b", "c")
    ]
    source = {
        "type": "postgresql",
        "url": "postgresql://someone:${secret}@127.0.0.1:1/shop",
        "tls": {"mode": "disable"},
        "tuning": {"max_retries": 0},
    }
    shop.configure(*exports, source=source)
    variables = {}
    if way == "plain":
        words = f"connecting to postgresql://someone:{secret}@127.0.0.1:1/shop\n"
        variables = _wrapped(shop, f"sys.stderr.write({words!r} * 30); sys.stderr.flush()")
    summary = shop.directory / "summary.json"
    with rivet.start(
        "run",
        "-c",
        shop.config,
        PROCESSES,
        "--json",
        f"--summary-output={summary}",
        *("--param", f"secret={secret}", "--param", f"most={most}"),
        env={**rivet.environment, **variables},
    ) as process:
        outputs = []
        reader = threading.Thread(target=lambda: outputs.extend(process.communicate()))
        reader.start()
        commands = _commands_while(process)
        reader.join()
    stdout, stderr = outputs
    assert process.returncode == 2, stderr
    assert {entry["status"] for entry in json.loads(stdout)["per_export"]} == {"failed"}
    if way == "plain":
        assert any(str(shop.config) in command for command in commands), "the children were seen"
        assert len([*shop.directory.glob("rivet-child-stderr-*.log")]) == 1
        (shop.directory / "wrapper.py").unlink()
    for value in (secret, most):
        assert not [command for command in commands if value in command]
    assert secret not in stdout + stderr
    assert secret.encode() not in _everything_written(shop.directory)


def test_rows_and_events_never_share_standard_output(rivet, shop):
    stream = {"name": "a", "table": "orders", "format": "csv", "destination": {"type": "stdout"}}
    shop.configure(stream, {"name": "b", "table": "orders"})
    done = rivet("run", "-c", shop.config, PROCESSES, "--json-errors").expect(1)
    error = json.loads(done.stderr)
    assert "'a'" in error["error"]
    assert "-e a" in error["hint"]
    by_hand = {"RIVET_IPC_EVENTS": "1"}
    refused = rivet("run", "-c", shop.config, "-e", "a", env=by_hand).expect(1)
    assert "RIVET_IPC_EVENTS" in refused.stderr
    assert done.stdout + refused.stdout == ""
    assert not shop.out.exists()


def _content(rivet, shop, name):
    listed = rivet("files", "-c", shop.config, "-e", name).expect(0).stdout.split()
    rows = duckdb.sql(f"SELECT * FROM read_parquet({listed}) ORDER BY ALL").fetchall()
    return len(listed), rows


def test_the_three_ways_give_the_same(tmp_path):
    found = {}
    varying = {"run_id", "bytes", "bytes_read", "duration_ms", "parts", "destination_uri"}
    for way, flags in {"one": (), "threads": (THREADS,), "processes": (PROCESSES,)}.items():
        folder = tmp_path / way
        folder.mkdir()
        shop, rivet = Shop(folder), Rivet(folder)
        shop.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL,"
            "amount DECIMAL(12,2), note TEXT, paid BOOLEAN)"
        )
        shop.fill(3000)
        shop.configure(
            {"name": "all", "table": "orders", "max_file_size": "10KB"},
            {"name": "some", "query": "SELECT id, note FROM orders WHERE paid = 1"},
            {"name": "none", "query": "SELECT id FROM orders WHERE id < 0", "skip_empty": True},
            {"name": "wrong", "table": "missing"},
        )
        body = rivet("run", "-c", shop.config, *flags, "--json").expect(1).json
        entries = [
            {key: value for key, value in entry.items() if key not in varying}
            for entry in body["per_export"]
        ]
        found[way] = entries, [_content(rivet, shop, name) for name in ("all", "some")]
    assert found["threads"] == found["one"]
    assert found["processes"] == found["one"]
    statuses = [entry["status"] for entry in found["one"][0]]
    assert statuses == ["success", "success", "skipped", "failed"]
    assert [len(rows) for _, rows in found["one"][1]] == [3000, 1500]


def test_a_mapping_has_no_file_that_children_could_read(shop, monkeypatch):
    monkeypatch.chdir(shop.directory)
    shop.configure({}, {"name": "empty"})
    mapping = json.loads(shop.config.read_text())
    with pytest.raises(UnsupportedPlanError, match="configuration file") as caught:
        library.run(mapping, parallel_export_processes=2)
    assert "write the configuration to a file" in caught.value.hint
    assert library.run(mapping, parallel_exports=2).rows == 1000


def test_sixteen_at_once_make_one_state(rivet, shop):
    names = [f"export_{number:02}" for number in range(16)]
    shop.configure(*({"name": name, "table": "orders"} for name in names))
    done = rivet("run", "-c", shop.config, f"{PROCESSES}=16", "--json").expect(0)
    entries = done.json["per_export"]
    assert [(entry["export_name"], entry["rows"]) for entry in entries] == [
        (name, 1000) for name in names
    ]
    assert "child stderr" not in done.stderr
    assert "locked" not in done.stderr
    listed = json.loads(rivet("files", "-c", shop.config, "--json").expect(0).stdout)
    assert len(listed) == 16
    databases = [path for path in shop.directory.rglob("*.db") if path != shop.database]
    assert len(databases) == 1, databases


@pytest.mark.parametrize("is_main_thread", [True, False])
def test_the_library_runs_processes_from_any_thread(shop, is_main_thread):
    shop.configure(*({"name": name, "table": "orders"} for name in ("a", "b")))
    reports, pids = [], set()

    def watch(event):
        if event.type == "launched":
            pids.add(event.pid)

    def run():
        reports.append(library.run(shop.config, parallel_export_processes=2, on_event=watch))

    if is_main_thread:
        run()
    else:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(60)
    (report,) = reports
    assert (report.rows, report.parallel_mode) == (2000, "parallel-processes")
    assert len(pids - {os.getpid()}) == 2


def test_what_was_asked_for_reaches_the_children(rivet, shop):
    shop.configure(*({"name": name, "table": "orders"} for name in ("a", "b")))
    report = library.run(shop.config, reconcile=True, parallel_export_processes=2)
    assert [(one.is_validated, one.reconciled) for one in report.exports] == [
        (True, (1000, 1000))
    ] * 2
    flags = ("--validate", PROCESSES, "--progress=json")
    stderr = rivet("run", "-c", shop.config, *flags).expect(0).stderr
    events = [json.loads(line) for line in stderr.splitlines()]
    details = [event["details"] for event in events if event["type"] == "finished"]
    assert [(one["is_validated"], one["reconciled"]) for one in details] == [(True, None)] * 2
