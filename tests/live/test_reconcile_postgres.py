"""`--reconcile` against a real PostgreSQL: the count sees the instant that was read, or nothing."""

from __future__ import annotations

import json
import time

import pytest

import rivet as library
from support.children import paused

ROWS = 1000
OURS = "datname = current_database() AND application_name = 'rivet'"


@pytest.fixture
def orders(any_postgres):
    any_postgres.execute(f"CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, {ROWS}) i")
    return any_postgres


def _config(directory, database, **export):
    given = export or {"table": "public.orders"}
    path = directory / "rivet.yaml"
    body = {
        "source": {"type": "postgresql", "url": database.url, "tls": {"mode": "disable"}},
        "exports": [
            {
                "name": "orders",
                "format": "parquet",
                "destination": {"type": "local", "path": "out"},
                **given,
            }
        ],
    }
    path.write_text(json.dumps(body))
    return path


def _run(config, act=lambda: None):
    """Run with `act` between the record of the rows and the count; return the export's report."""
    answers = []

    def listen(event):
        if event.type == "chunk_completed":
            act()
            answers.append("done")  # what a listener raises is dropped

    report = library.run(config, reconcile=True, check=False, on_event=listen)
    assert answers == ["done"]
    return report.exports[0]


def _nothing_published(directory):
    assert not list(directory.rglob("manifest*.json"))
    assert not list(directory.rglob("_SUCCESS"))


@pytest.mark.parametrize(
    "relation", [{"table": "public.orders"}, {"query": "SELECT * FROM orders"}]
)
def test_a_writer_between_read_and_count_does_not_count(orders, tmp_path, relation):
    change = "DELETE FROM orders WHERE id > 500; INSERT INTO orders VALUES (-1)"
    config = _config(tmp_path, orders, **relation)
    report = _run(config, lambda: orders.execute(change))
    assert report.reconciled == (ROWS, ROWS)
    assert report.is_success
    assert orders.execute("SELECT count(*) FROM orders") == [(501,)]


def test_the_command_sees_one_instant_too(rivet, orders, tmp_path):
    marker = tmp_path / "marker"
    marker.touch()
    held = {"RIVET_FAULT": "pause@chunk_completed", "RIVET_FAULT_MARKER": str(marker)}
    config = _config(tmp_path, orders)
    process = type(rivet)(rivet.directory, held).start("run", "-c", config, "--reconcile")
    deadline = time.monotonic() + 30
    while not paused(marker):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    orders.execute("INSERT INTO orders SELECT generate_series(2001, 2100)")
    marker.unlink()
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["row_count"] == ROWS


def test_a_query_that_changes_within_its_instant_is_a_mismatch(orders, tmp_path):
    growing = (
        "SELECT g FROM generate_series(1,"
        " 1000 + (extract(epoch FROM clock_timestamp() - now()) * 10000)::int) AS g"
    )
    report = _run(_config(tmp_path, orders, query=growing))
    exported, in_source = report.reconciled
    assert ROWS <= exported < in_source
    assert (report.failure.code, report.failure.exit_code) == ("RIVET_DATA_RECONCILE", 3)
    _nothing_published(tmp_path)


def test_a_session_lost_before_the_count_is_worth_another_run(orders, tmp_path):
    terminate = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {OURS}"
    config = _config(tmp_path, orders)
    report = _run(config, lambda: orders.execute(terminate, admin=True))
    failure = report.failure
    assert (failure.code, failure.exit_code) == ("RIVET_RUN_RECONCILE_UNVERIFIED", 2)
    assert failure.retryable
    assert "could not be verified" in failure.message
    assert report.reconciled is None
    _nothing_published(tmp_path)


def test_a_count_that_is_refused_is_never_fine(orders, tmp_path):
    config = _config(tmp_path, orders)
    report = _run(config, lambda: orders.execute("REVOKE SELECT ON orders FROM current_user"))
    failure = report.failure
    assert (failure.code, failure.exit_code) == ("RIVET_RUN_RECONCILE_UNVERIFIED", 1)
    assert not failure.retryable
    _nothing_published(tmp_path)
