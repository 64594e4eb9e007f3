"""A server that tells how many connections it sees of one user or database, every 10 ms."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from support.roles import PASSWORD, mariadb_user, url_as
from support.writers import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = 4_000
FILL = {
    "postgresql": f"SELECT g, repeat('x', 50) FROM generate_series(1, {ROWS}) g",
    "mysql": f"SELECT seq, repeat('x', 50) FROM seq_1_to_{ROWS}",
    "mysql9": "WITH RECURSIVE d AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM d WHERE n < 999)"
    f" SELECT a.n * 1000 + d.n + 1, repeat('x', 50) FROM d, d a WHERE a.n < {ROWS // 1000}",
}
FIXTURES = {"postgresql": "shared_any_postgres", "mysql": "shared_mariadb"}
FAMILY = {"mysql": "shared_mariadb", "mysql9": "shared_mysql9"}


class CountedServer:
    """A table, and how many connections the server shows to be at work on it."""

    def __init__(self, engine: str, database: Any, url: str, counted: str) -> None:
        self.engine = "postgresql" if engine == "postgresql" else "mysql"
        self.tls = {"mode": "require" if engine == "mysql9" else "disable"}
        self.database, self.url, self.counted = database, url, counted
        self.seen: list[int] = []
        self.is_cut = True

    def ask(self, connection: Any, sql: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else ()

    @contextmanager
    def polled(self) -> Iterator[None]:
        """Ask every 10 ms who is there."""
        stop = threading.Event()
        self.seen = []

        def poll() -> None:
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

    def is_asleep(self) -> bool:
        """Whether somebody waits for nothing on the server."""
        asked = {
            "postgresql": "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event = 'PgSleep'",
            "mysql": "SELECT 1 FROM information_schema.PROCESSLIST WHERE state = 'User sleep'",
        }
        with closing(connect(self.engine, self.database)) as connection:
            return bool(self.ask(connection, asked[self.engine]))

    def end_all(self) -> None:
        """End what is left there."""
        with closing(connect(self.engine, self.database)) as connection:
            for (number,) in self.ask(connection, self.counted):
                with suppress(Exception):  # it ended meanwhile
                    self.ask(connection, self.end.format(number))

    @staticmethod
    def wait_for(condition: Callable[[], bool], within_s: float = 30) -> None:
        """Wait until something is so."""
        ends_at = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < ends_at
            time.sleep(0.02)

    @property
    def end(self) -> str:
        return "KILL {}" if self.engine == "mysql" else "SELECT pg_terminate_backend({})"


@contextmanager
def counted_server(engine: str, database: Any) -> Iterator[CountedServer]:
    """Yield a server with a table `budget` of so many rows, and nobody else on it."""
    database.execute(
        "CREATE TABLE budget (id int PRIMARY KEY, pad varchar(99));"
        f"INSERT INTO budget {FILL[engine]}"
    )
    if engine == "postgresql":
        counted = (
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND application_name LIKE 'rivet%' ORDER BY 1"
        )
        yield CountedServer(engine, database, database.url, counted)
        return
    with mariadb_user(database) as user:
        database.execute(f"GRANT SELECT ON budget TO {user}")
        monitor = "REPLICATION CLIENT" if engine == "mysql9" else "BINLOG MONITOR"
        database.execute(f"GRANT PROCESS, RELOAD, {monitor} ON *.* TO {user}")
        counted = f"SELECT id FROM information_schema.PROCESSLIST WHERE user = '{user}' ORDER BY 1"
        yield CountedServer(engine, database, url_as(database.url, user, PASSWORD), counted)
