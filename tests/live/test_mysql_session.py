"""A session on a real server: one instant, cuts, kills, large packets, and what is left behind."""

from __future__ import annotations

import hashlib
import threading
import time
from urllib.parse import urlsplit

import pymysql
import pytest

from rivet.errors import (
    FormatError,
    SourceAuthError,
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    StalePlanError,
)
from rivet.model.columns import ColumnRules, Mask
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.redact import Secret
from rivet.sources.mysql import connect
from support.asking import value_of
from support.proxy import Proxy

pytestmark = pytest.mark.live("mysql")

T = Relation(table="t")
ROWS = 200_000
SERIES = (
    "CREATE TABLE t (id int PRIMARY KEY, s varchar(100));"
    f"INSERT INTO t SELECT seq, REPEAT('x', 80) FROM seq_1_to_{ROWS}"
)


SERIES_OF_MYSQL = (
    "CREATE TABLE t (id int PRIMARY KEY, s varchar(100));"
    "SET SESSION cte_max_recursion_depth = 1000000;"
    "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    f" WHERE i < {ROWS}) SELECT i, REPEAT('x', 80) FROM n"
)


@pytest.fixture(params=["mariadb", "mysql9"])
def filled(request):
    """Return a database of either server with a table of many rows."""
    database = request.getfixturevalue(request.param)
    database.execute(SERIES if request.param == "mariadb" else SERIES_OF_MYSQL)
    return database


def opened(url: str, **settings):
    tls = TlsOptions(TlsMode.DISABLE)
    return connect(SourceAddress("mysql", url=Secret(url), tls=tls), SessionSettings(**settings))


def request(session, relation=T, rules=None, **more) -> ReadRequest:
    return ReadRequest(relation, session.columns(relation, rules or ColumnRules()), **more)


def running(mariadb) -> int:
    """Count statements and transactions of other connections in this database."""
    sql = (
        "SELECT count(*) FROM information_schema.PROCESSLIST p"
        " LEFT JOIN information_schema.INNODB_TRX x ON x.trx_mysql_thread_id = p.ID"
        " WHERE p.DB = DATABASE() AND p.ID <> CONNECTION_ID()"
        " AND (p.COMMAND = 'Query' OR x.trx_id IS NOT NULL)"
    )
    return int(mariadb.execute(sql)[0][0])


def until_idle(mariadb, patience_s: float = 10.0) -> None:
    deadline = time.monotonic() + patience_s
    while running(mariadb):
        assert time.monotonic() < deadline, "something runs on at the server"
        time.sleep(0.05)


def test_batches_keep_their_limits(mariadb):
    mariadb.execute(SERIES)
    with opened(mariadb.url) as session:
        stream = session.read(request(session, batch_rows=7_000))
        sizes = [batch.num_rows for batch in stream]
        assert max(sizes) <= 7_000
        assert sum(sizes) == stream.counters.rows == ROWS
        stream = session.read(request(session, batch_bytes=100_000))
        assert max(batch.nbytes for batch in stream) < 100_000 + 2 * 65_536
        assert running(mariadb) == 0


def test_values_above_sixteen_megabytes(lone_mariadb):
    lone_mariadb.execute("SET GLOBAL max_allowed_packet = 268435456")
    try:
        _values_of_many_packets(lone_mariadb)
    finally:
        lone_mariadb.execute("SET GLOBAL max_allowed_packet = DEFAULT")


def _values_of_many_packets(mariadb):
    mariadb.execute("CREATE TABLE t (id int, a longblob, b longtext)")
    edges = [2**24 - 20, 2**24 - 10, 2**24 - 5, 2**24 - 1, 2**24, 2 * (2**24 - 1) - 9, 40_000_000]
    for place, size in enumerate(edges):
        mariadb.execute(f"INSERT INTO t VALUES ({place}, REPEAT('x', {size}), 'after')")
    with opened(mariadb.url) as session:
        found = {}
        for batch in session.read(request(session)):
            for place, a, b in zip(*(batch.column(i) for i in range(3)), strict=True):
                assert b.as_py() == "after"
                found[place.as_py()] = len(a.as_buffer())
                assert set(a.as_buffer().to_pybytes()) == {ord("x")}
        assert found == dict(enumerate(edges))
        with pytest.raises(FormatError, match=r"column 'a', row 1: .* limit of 1048576 bytes"):
            list(session.read(request(session, max_value_bytes=1024 * 1024)))


def proxy_of(url: str) -> Proxy:
    address = urlsplit(url)
    return Proxy(address.hostname, address.port)


@pytest.mark.parametrize("is_clean", [True, False])
@pytest.mark.parametrize("cut", [1, 3, 4, 100, 20_000, 1_000_000, 5_000_000])
def test_a_cut_is_never_the_end(mariadb, cut, is_clean):
    mariadb.execute(SERIES)
    with proxy_of(mariadb.url) as proxy, opened(proxy.rewrite(mariadb.url)) as session:
        stream = session.read(request(session))
        proxy.is_clean_cut = is_clean
        proxy.cut_after_bytes = proxy.answered_bytes + cut
        with pytest.raises(SourceInterruptedError):
            list(stream)
        assert stream.counters.rows < ROWS
    until_idle(mariadb)


def test_a_statement_killed_in_the_middle_is_an_error(filled):
    with opened(filled.url) as session:
        stream = iter(session.read(request(session, batch_rows=1_000)))
        next(stream)
        ((thread,),) = filled.execute(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND"
            " ID <> CONNECTION_ID()"
        )
        filled.execute(f"KILL QUERY {thread}")
        with pytest.raises(SourceInterruptedError):
            for _ in stream:
                pass
    until_idle(filled)


def test_a_servers_limit_in_the_middle_is_an_error(filled):
    with opened(filled.url, statement_timeout_s=0.3) as session:
        stream = iter(session.read(request(session, batch_rows=1_000)))
        next(stream)
        time.sleep(0.6)
        with pytest.raises(SourceStatementTimeoutError, match=r"0\.3 s"):
            for _ in stream:
                pass


def test_an_error_among_the_rows_names_itself(mariadb):
    mariadb.execute("CREATE TABLE t (id int); INSERT INTO t SELECT seq FROM seq_1_to_50000")
    query = Relation(
        query="SELECT id, IF(id < 40000, 1, (SELECT 1 UNION SELECT 2)) AS a FROM t ORDER BY id"
    )
    with opened(mariadb.url) as session, pytest.raises(SourceQueryError, match="more than 1 row"):
        list(session.read(request(session, query)))


def test_closing_early_ends_the_statement(filled):
    with opened(filled.url) as session:
        stream = session.read(request(session, batch_rows=1_000))
        next(iter(stream))
        stream.close()
        stream.close()
        until_idle(filled)


def test_closing_from_another_thread_ends_the_iteration(mariadb):
    query = Relation(query="SELECT count(*) AS n FROM seq_1_to_1000000 a, seq_1_to_1000000 b")
    with opened(mariadb.url) as session:
        stream = session.read(request(session, query))
        timer = threading.Timer(0.5, stream.close)
        timer.start()
        assert list(stream) == []
        timer.join()
    until_idle(mariadb)


def test_a_read_and_its_count_see_one_instant(mariadb):
    mariadb.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")
    with opened(mariadb.url) as session:
        batches = list(session.read(request(session, holds_snapshot=True)))
        mariadb.execute("INSERT INTO t VALUES (3)")
        assert session.has_snapshot
        assert session.count(T) == sum(batch.num_rows for batch in batches) == 2
    with opened(mariadb.url) as session:
        list(session.read(request(session)))
        assert not session.has_snapshot
        assert session.count(T) == 3


def test_a_table_that_is_read_cannot_be_emptied_meanwhile(filled):
    with opened(filled.url) as session:
        stream = session.read(request(session, batch_rows=1_000))
        iterator = iter(stream)
        next(iterator)
        with pytest.raises(RuntimeError, match="Lock wait timeout"):
            filled.execute("SET lock_wait_timeout = 1; TRUNCATE t")
        rest = sum(batch.num_rows for batch in iterator)
        assert rest == ROWS - 1_000
    filled.execute("TRUNCATE t")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE t MODIFY s int",
        "ALTER TABLE t DROP COLUMN s",
        "ALTER TABLE t CHANGE s z varchar(100)",
        "ALTER TABLE t MODIFY id bigint",
    ],
)
def test_a_plan_that_is_stale_is_refused(mariadb, change):
    mariadb.execute("CREATE TABLE t (id int, s varchar(100))")
    with opened(mariadb.url) as session:
        planned = request(session)
        mariadb.execute(change)
        with pytest.raises(StalePlanError, match="changed since the plan was made") as caught:
            list(session.read(planned))
        assert caught.value.hint


def test_a_table_may_change_in_the_last_moment(mariadb):
    mariadb.execute("CREATE TABLE t (id int, s varchar(100)); INSERT INTO t VALUES (1, '2')")
    with opened(mariadb.url) as session:
        stream = session.read(request(session, Relation(query="SELECT id, s FROM t")))
        mariadb.execute("ALTER TABLE t MODIFY s int")
        with pytest.raises(StalePlanError):
            list(stream)


def test_facts_sizes_and_place(mariadb):
    mariadb.execute("CREATE TABLE t (b int, a int, PRIMARY KEY (a, b))")
    mariadb.execute("INSERT INTO t VALUES (1, 1)")
    mariadb.execute("ANALYZE TABLE t")
    with opened(mariadb.url) as session:
        facts = session.facts(T)
        assert facts.key == ("a", "b")
        assert facts.estimated_rows == 1
        named = Relation(schema=mariadb.name, table="t")
        sizes = session.estimates([T, Relation(query="SELECT 1"), named, Relation(table="none")])
        assert sizes == (16384, None, 16384, None)
        position = session.position()
        assert position is not None
        assert position.is_approximate
        assert "-" in position.text


def test_what_a_user_may_not_read(mariadb):
    mariadb.execute("CREATE TABLE t (a int, b int)")
    mariadb.execute(
        "CREATE USER IF NOT EXISTS narrow IDENTIFIED BY 'x';"
        f"GRANT SELECT (a) ON {mariadb.name}.t TO narrow"
    )
    url = mariadb.url.replace(mariadb.url.split("@")[0], "mysql://narrow:x")
    with opened(url) as session:
        with pytest.raises(SourceAuthError, match="only 'a'") as caught:
            session.columns(T, ColumnRules())
        assert "SELECT" in caught.value.hint
    mariadb.execute("DROP USER narrow")


def test_masked_values_do_not_cross_the_wire(mariadb):
    mariadb.execute(
        "CREATE TABLE t (a varchar(50), b varchar(50), c varchar(50));"
        "INSERT INTO t VALUES ('secret-one', 'secret-two', 'secret-three'), (NULL, NULL, NULL)"
    )
    rules = ColumnRules(masks={"a": Mask.HASH, "b": Mask.REDACT, "c": Mask.NULL})
    with proxy_of(mariadb.url) as proxy, opened(proxy.rewrite(mariadb.url)) as session:
        proxy.keeps_answers = True
        (batch,) = session.read(request(session, rules=rules))
        assert b"***" in proxy.answers
        assert b"secret" not in proxy.answers
    digest = hashlib.sha256(b"secret-one").hexdigest()
    assert batch.to_pydict()["a"] == [digest, None]
    assert batch.to_pydict()["b"] == ["***", None]
    assert batch.to_pydict()["c"] == [None, None]


def test_a_driver_that_is_not_ours_still_sees_the_server_alive(mariadb):
    # The private parts of the driver that receive.py and catalog.py use are there.
    names = ("_execute_command", "_read_packet", "_force_close", "_read_query_result")
    assert all(hasattr(pymysql.connections.Connection, name) for name in names)
    with opened(mariadb.url) as session, pytest.raises(SourceError):
        value_of(session, "SELECT")
