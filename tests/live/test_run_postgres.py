"""`rivet run` against a real PostgreSQL: what it lands, and how it fails."""

from __future__ import annotations

import gc
import json
import time
from urllib.parse import urlsplit

import duckdb
import pytest

from rivet import read
from support.children import paused
from support.proxy import Proxy

ROWS = 300_000


def _config(directory, url, name="orders", **export):
    body = {
        "source": {
            "type": "postgresql",
            "url": url,
            "tls": {"mode": "disable"},
            "tuning": {"max_retries": 0, **export.pop("tuning", {})},
        },
        "exports": [
            {
                "name": name,
                "table": f"public.{name}",
                "format": "parquet",
                "destination": {"type": "local", "path": f"out/{name}"},
                **export,
            }
        ],
    }
    path = directory / "rivet.yaml"
    path.write_text(json.dumps(body))
    return path


@pytest.fixture
def orders(any_postgres):
    """A database with one table that takes a while to read."""
    any_postgres.execute(
        f"""
        CREATE TABLE orders AS
        SELECT i AS id, md5(i::text) AS token, (i % 1000)::numeric(12,2) AS amount,
               now() AS placed_at, repeat('x', 200) AS filler
        FROM generate_series(1, {ROWS}) AS i;
        ANALYZE orders
        """
    )
    return any_postgres


def _nothing_published(directory):
    assert not list(directory.rglob("manifest*.json"))
    assert not list(directory.rglob("_SUCCESS"))
    assert not list(directory.rglob("*.parquet"))
    assert not list(directory.rglob("*.tmp"))


def _refused(rivet, config, code, *words):
    done = rivet("run", "-c", config).expect(code)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    _nothing_published(config.parent)
    return done


def _held(rivet, config, step):
    marker = config.parent / "marker"
    marker.touch()
    variables = {"RIVET_FAULT": f"pause@{step}", "RIVET_FAULT_MARKER": str(marker)}
    return type(rivet)(rivet.directory, variables).start("run", "-c", config), marker


def _wait_for(condition, process=None):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_table_lands_whole(rivet, tmp_path, orders):
    config = _config(tmp_path, orders.url)
    done = rivet("run", "-c", config, "--validate").expect(0)
    assert "longest statement:" in done.stderr
    listed = rivet("files", "-c", config).expect(0).stdout.split()
    asked = "SELECT count(*), count(DISTINCT id), sum(amount), max(token) FROM "
    found = duckdb.sql(f"{asked} read_parquet({listed})").fetchall()
    assert found == orders.execute(f"{asked} orders")


def test_unreachable_host(rivet, tmp_path):
    config = _config(tmp_path, "postgresql://u:hunter2secret@127.0.0.1:1/db")
    done = _refused(rivet, config, 2, "127.0.0.1")
    assert "hunter2secret" not in done.stderr


def test_wrong_password(rivet, tmp_path, orders):
    user, _, rest = orders.url.partition("@")
    scheme_and_user = user.rpartition(":")[0]
    config = _config(tmp_path, f"{scheme_and_user}:wrongpassword@{rest}")
    done = _refused(rivet, config, 1, "RIVET_SOURCE_AUTH")
    assert "wrongpassword" not in done.stderr


def test_missing_table(rivet, tmp_path, orders):
    _refused(rivet, _config(tmp_path, orders.url, table="public.ordres"), 1, "ordres", "orders")


def test_a_table_dropped_between_planning_and_reading(rivet, tmp_path, orders):
    config = _config(tmp_path, orders.url)
    process, marker = _held(rivet, config, "plan_resolved")
    _wait_for(lambda: paused(marker), process)
    orders.execute("DROP TABLE orders")
    marker.unlink()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert "orders" in stderr
    _nothing_published(tmp_path)


def test_a_column_that_changes_between_planning_and_reading(rivet, tmp_path, orders):
    config = _config(tmp_path, orders.url)
    process, marker = _held(rivet, config, "plan_resolved")
    _wait_for(lambda: paused(marker), process)
    orders.execute("ALTER TABLE orders ALTER COLUMN id TYPE text")
    marker.unlink()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1, stderr
    assert "RIVET_PLAN_STALE" in stderr
    _nothing_published(tmp_path)


READERS = (
    "datname = current_database() AND pid <> pg_backend_pid()"
    " AND query LIKE 'COPY%' AND state = 'active'"
)


def test_a_backend_terminated_in_the_middle(rivet, tmp_path, orders):
    config = _config(tmp_path, orders.url, tuning={"throttle_ms": 50, "batch_size": 1000})
    process = rivet.start("run", "-c", config)
    found = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {READERS}"
    _wait_for(lambda: orders.execute(found, admin=True), process)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2, stderr
    assert "RIVET_SOURCE_INTERRUPTED" in stderr
    _nothing_published(tmp_path)


def test_a_connection_cut_in_the_middle(rivet, tmp_path, orders):
    place = urlsplit(orders.url)
    with Proxy(place.hostname, place.port) as proxy:
        proxy.cut_after_bytes = 3_000_000
        config = _config(tmp_path, proxy.rewrite(orders.url))
        _refused(rivet, config, 2, "RIVET_SOURCE_INTERRUPTED")


def test_a_cut_that_passes_is_read_again(rivet, tmp_path, orders):
    config = _config(
        tmp_path,
        orders.url,
        tuning={"throttle_ms": 50, "batch_size": 1000, "max_retries": 1, "retry_backoff_ms": 1},
    )
    process = rivet.start("run", "-c", config)
    found = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {READERS}"
    _wait_for(lambda: orders.execute(found, admin=True), process)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    manifest = json.loads((tmp_path / "out/orders/manifest.json").read_text())
    assert manifest["row_count"] == ROWS


@pytest.mark.parametrize("number", [2, 9, 15])
def test_a_killed_run_leaves_no_statement_on_the_server(rivet, tmp_path, orders, number):
    config = _config(tmp_path, orders.url, tuning={"throttle_ms": 50, "batch_size": 1000})
    process = rivet.start("run", "-c", config)
    counted = f"SELECT 1 FROM pg_stat_activity WHERE {READERS}"
    _wait_for(lambda: orders.execute(counted, admin=True), process)
    process.send_signal(number)
    process.communicate(timeout=30)
    _wait_for(lambda: not orders.execute(counted, admin=True))


def test_statements_have_a_limit(rivet, tmp_path, orders):
    config = _config(
        tmp_path,
        orders.url,
        table=None,
        query="SELECT id, pg_sleep(0.01)::text AS zzz FROM orders",
        tuning={"statement_timeout_s": 1},
    )
    body = json.loads(config.read_text())
    del body["exports"][0]["table"]
    config.write_text(json.dumps(body))
    _refused(rivet, config, 1, "RIVET_SOURCE_STATEMENT_TIMEOUT")


def test_an_error_between_parts_ends_the_reader_before_the_connection(rivet, tmp_path, orders):
    """A connection closed under a reader's hands would take the process down."""
    config = _config(tmp_path, orders.url, max_file_size="64KB", tuning={"batch_size": 500})
    done = rivet("run", "-c", config, env={"RIVET_FAULT": "error@part_stored"}).expect(2)
    assert "a fault hook raised this error" in done.stderr
    assert not list(tmp_path.rglob("_SUCCESS"))
    assert not list(tmp_path.rglob("*.tmp"))


def test_the_recorded_position_is_not_after_what_was_read(rivet, tmp_path, orders):
    """Whoever follows the log from there may see a change twice, but must not miss one."""
    config = _config(tmp_path, orders.url)
    process, marker = _held(rivet, config, "part_stored")
    _wait_for(lambda: paused(marker), process)
    ((before,),) = orders.execute("SELECT pg_current_wal_lsn()")
    orders.execute("CREATE TABLE later AS SELECT 1 AS one")
    orders.execute("SELECT pg_switch_wal()", admin=True)  # which writes it out
    marker.unlink()
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    manifest = json.loads((tmp_path / "out/orders/manifest.json").read_text())
    recorded = manifest["snapshot"]["text"]
    asked = f"SELECT '{recorded}'::pg_lsn <= '{before}'::pg_lsn"
    assert orders.execute(asked) == [(True,)]


def test_a_reader_that_nobody_reads_from_closes_its_session(orders):
    source = {"type": "postgresql", "url": orders.url, "tls": {"mode": "disable"}}
    reader = read(source, "public.orders")
    del reader
    gc.collect()  # a connection that is dropped open warns, and a warning is a failure here
    alive = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'rivet'"
    )
    _wait_for(lambda: orders.execute(alive) == [(0,)])
