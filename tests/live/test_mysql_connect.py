"""Reaching a real MariaDB: URL forms, secrets, TLS, pinned settings, and what failures say."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from rivet.errors import (
    ConfigError,
    SourceAuthError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    SourceUnavailableError,
)
from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.redact import Secret
from rivet.sources.mysql import connect
from support.asking import value_of
from support.databases import MariaDatabase
from support.proxy import Proxy

pytestmark = pytest.mark.live("mysql")

NASTY = [
    "p@ss",
    "a/b",
    "a?b",
    "a#b",
    "100%",
    "%41",
    " lead",
    "a'b",
    'a"b',
    "a\\b",
    "ä€😀",
    "://x@y",
]


def opened(url: str, *, tls: TlsOptions | None = None, **settings):
    return connect(SourceAddress("mysql", url=Secret(url), tls=tls), SessionSettings(**settings))


def with_host(database: MariaDatabase, host: str) -> str:
    return database.url.replace("@127.0.0.1:", f"@{host}:")


@pytest.fixture
def login(mariadb: MariaDatabase):
    """Make a user who logs in some way; yields a function from that way to the user's URL."""
    names = []
    address = urlsplit(mariadb.url)

    def make(way: str, password: str) -> str:
        name = f"u_{uuid.uuid4().hex[:8]}"
        names.append(name)
        mariadb.execute(f"CREATE USER {name} IDENTIFIED {way}; GRANT SELECT ON *.* TO {name}")
        place = f"{address.hostname}:{address.port}/{mariadb.name}"
        return f"mysql://{name}:{quote(password, safe='')}@{place}"

    yield make
    for name in names:
        mariadb.execute(f"DROP USER {name}")


@pytest.mark.parametrize("password", NASTY)
def test_nasty_passwords_connect_and_never_show(login, password):
    literal = password.replace("\\", "\\\\").replace("'", "\\'")
    url = login(f"BY '{literal}'", password)
    with opened(url) as session:
        assert value_of(session, "SELECT 1") == "1"
    wrong = url.replace(quote(password, safe=""), quote("no" + password, safe=""))
    with pytest.raises(SourceAuthError) as caught:
        opened(wrong)
    assert "no" + password not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"
    assert caught.value.hint


@pytest.mark.parametrize("plugin", ["ed25519", "mysql_native_password"])
def test_ways_to_log_in(mariadb, login, plugin):
    if plugin == "ed25519":
        found = "SELECT count(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'ed25519'"
        if mariadb.execute(found) == [("0",)]:
            mariadb.execute("INSTALL SONAME 'auth_ed25519'")
    url = login(f"VIA {plugin} USING PASSWORD('s3cret')", "s3cret")
    with opened(url) as session:
        assert value_of(session, "SELECT 1") == "1"
    with pytest.raises(SourceAuthError):
        opened(url.replace("s3cret", "wrong"))


@pytest.mark.parametrize(
    ("state", "hint"), [("PASSWORD EXPIRE", "has expired"), ("ACCOUNT LOCK", "is locked")]
)
def test_an_account_that_lets_nobody_in_says_why(login, state, hint):
    with pytest.raises(SourceAuthError) as caught:
        opened(login(f"BY 's3cret' {state}", "s3cret"))
    assert hint in caught.value.hint


def test_settings_that_could_change_a_value_are_pinned(mariadb):
    with opened(mariadb.url, statement_timeout_s=7.5, lock_timeout_s=11) as session:
        wanted = {
            "time_zone": "+00:00",
            # The server's own flags, without the padding of CHAR.
            "sql_mode": "PIPES_AS_CONCAT,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION",
            "system_versioning_asof": "DEFAULT",
            "sql_select_limit": "18446744073709551615",
            "character_set_results": "utf8mb4",
            "character_set_client": "utf8mb4",
            "character_set_connection": "utf8mb4",
            "tx_isolation": "REPEATABLE-READ",
            "tx_read_only": "1",
            "autocommit": "1",
            "lock_wait_timeout": "11",
            "max_statement_time": "7.500000",
            "net_write_timeout": "3600",
            "idle_transaction_timeout": "0",
        }
        found = {name: value_of(session, f"SELECT @@SESSION.{name}") for name in wanted}
        assert found == wanted
        assert session.server_version().startswith("MariaDB 1")
        assert session.proxy_note() is None


class Multiplexer(Proxy):
    """Greets its clients with a connection number of its own, as one that shares connections."""

    def _blocks(self, one):
        for number, block in enumerate(super()._blocks(one)):
            end = block.find(b"\0", 5) + 1
            is_greeting = number == 0 and block[3:5] == b"\0\x0a"
            yield block[:end] + b"\x7f\x7f\0\0" + block[end + 4 :] if is_greeting else block


def test_a_proxy_is_told_of_and_nothing_more(mariadb, tmp_path, monkeypatch):
    import rivet

    mariadb.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    export = {"name": "t", "table": "t", "format": "csv"}
    export["destination"] = {"type": "local", "path": str(tmp_path / "out")}
    monkeypatch.chdir(tmp_path)
    events = []
    place = urlsplit(mariadb.url)
    with Multiplexer(place.hostname, place.port) as proxy:
        source = {"type": "mysql", "url": proxy.rewrite(mariadb.url), "tls": {"mode": "disable"}}
        rivet.run({"source": source, "exports": [export]}, on_event=events.append)
    told = [event.message for event in events if type(event).__name__ == "Warned"]
    assert any("a proxy stands between" in one for one in told)


def test_a_servers_own_row_limit_does_not_cut_a_result(lone_mariadb):
    lone_mariadb.execute("CREATE TABLE t (a int); INSERT INTO t SELECT seq FROM seq_1_to_100")
    lone_mariadb.execute("SET GLOBAL sql_select_limit = 10")
    try:
        with opened(lone_mariadb.url) as session:
            relation = Relation(table="t")
            columns = session.columns(relation, ColumnRules())
            assert sum(b.num_rows for b in session.read(ReadRequest(relation, columns))) == 100
    finally:
        lone_mariadb.execute("SET GLOBAL sql_select_limit = DEFAULT")


def test_a_session_cannot_write(mariadb):
    mariadb.execute("CREATE TABLE t (a int)")
    with opened(mariadb.url) as session, pytest.raises(SourceQueryError, match="READ ONLY"):
        value_of(session, "INSERT INTO t VALUES (1) RETURNING a")
    assert mariadb.execute("SELECT count(*) FROM t") == [("0",)]


@pytest.mark.parametrize(
    ("mode", "host", "ca"),
    [
        (TlsMode.REQUIRE, "127.0.0.1", False),
        (TlsMode.VERIFY_CA, "127.0.0.1", True),
        (TlsMode.VERIFY_FULL, "localhost", True),
        (TlsMode.VERIFY_FULL, "127.0.0.1", True),
    ],
)
def test_tls_protects(tls_mariadb, mode, host, ca):
    file = tls_mariadb.home / "ca.crt" if ca else None
    with opened(with_host(tls_mariadb, host), tls=TlsOptions(mode, file)) as session:
        shown = value_of(
            session,
            "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS"
            " WHERE VARIABLE_NAME = 'Ssl_cipher'",
        )
        assert shown


def test_tls_by_url(tls_mariadb):
    options = f"ssl-mode=VERIFY_CA&ssl-ca={quote(str(tls_mariadb.home / 'ca.crt'))}"
    with opened(f"{tls_mariadb.url}?{options}") as session:
        assert value_of(session, "SELECT 1") == "1"


def test_a_stranger_is_refused(tls_mariadb, tmp_path):
    from support.clusters import make_certificates

    make_certificates(tmp_path)
    for mode in (TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL):
        with pytest.raises(SourceAuthError, match="certificate") as caught:
            opened(tls_mariadb.url, tls=TlsOptions(mode, tmp_path / "ca.crt"))
        assert "ca_file" in caught.value.hint


def test_a_server_without_tls_gets_no_password(mariadb):
    with pytest.raises(SourceAuthError, match="SSL is required"):
        opened(mariadb.url, tls=TlsOptions(TlsMode.REQUIRE))


def test_without_a_decision_about_tls_only_this_machine_is_reached():
    with pytest.raises(ConfigError, match=r"TLS is required to reach 'db\.example\.com'"):
        opened("mysql://u:p@db.example.com/shop")


def test_nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=str(port)) as caught:
        opened(f"mysql://u:p@127.0.0.1:{port}/d")
    assert time.monotonic() - began < 5
    assert "running" in caught.value.hint


def test_somebody_listens_and_says_nothing():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(SourceUnavailableError):
            opened(f"mysql://u:p@127.0.0.1:{silent.getsockname()[1]}/d", connect_timeout_s=1)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda url: url.replace(urlsplit(url).path, "/nowhere"), SourceAuthError),
        (lambda url: url + "?ssl-mode=SOMETIMES", ConfigError),
        (lambda url: url + "?autocommit=0", ConfigError),
        (lambda url: url.replace("mysql://", "postgresql://"), ConfigError),
        (lambda url: url.replace("mysql://", "mysql://a@b/c:"), ConfigError),
    ],
)
def test_addresses_that_lead_nowhere(mariadb, change, error):
    with pytest.raises(error) as caught:
        opened(change(mariadb.url))
    assert caught.value.hint
    assert "p@ss" not in str(caught.value)


def test_a_running_statement_is_cancelled_from_another_thread(mariadb):
    with opened(mariadb.url) as session:
        began = time.monotonic()
        timer = threading.Timer(0.5, session.cancel)
        timer.start()
        try:
            # MariaDB ends a SLEEP that is killed with 1, other statements with an error.
            with pytest.raises(SourceInterruptedError):
                value_of(session, "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b")
        finally:
            timer.join()
        assert time.monotonic() - began < 10
        assert value_of(session, "SELECT 1") == "1"


def test_a_statement_that_takes_too_long(mariadb):
    with opened(mariadb.url, statement_timeout_s=0.5) as session:
        with pytest.raises(SourceStatementTimeoutError, match=r"0\.5 s") as caught:
            value_of(session, "SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b")
        assert "statement_timeout_s" in caught.value.hint


def test_nothing_is_left_connected(mariadb):
    count = "SELECT count(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE()"
    with opened(mariadb.url), opened(mariadb.url):
        assert int(mariadb.execute(count)[0][0]) == 3
    deadline = time.monotonic() + 5
    while int(mariadb.execute(count)[0][0]) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_authority_that_is_not_there(mariadb):
    with pytest.raises(ConfigError, match="there is no file"):
        opened(mariadb.url, tls=TlsOptions(TlsMode.VERIFY_FULL, Path("/nowhere/ca.crt")))
