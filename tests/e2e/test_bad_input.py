"""Bad input: one clear error, a hint, the right exit code, and nothing written."""

from __future__ import annotations

import json
import resource
import signal
import time

import pytest

from support.children import paused, wait_until


def _nothing_written(shop):
    assert not list(shop.directory.rglob("manifest*.json"))
    assert not list(shop.directory.rglob("_SUCCESS"))
    assert not list(shop.directory.rglob("*.parquet"))
    assert not list(shop.directory.rglob("*.tmp"))


def _refused(rivet, shop, code, *words, env=None):
    done = rivet("run", "-c", shop.config, env=env).expect(code)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    _nothing_written(shop)
    return done


def test_missing_file(rivet, shop):
    shop.config.unlink()
    _refused(rivet, shop, 1, "not found", "rivet.yaml")


@pytest.mark.parametrize("command", [["run"], ["files"], ["prune"]])
def test_a_file_that_nobody_named(rivet, tmp_path, command):
    done = rivet(*command).expect(1)
    assert "config file 'rivet.yaml' not found" in done.stderr
    assert "name it with -c or in RIVET_CONFIG" in done.stderr
    assert not (tmp_path / ".rivet").exists()
    done = rivet(*command, env={"RIVET_CONFIG": "other.yaml"}).expect(1)
    assert "config file 'other.yaml' not found" in done.stderr


def test_the_file_of_this_folder_or_of_the_environment(rivet, shop):
    rivet("run").expect(0)
    place = shop.directory / "elsewhere" / "a.yaml"
    place.parent.mkdir()
    place.write_text(shop.config.read_text())
    shop.config.unlink()
    named = {"RIVET_CONFIG": str(place)}
    assert "elsewhere" in rivet("run", env=named).expect(1).stderr  # its paths begin at its folder
    assert rivet("run", env={"RIVET_CONFIG": ""}).expect(1).stderr.count("rivet.yaml") >= 1


def test_tab_in_yaml(rivet, shop):
    shop.config.write_text("source:\n\ttype: sqlite\n")
    _refused(rivet, shop, 1, "line 2", "tab")


def test_unknown_key(rivet, shop):
    shop.configure({"formt": "csv"})
    done = _refused(rivet, shop, 1, "formt", "did you mean", "format")
    assert "line" in done.stderr


def test_wrong_type(rivet, shop):
    shop.configure({"skip_empty": "perhaps"})
    _refused(rivet, shop, 1, "skip_empty", "line")


def test_both_url_and_url_env(rivet, shop):
    shop.configure({}, source={"type": "sqlite", "url": "sqlite:///shop.db", "url_env": "X"})
    _refused(rivet, shop, 1, "url", "url_env")


def test_unset_variable(rivet, shop):
    shop.configure({}, source={"type": "sqlite", "url": "${NOT_SET_ANYWHERE}"})
    _refused(rivet, shop, 1, "NOT_SET_ANYWHERE")


def test_missing_database_file(rivet, shop):
    shop.database.unlink()
    _refused(rivet, shop, 1, "shop.db")
    assert not shop.database.exists()


def test_not_a_database(rivet, shop):
    shop.database.write_bytes(b"this is no database, it only looks like a file" * 50)
    _refused(rivet, shop, 1, "shop.db")


def test_missing_table(rivet, shop):
    shop.configure({"name": "ordrs"})
    _refused(rivet, shop, 1, "ordrs", "orders")


def test_unsupported_override(rivet, shop):
    shop.configure({"columns": {"customer": "money"}})
    _refused(rivet, shop, 1, "customer", "money")


def test_what_has_no_effect_stops_nothing(rivet, shop):
    """A type for a column that is not there, keys of other modes, keys of later versions."""
    shop.configure(
        {
            "columns": {"custmer": "text"},
            "cursor_column": "id",
            "parquet": {"row_group_rows": 5},
            "target": "bigquery",
            "tuning": {"max_batch_memory_mb": 8},
        }
    )
    done = rivet("run", "-c", shop.config).expect(0)
    told = [line for line in done.stderr.splitlines() if "warning: " in line or "⚠" in line]
    for words in (
        "'custmer', which is not there; did you mean 'customer'?",
        "`cursor_column` has no effect with `mode: full`",
        "`parquet.row_group_rows` has no effect with `row_group_strategy: auto`",
        "`target` (advice for a warehouse) is not in this version",
        "`max_batch_memory_mb` is not in this version",
    ):
        assert sum(words in line for line in told) == 1, done.stderr
    assert "1,000" in done.stderr


def test_a_value_that_does_not_fit(rivet, shop):
    shop.execute("INSERT INTO orders (customer, amount) VALUES ('x', 'not a number')")
    done = _refused(rivet, shop, 1, "amount", "row")
    assert "not a number" not in done.stderr


def test_unwritable_directory(rivet, shop):
    shop.configure({"destination": {"type": "local", "path": "/sys/rivet-out"}})
    _refused(rivet, shop, 1, "/sys/rivet-out")


def test_full_disk(rivet, shop):
    """A file-size limit stands for the disk: every write past it fails in the same call."""
    shop.fill(200_000)
    shop.configure(
        {"query": "SELECT id, hex(randomblob(16)) AS h FROM orders", "columns": {"h": "text"}}
    )

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    process = rivet.start("run", "-c", shop.config, preexec_fn=limit)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode in (1, 2), stderr
    assert "Error: [RIVET_DESTINATION" in stderr
    _nothing_written(shop)


def test_a_file_where_the_directory_should_be(rivet, shop):
    shop.out.write_text("I am a file")
    _refused(rivet, shop, 1, "out")


def test_state_unreadable(rivet, shop):
    (shop.directory / ".rivet").mkdir()
    (shop.directory / ".rivet" / "state.db").write_bytes(b"garbage " * 1000)
    _refused(rivet, shop, 5, "state.db", "RIVET_STATE_DAMAGED", "`rivet repair -c ", " --state`")


def test_unknown_export(rivet, shop):
    done = rivet("run", "-c", shop.config, "-e", "ordrs").expect(1)
    assert "not found in config" in done.stderr
    assert "orders" in done.stderr


def test_unknown_option(rivet, shop):
    assert "--nope" in rivet("run", "--nope").expect(1).stderr


def test_errors_can_be_json(rivet, shop):
    shop.configure({"name": "ordrs"})
    done = rivet("run", "-c", shop.config, "--json-errors").expect(1)
    body = json.loads(done.stderr.splitlines()[-1])
    assert body["exit_class"] == 1
    assert body["code"].startswith("RIVET_")
    assert "ordrs" in body["error"]


def _pause(rivet, shop, step):
    """Start a run that waits at a step; return it and the marker that holds it."""
    marker = shop.directory / "marker"
    marker.touch()
    held = type(rivet)(
        rivet.directory,
        {"RIVET_FAULT": f"pause@{step}", "RIVET_FAULT_MARKER": str(marker)},
    )
    process = held.start("run", "-c", shop.config)
    wait_until(lambda: paused(marker) or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process, marker


def test_a_second_run_of_the_same_export_is_refused(rivet, shop):
    process, marker = _pause(rivet, shop, "started")
    try:
        done = rivet("run", "-c", shop.config).expect(5)
        assert str(process.pid) in done.stderr
    finally:
        marker.unlink()
        process.communicate(timeout=30)
    assert process.returncode == 0
    rivet("run", "-c", shop.config).expect(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_in_order(rivet, shop, number):
    process, marker = _pause(rivet, shop, "part_stored")
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    marker.unlink()
    assert process.returncode == 128 + number
    assert "Traceback" not in stderr
    assert not (shop.out / "orders" / "_SUCCESS").exists()
    rivet("run", "-c", shop.config, "--validate").expect(0)


def test_a_json_error_stays_json_when_something_in_it_is_masked(rivet, shop):
    shop.configure({"name": "token: abc"})
    done = rivet("run", "-c", shop.config, "--json-errors").expect(1)
    error = json.loads(done.stderr.splitlines()[-1])
    assert error["exit_class"] == 1
    assert "abc" not in error["error"]


def test_ctrl_c_ends_a_statement_that_gives_no_row(rivet, shop):
    endless = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r)"
    shop.configure({"query": f"{endless} SELECT count(*) AS n FROM r"})
    process = rivet.start("run", "-c", shop.config)
    deadline = time.monotonic() + 30
    while not list(shop.directory.rglob("*.lock")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    _nothing_written(shop)
