"""The state store in a shared PostgreSQL: the common behaviour, many processes, TLS, rights.

In every test the session's search_path has somebody's own operators, functions and types first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
import pytest

from rivet.errors import RefusedError, StateError, StateVersionError
from rivet.redact import redact
from rivet.state import schema
from rivet.state.locks import export_lock
from rivet.state.postgres import PostgresDatabase
from rivet.state.shape import SHAPE, WHOLE
from rivet.state.store import StateStore, open_store
from support.forgetful import Export
from support.worlds.shadows import SHADOWS
from unit.state.behaviour import StoreBehaviour, a_run, start
from unit.state.chains import ChainBehaviour
from unit.state.finishes import FinishBehaviour
from unit.state.units import UnitBehaviour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support import databases

pytestmark = pytest.mark.live("postgresql")
PROCESSES = 4


@pytest.fixture(scope="module")
def hostile_url(shared_any_postgres: databases.PostgresDatabase) -> str:
    """Return the URL of a session that finds somebody's own operators and functions first."""
    made, _, _ = SHADOWS.rpartition("ALTER ROLE")
    shared_any_postgres.execute(made, admin=True)
    path = quote("-csearch_path=shadows,pg_catalog,public")
    return f"{shared_any_postgres.url}?options={path}"


@pytest.fixture
def url(
    hostile_url: str,
    shared_any_postgres: databases.PostgresDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    monkeypatch.setenv("RIVET_STATE_URL", hostile_url)
    yield hostile_url
    shared_any_postgres.execute("DROP SCHEMA IF EXISTS pyrivet CASCADE")


@pytest.fixture
def reopen(url: str, tmp_path: Path) -> Callable[[], StateStore]:
    return lambda: open_store(tmp_path)


@pytest.fixture
def store(reopen: Callable[[], StateStore]) -> Iterator[StateStore]:
    with reopen() as opened:
        yield opened


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
        + [str(argument) for argument in arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class TestPostgresStore(StoreBehaviour, FinishBehaviour, UnitBehaviour, ChainBehaviour):
    """The common behaviour in the schema `pyrivet`."""


def test_nothing_is_kept_beside_the_configuration(store: StateStore, tmp_path: Path) -> None:
    start(store, "r1")
    with export_lock(store, "orders"):
        assert list(tmp_path.iterdir()) == []
    assert "schema pyrivet" in store.location
    assert redact(store.location) == store.location


@pytest.mark.parametrize("mode", ["incremental", "keyset"])
def test_runs_go_on_where_they_were(url: str, tmp_path: Path, mode: str) -> None:
    export = Export(tmp_path, mode, state_url=url)
    assert export.run() is None
    assert export.rows() == [1, 2, 3]


OPEN_TOGETHER = """
import sys
from pathlib import Path
import alembic.migration, alembic.script, psycopg
from rivet.state.store import open_store
print("ready", flush=True)
sys.stdin.readline()
with open_store(Path("/")) as store:
    store.journal("r", "e", sys.argv[1])
"""


def test_many_processes_open_a_fresh_store(url: str, tmp_path: Path) -> None:
    workers = [python(OPEN_TOGETHER, number) for number in range(PROCESSES)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        output, _ = worker.communicate(timeout=120)
        assert (worker.returncode, output) == (0, "")
    with open_store(tmp_path) as store:
        assert sorted(map(int, store.journal_events("r"))) == list(range(PROCESSES))


DIE_AT_STATEMENT = """
import os, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from rivet.state.store import open_store
count = 0
@event.listens_for(Engine, "before_cursor_execute")
def trace(connection, cursor, statement, *rest):
    global count
    count += statement.startswith(("\\nCREATE", "CREATE", "INSERT", "UPDATE"))
    if count == int(sys.argv[1]):
        os._exit(9)
open_store(Path("/")).close()
"""


def test_a_death_while_the_tables_are_made_is_harmless(
    url: str, shared_any_postgres: databases.PostgresDatabase, tmp_path: Path
) -> None:
    seen = set()
    for moment in (2, 6, 12, 14):
        shared_any_postgres.execute("DROP SCHEMA IF EXISTS pyrivet CASCADE")
        worker = python(DIE_AT_STATEMENT, moment)
        worker.communicate()
        assert worker.returncode == 9
        database = PostgresDatabase(url)
        seen.add(database.revision())
        database.close()
    assert seen == {None, "0001"}
    with open_store(tmp_path) as store:
        start(store, "r1")
        assert store.database.revision() == schema.REVISIONS[-1]


def test_a_newer_store_is_refused(store: StateStore, tmp_path: Path) -> None:
    with store.database.write() as db:
        db.change("UPDATE pyrivet.alembic_version SET version_num = '9999'")
    with pytest.raises(StateVersionError, match="9999"):
        open_store(tmp_path)


def test_a_schema_of_another_program_is_refused(
    url: str, shared_any_postgres: databases.PostgresDatabase, tmp_path: Path
) -> None:
    shared_any_postgres.execute("CREATE SCHEMA pyrivet; CREATE TABLE pyrivet.runs (a int)")
    with pytest.raises(StateVersionError, match="another program"):
        open_store(tmp_path)


def test_a_cut_connection_is_replaced(
    store: StateStore, shared_any_postgres: databases.PostgresDatabase
) -> None:
    start(store, "r1")
    shared_any_postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert store.run("r1") is not None


def test_a_store_that_cannot_be_written_is_told(
    store: StateStore, shared_any_postgres: databases.PostgresDatabase
) -> None:
    owner = psycopg.conninfo.conninfo_to_dict(shared_any_postgres.url)["user"]
    shared_any_postgres.execute(f'REVOKE INSERT ON pyrivet.schemas FROM "{owner}"', admin=True)
    with pytest.raises(StateError) as refused:
        store.check_writable()
    assert refused.value.error_code == "RIVET_STATE_NOT_WRITABLE"


@pytest.mark.parametrize(
    ("address", "kind", "code"),
    [
        ("mysql://h/db", StateError, "RIVET_STATE_URL_SCHEME_UNSUPPORTED"),
        ("postgresql://u:hunter2@localhost/%zz", StateError, "RIVET_STATE_ERROR"),
        ("postgresql://u:hunter2@db.example/x", RefusedError, "RIVET_STATE_URL_TLS_REQUIRED"),
        (
            "postgres://u:hunter2@localhost,db.example/x?sslmode=prefer",
            RefusedError,
            "RIVET_STATE_URL_TLS_REQUIRED",
        ),
        ("postgresql:///x?service=s", StateError, "RIVET_STATE_ERROR"),
        (
            "postgresql://u:hunter2@127.0.0.1:1/x?connect_timeout=2",
            StateError,
            "RIVET_STATE_UNREACHABLE",
        ),
        (
            "postgresql://u:hunter2@nowhere.invalid/x?sslmode=require",
            StateError,
            "RIVET_STATE_UNREACHABLE",
        ),
    ],
)
def test_urls_that_cannot_be_used(
    address: str, kind: type[Exception], code: str, tmp_path: Path
) -> None:
    with pytest.raises((StateError, RefusedError)) as refused:
        open_store(tmp_path, url=address)
    assert type(refused.value) is kind
    assert refused.value.error_code == code
    assert refused.value.hint
    assert "hunter2" not in str(refused.value)


def test_a_wrong_password_is_not_shown(url: str, tmp_path: Path) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(url)
    wrong = f"postgresql://nobody:geheim%40x@{parts['host']}:{parts['port']}/{parts['dbname']}"
    with pytest.raises(StateError) as refused:
        open_store(tmp_path, url=wrong)
    assert "geheim" not in f"{refused.value}{refused.value.hint}"


HOLD = """
import sys
from pathlib import Path
from support.forgetful import Export
from support.worlds.shadows import SHADOWS
from unit.state.behaviour import a_run
from rivet.state.locks import export_lock
from rivet.state.store import open_store
with open_store(Path("/")) as store, export_lock(store, "orders"):
    store.begin_run(a_run("dead"))
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_killed_holder_frees_the_export(store: StateStore) -> None:
    worker = python(HOLD)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "held\n"
    with (
        pytest.raises(RefusedError, match=f"pid {worker.pid} on host {os.uname().nodename}"),
        export_lock(store, "orders"),
    ):
        pass
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    with export_lock(store, "orders", wait=True, timeout_s=10):
        assert store.begin_run(a_run("alive")) == ("dead",)


def test_a_store_is_reached_over_tls(
    tls_postgres: databases.PostgresDatabase, tmp_path: Path
) -> None:
    assert tls_postgres.home is not None
    secure = f"{tls_postgres.url}{'&' if '?' in tls_postgres.url else '?'}sslmode=require"
    with open_store(tmp_path, url=secure) as store, store.database.read() as db:
        row = db.one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert row == {"ssl": True}


def test_the_migrations_make_the_shape_that_is_asked_for(
    store: StateStore, shared_any_postgres: databases.PostgresDatabase
) -> None:
    ((told,),) = shared_any_postgres.execute(SHAPE)
    assert sorted(set(told.split()) - WHOLE) == [
        "audits_sequence_seq",
        "journal_sequence_seq",
        "runs_sequence_seq",
    ]
    assert set(told.split()) > WHOLE
