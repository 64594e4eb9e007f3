"""Cursors on servers as they are: standbys, roles with zones, hidden and prepared transactions."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.followed import Followed, settle
from support.writers import connect, run

if TYPE_CHECKING:
    from pathlib import Path

KOLKATA = "Asia/Kolkata"


def is_complete(report: Any) -> bool:
    return str(report.guarantee).startswith("complete")


@pytest.fixture
def on_postgres(any_postgres: Any, tmp_path: Path) -> Followed:
    followed = Followed("postgresql", any_postgres, tmp_path)
    followed.database.execute("INSERT INTO t VALUES (1, '2024-05-01')")
    return followed


@pytest.fixture
def on_mariadb(mariadb: Any, tmp_path: Path) -> Followed:
    followed = Followed("mysql", mariadb, tmp_path)
    followed.database.execute("INSERT INTO t VALUES (1, '2024-05-01')")
    return followed


def test_a_standby_is_never_complete(standby_pair, tmp_path):
    followed = Followed("postgresql", standby_pair.primary, tmp_path)
    followed.url = standby_pair.standby.admin_url
    standby_pair.primary.execute("INSERT INTO t VALUES (1, '2024-05-01')")
    with connect("postgresql", standby_pair.primary, autocommit=False) as late:
        run(late, "INSERT INTO t (id) VALUES (2)")
        settle()
        standby_pair.primary.execute("INSERT INTO t (id) VALUES (3)")
        standby_pair.catch_up()
        report = followed.run()
        assert not is_complete(report)
        assert "standby" in report.guarantee
        assert "read from the primary" in report.guarantee
        # What was replayed last is as new as the standby's knowledge: it waits.
        assert followed.taken() == [1]
        followed.keys = {"strict_cursor": True}
        assert "standby" in followed.refused()
    followed.keys = {"settle": {"after": "1s"}}
    settle()
    standby_pair.primary.execute("INSERT INTO t (id) VALUES (4)")
    standby_pair.catch_up()
    assert followed.run().guarantee.startswith("complete for rows that are committed within 1 s")
    assert followed.taken() == [1, 2, 3]


def test_a_prepared_transaction_is_older_than_it_says(on_postgres):
    database = on_postgres.database
    with connect("postgresql", database, autocommit=False) as late:
        run(late, "INSERT INTO t (id) VALUES (2)")
        settle()
        run(late, "PREPARE TRANSACTION 'later'")
    report = on_postgres.run()
    assert not is_complete(report)
    assert "prepared transaction" in report.guarantee
    with connect("postgresql", database) as other:
        run(other, "ROLLBACK PREPARED 'later'")
    assert is_complete(on_postgres.run())


def test_a_session_that_hides_its_transaction_is_told_of(on_postgres):
    with connect("postgresql", on_postgres.database, autocommit=False, admin=True) as hidden:
        run(hidden, "SET track_activities = off")
        hidden.commit()
        run(hidden, "SET ROLE rivet")
        run(hidden, "INSERT INTO t (id) VALUES (2)")
        on_postgres.url = on_postgres.database.admin_url
        report = on_postgres.run()
        assert not is_complete(report)
        assert "track_activities" in report.guarantee
    settle()
    assert is_complete(on_postgres.run())


def test_the_zone_of_whoever_asks_moves_no_window(any_postgres, tmp_path, monkeypatch):
    followed = Followed("postgresql", any_postgres, tmp_path, "timestamp", now="")
    utc = "now() AT TIME ZONE 'UTC'"
    any_postgres.execute(
        f"INSERT INTO t VALUES (1, {utc} - interval '1 minute'), (2, {utc} + interval '1 minute'),"
        f" (3, {utc} - interval '9 hours'), (4, {utc} + interval '9 hours')"
    )
    seen = set()
    name = any_postgres.name
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        any_postgres.execute(f"ALTER ROLE rivet IN DATABASE {name} SET timezone = '{zone}'")
        any_postgres.execute(f"ALTER DATABASE {name} SET timezone = '{zone}'")
        for variable, value in (("PGTZ", zone), ("PGOPTIONS", f"-c timezone={zone}")):
            monkeypatch.setenv(variable, value)
            report = followed.run(fresh=True)
            assert not is_complete(report)
            assert "set `cursor_zone`" in report.guarantee
            seen.add((report.rows, len(followed.taken())))
    assert {rows for rows, _ in seen} == {2}
    followed.keys = {"cursor_zone": KOLKATA}
    report = followed.run(fresh=True)
    assert is_complete(report)
    assert report.rows == 3  # in Kolkata it is five hours and a half later


def test_a_zone_that_is_said_waits_for_transactions(any_postgres, tmp_path):
    # The server's own zone is that of Kolkata.
    followed = Followed("postgresql", any_postgres, tmp_path, "timestamp(0)")
    followed.keys = {"cursor_zone": KOLKATA}
    with connect("postgresql", any_postgres, autocommit=False) as late:
        run(late, f"SET TimeZone = '{KOLKATA}'")
        run(late, "INSERT INTO t (id) VALUES (2)")
        settle()
        with connect("postgresql", any_postgres) as other:
            run(other, f"SET TimeZone = '{KOLKATA}'")
            run(other, "INSERT INTO t (id) VALUES (3)")
        settle()
        assert is_complete(followed.run())
        assert followed.taken() == []
        late.commit()
    settle(2.2)
    followed.run()
    assert followed.taken() == [2, 3]


@pytest.mark.parametrize(
    ("kind", "logical"), [("timestamptz", "instants"), ("int", "no wall clock")]
)
def test_a_zone_without_a_wall_clock_is_refused(any_postgres, tmp_path, kind, logical):
    followed = Followed("postgresql", any_postgres, tmp_path, kind, now="")
    followed.keys = {"cursor_zone": KOLKATA}
    assert logical in followed.refused()


@pytest.mark.parametrize(
    ("kind", "values", "policy"),
    [
        ("timestamptz", ("infinity", "-infinity"), {"out_of_range": "null"}),
        ("timestamp", ("infinity", "-infinity"), {"out_of_range": "null"}),
        ("date", ("infinity", "-infinity"), {"out_of_range": "null"}),
        ("numeric(10,2)", ("NaN", "NaN"), {"non_finite": "null"}),
        ("numeric", ("NaN", "Infinity", "-Infinity"), {}),
    ],
)
def test_what_is_no_moment_or_number_is_never_a_watermark(
    any_postgres, tmp_path, kind, values, policy
):
    followed = Followed("postgresql", any_postgres, tmp_path, kind, now="")
    followed.keys = {"types": policy}
    early, later = ("10", "11") if "numeric" in kind else ("2024-05-01", "2024-06-01")
    for number, value in enumerate(values):
        any_postgres.execute(f"INSERT INTO t VALUES ({100 + number}, '{value}')")
    extremes = [100 + number for number in range(len(values))]
    followed.run()
    assert followed.taken() == extremes
    any_postgres.execute(f"INSERT INTO t VALUES (1, '{early}')")
    report = followed.run()
    assert followed.taken() == [1, *extremes]
    assert any(f"{len(values)} rows have no finite 'ts'" in one for one in report.not_covered)
    any_postgres.execute(f"INSERT INTO t VALUES (2, '{later}')")
    followed.run()
    assert followed.taken() == [1, 2, *extremes]


def test_ties_are_warned_of_where_nothing_is_guaranteed(any_postgres, tmp_path):
    followed = Followed("postgresql", any_postgres, tmp_path, "int", now="")
    any_postgres.execute("INSERT INTO t VALUES (1, 7)")
    assert any("not unique" in one for one in followed.run().warnings)
    any_postgres.execute("INSERT INTO t VALUES (2, 7)")
    assert followed.run().rows == 0
    followed.keys = {"lookback": "1"}
    report = followed.run()
    assert not any("not unique" in one for one in report.warnings)
    assert report.rows == 2
    followed.keys = {"cursor_column": "id"}
    assert not any("not unique" in one for one in followed.run(fresh=True).warnings)


@pytest.mark.parametrize("kind", ["smallint", "int", "bigint", "oid", "numeric(9,3)"])
def test_every_number_can_be_looked_back_from(any_postgres, tmp_path, kind):
    followed = Followed("postgresql", any_postgres, tmp_path, kind, now="")
    followed.keys = {"lookback": "999999999"}
    any_postgres.execute("INSERT INTO t VALUES (1, 5)")
    followed.run()
    any_postgres.execute("INSERT INTO t VALUES (2, 4)")
    assert followed.run().rows == 2


@pytest.mark.parametrize("column", ["id", "day", None])
def test_settle_without_a_timestamp_is_refused(on_postgres, column):
    on_postgres.database.execute("ALTER TABLE t ADD day date")
    settle_key = {"after": "10m"} if column is None else {"after": "10m", "column": column}
    on_postgres.keys = {"cursor_column": "id", "settle": settle_key}
    assert "is no timestamp" in on_postgres.refused()


def test_a_statement_that_waits_for_a_table_is_older_than_its_transaction(on_mariadb):
    database = on_mariadb.database
    with connect("mysql", database) as holder, connect("mysql", database) as late:
        run(holder, "LOCK TABLES t WRITE")
        waiting = threading.Thread(target=run, args=(late, "INSERT INTO t (id) VALUES (2)"))
        waiting.start()
        settle(2.2)
        run(holder, "INSERT INTO t (id, ts) VALUES (3, now(6) - INTERVAL 1 SECOND)")
        with connect("mysql", database) as asking:
            with asking.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM information_schema.INNODB_TRX")
            horizon = _horizon(on_mariadb)
        run(holder, "UNLOCK TABLES")
        waiting.join()
    ((ts,),) = database.execute("SELECT ts FROM t WHERE id = 2")
    assert horizon.oldest is not None
    assert f"{horizon.oldest:%F %T}" <= ts


def test_transactions_that_only_read_hold_nothing_up(on_mariadb):
    database = on_mariadb.database
    with connect("mysql", database) as reader:
        run(reader, "START TRANSACTION READ ONLY")
        run(reader, "SELECT * FROM t")
        settle()
        began = _horizon(on_mariadb).now - timedelta(seconds=2)
        for _ in range(40):  # others' transactions of the same server end
            oldest = _horizon(on_mariadb).oldest
            if oldest is None or oldest > began:
                return
            settle(0.5)
    pytest.fail("a transaction that only reads is taken for one that may write")


def test_when_a_transaction_began_is_told_in_the_zone_of_the_machine(on_mariadb):
    with connect("mysql", on_mariadb.database, autocommit=False) as late:
        run(late, "INSERT INTO t (id) VALUES (2)")
        settle(0.3)
        horizon = _horizon(on_mariadb)
        late.rollback()
    assert horizon.oldest is not None
    assert timedelta() < horizon.now - horizon.oldest < timedelta(minutes=10)


@pytest.mark.live("mysql9")
def test_mysql_tells_as_much(mysql9, tmp_path):
    followed = Followed("mysql", mysql9, tmp_path)
    mysql9.execute("INSERT INTO t VALUES (1, '2024-05-01')")
    with connect("mysql", mysql9, autocommit=False) as late:
        run(late, "INSERT INTO t (id) VALUES (2)")
        settle(0.3)
        with late.cursor() as cursor:
            cursor.execute("SELECT CAST(CONVERT_TZ(ts, @@time_zone, '+00:00') AS CHAR) FROM t")
            ts = max(cursor.fetchall())[0]
        horizon = _horizon(followed)
        assert horizon.oldest is not None
        assert f"{horizon.oldest:%F %T}" <= ts
        assert "first statement" in followed.run().guarantee
        assert followed.taken() == [1]
    assert is_complete(followed.run())


def test_a_prepared_transaction_without_its_session_is_told_of(on_mariadb):
    database = on_mariadb.database
    late = connect("mysql", database)
    for statement in ("XA START 'k'", "INSERT INTO t (id) VALUES (2)", "XA END 'k'"):
        run(late, statement)
    run(late, "XA PREPARE 'k'")
    late.close()
    settle(0.3)
    try:
        assert "prepared transaction" in str(on_mariadb.run().guarantee)
    finally:
        with connect("mysql", database) as other:
            run(other, "XA ROLLBACK 'k'")


@pytest.mark.parametrize("pause", [0.02, 0.09])
def test_a_list_of_transactions_that_others_keep_old_is_not_believed(on_mariadb, pause):
    """InnoDB makes the list anew only when nobody has read it for a tenth of a second."""
    database, stop = on_mariadb.database, threading.Event()

    def monitor() -> None:
        with connect("mysql", database) as watching:
            while not stop.wait(pause):
                run(watching, "SELECT count(*) FROM information_schema.INNODB_TRX")

    thread = threading.Thread(target=monitor)
    thread.start()
    try:
        settle(0.3)
        with connect("mysql", database, autocommit=False) as late:
            run(late, "INSERT INTO t (id) VALUES (2)")
            settle(0.3)
            database.execute("INSERT INTO t (id) VALUES (3)")
            report = on_mariadb.run()
            assert not is_complete(report) or 3 not in on_mariadb.taken()
            assert pause > 0.05 or "InnoDB's list of open transactions" in report.guarantee
    finally:
        stop.set()
        thread.join()


def test_a_datetime_needs_a_zone(mariadb, tmp_path):
    followed = Followed("mysql", mariadb, tmp_path, "datetime", now="")
    mariadb.execute(
        "INSERT INTO t VALUES (1, '2024-05-01'), (2, UTC_TIMESTAMP() + INTERVAL 5 HOUR)"
    )
    assert "set `cursor_zone`" in followed.run().guarantee
    followed.keys = {"cursor_zone": "UTC"}
    report = followed.run(fresh=True)
    assert "cursor_zone" not in report.guarantee
    assert report.rows == 1


def test_without_rights_it_says_which_are_missing(mariadb, tmp_path):
    followed = Followed("mysql", mariadb, tmp_path)
    mariadb.execute(
        f"CREATE USER poor IDENTIFIED BY 'poor'; GRANT SELECT ON {mariadb.name}.* TO poor"
    )
    try:
        head, _, tail = mariadb.url.rpartition("@")
        followed.url = f"{head.partition('://')[0]}://poor:poor@{tail}"
        guarantee = followed.run().guarantee
        assert "grant PROCESS" in guarantee
        assert "SLAVE MONITOR" in guarantee
    finally:
        mariadb.execute("DROP USER poor")


def _horizon(followed: Followed) -> Any:
    from rivet.config.load import load_config
    from rivet.config.resolve import resolve_source, resolve_tuning
    from rivet.sources import load_engine

    config = load_config(followed.config())
    address = resolve_source(config)
    settings = resolve_tuning(config, config.exports[0]).session_settings(is_query=True)
    with load_engine(address.engine).connect(address, settings) as session:
        return session.commit_horizon(is_zoned=True)
