"""`max_connections` counts every connection of a run, as the server sees them."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

import rivet as library
from support.roles import PASSWORD, mariadb_user, rows_of, url_as
from support.writers import connect

ROWS = 4_000
FILL = {
    "postgresql": f"SELECT g, repeat('x', 50) FROM generate_series(1, {ROWS}) g",
    "mysql": f"SELECT seq, repeat('x', 50) FROM seq_1_to_{ROWS}",
}
WAYS = {"sequential": {}, "threads": {"parallel_exports": 2}, "children": {}}
WAYS["children"] = {"parallel_export_processes": 2}


class Server:
    """A table, and how many connections the server shows to be at work on it."""

    def __init__(self, engine, database, url, counted):
        self.engine, self.database, self.url, self.counted = engine, database, url, counted
        self.seen, self.is_cut = [], True

    def ask(self, connection, sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else ()

    @contextmanager
    def polled(self):
        """Ask every 10 ms who is there."""
        stop = threading.Event()
        self.seen = []

        def poll():
            with closing(connect(self.engine, self.database)) as connection:
                while not stop.wait(0.01):
                    there = self.ask(connection, self.counted)
                    self.seen.append(len(there))
                    if there and not self.is_cut:
                        self.is_cut = True
                        self.ask(connection, self.end.format(there[-1][0]))

        thread = threading.Thread(target=poll)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    @property
    def end(self):
        return "KILL {}" if self.engine == "mysql" else "SELECT pg_terminate_backend({})"


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def server(request):
    fixture = "shared_any_postgres" if request.param == "postgresql" else "shared_mariadb"
    database = request.getfixturevalue(fixture)
    database.execute(
        "CREATE TABLE budget (id int PRIMARY KEY, pad varchar(99));"
        f"INSERT INTO budget {FILL[request.param]}"
    )
    if request.param == "postgresql":
        counted = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY 1"
        )
        yield Server(request.param, database, database.url, counted)
        return
    with mariadb_user(database) as user:
        database.execute(f"GRANT SELECT ON budget TO {user}")
        database.execute(f"GRANT PROCESS, RELOAD, BINLOG MONITOR ON *.* TO {user}")
        counted = f"SELECT id FROM information_schema.PROCESSLIST WHERE user = '{user}' ORDER BY 1"
        yield Server(request.param, database, url_as(database.url, user, PASSWORD), counted)


def run(server, folder, *, names="ab", limit=5, on_event=None, consistency="export", **top):
    exports = [
        {
            "name": name,
            "table": "budget",
            "mode": "chunked",
            "chunk_column": "id",
            "chunk_count": 12,
            "parallel": 8,
            "consistency": consistency,
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{name}"},
            "tuning": {"retry_backoff_ms": 1, "adaptive": True},
        }
        for name in names
    ]
    source = {"type": server.engine, "url": server.url, "tls": {"mode": "disable"}}
    folder.mkdir(exist_ok=True)
    path = folder / "rivet.yaml"
    path.write_text(
        json.dumps({"source": source, "max_connections": limit, "exports": exports, **top})
    )
    with server.polled():
        report = library.run(path, check=False, on_event=on_event)
    return {one.export_name: one for one in report.exports}


@pytest.mark.live("postgresql", "mysql")
@pytest.mark.parametrize("way", WAYS)
def test_the_server_never_sees_one_more(server, tmp_path, way, monkeypatch):
    monkeypatch.setenv("RIVET_GOVERNOR_INTERVAL_MS", "5")
    seen = []

    def listen(event):
        seen.append(event)
        if event.type == "chunk_completed":
            time.sleep(0.03)
            if len([one for one in seen if one.type == "chunk_completed"]) == 4:
                server.is_cut = False  # the youngest is ended

    consistency = "run" if server.engine == "postgresql" else "export"
    reports = run(server, tmp_path, consistency=consistency, on_event=listen, **WAYS[way])
    assert max(server.seen) in {4, 5}
    for name, report in reports.items():
        if not report.is_success:  # it was cut before it had anything to read again
            continue
        assert len(rows_of(tmp_path, name)) == ROWS
        assert any("`max_connections`" in text for text in report.warnings), report.warnings
        is_watched = not any("is not watched" in text for text in report.warnings)
        assert is_watched == (way == "sequential"), report.warnings
    assert any(report.is_success for report in reports.values())


@pytest.mark.live("postgresql", "mysql")
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_few_are_enough(server, tmp_path, limit):
    reports = run(server, tmp_path, names="ab", limit=limit, parallel_exports=2)
    assert max(server.seen) <= limit
    for name, report in reports.items():
        assert report.is_success, report.failure
        assert len(rows_of(tmp_path, name)) == ROWS


@pytest.mark.live("postgresql", "mysql")
def test_a_stop_stays_within_it(server, tmp_path):
    """MySQL is told to stop over connections of their own."""

    def listen(event):
        if event.type == "chunk_completed":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(server, tmp_path, names="a", on_event=listen)
    assert max(server.seen) <= 5


@pytest.mark.live("postgresql")
def test_an_instant_of_the_whole_run_needs_one_of_its_own(server, tmp_path):
    if server.engine == "mysql":
        pytest.skip("refused for another reason")
    with pytest.raises(library.RivetError, match="max_connections: 1") as refused:
        run(server, tmp_path, limit=1, consistency="run")
    assert "2" in (refused.value.hint or "")
    assert urlsplit(server.url).password not in str(refused.value)
