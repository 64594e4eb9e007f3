"""The private servers are what later tests take them for."""

import json
import os
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from support import servers


@pytest.mark.live("postgresql")
def test_postgres_has_logical_wal_and_hostile_text_settings(postgres):
    with psycopg.connect(postgres.url) as connection:
        version, level, style, superuser = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000,"
            " current_setting('wal_level'), current_setting('intervalstyle'),"
            " current_setting('is_superuser')"
        ).fetchone()
    assert (version, level, style) == (postgres.version, "logical", "sql_standard")
    assert superuser == "off"


@pytest.mark.live("postgresql")
def test_execute_returns_the_rows_of_the_last_statement(any_postgres):
    rows = any_postgres.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2); TABLE t")
    assert rows == [(1,), (2,)]


@pytest.mark.live("postgresql")
@pytest.mark.parametrize(("mode", "encrypted"), [("verify-full", True), ("disable", False)])
def test_tls_server_serves_both_kinds_of_connection(tls_postgres, mode, encrypted):
    authority = str(tls_postgres.home / "ca.crt")
    with tls_postgres.connect(sslmode=mode, sslrootcert=authority) as connection:
        row = connection.execute(
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row == (encrypted,)


@pytest.mark.live("mysql")
def test_mariadb_logs_rows(mariadb):
    assert mariadb.execute("SELECT @@binlog_format, @@log_bin") == [("ROW", "1")]


@pytest.mark.live("mysql9")
def test_mysql_logs_rows_and_has_gtids(mysql9):
    ((version, mode, log, gtid),) = mysql9.execute(
        "SELECT @@version, @@global.sql_mode, @@log_bin, @@gtid_mode"
    )
    assert int(version.split(".")[0]) >= 9
    assert ("PIPES_AS_CONCAT" in mode, log, gtid) == (True, "1", "ON")


@pytest.mark.live("mysql")
@pytest.mark.parametrize("fixture", ["lone_mariadb", "mysql9"])
def test_each_server_has_temporary_files_of_its_own(request, fixture):
    """A MariaDB that starts on the machine removes what others have in the shared folder."""
    database = request.getfixturevalue(fixture)
    if database.home is None:
        pytest.skip("this server is not of this run")
    own = str(database.home / "tmp")
    replicas = "@@slave_load_tmpdir" if fixture == "lone_mariadb" else "@@replica_load_tmpdir"
    assert database.execute(f"SELECT @@tmpdir, {replicas}, @@innodb_tmpdir IS NULL") == [
        (own, own, "1")
    ]
    # Whatever else this run has started, replicas and the servers of other workers too.
    folder = Path(os.environ[servers._DIRECTORY_VARIABLE])
    shared = []
    for path in folder.glob("*/running.json"):
        started = json.loads(path.read_text())
        with suppress(FileNotFoundError, ProcessLookupError):
            options = Path(f"/proc/{started['pid']}/cmdline").read_bytes().split(b"\0")
            has_data = any(one.startswith(b"--datadir=") for one in options)
            if has_data and f"--tmpdir={started['home']}/tmp".encode() not in options:
                shared.append(path.parent.name)
    assert not shared


def test_a_standby_follows_its_primary(standby_pair):
    standby_pair.primary.execute("CREATE TABLE t AS SELECT 1 AS a")
    standby_pair.catch_up()
    standby_pair.pause()
    standby_pair.primary.execute("INSERT INTO t VALUES (2)")
    assert standby_pair.standby.execute("SELECT a, pg_is_in_recovery() FROM t") == [(1, True)]
    standby_pair.resume()
    standby_pair.catch_up()
    assert standby_pair.standby.execute("SELECT count(*) FROM t") == [(2,)]
