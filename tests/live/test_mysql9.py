"""Reading a real MySQL, which differs from MariaDB in logins, variables, types and statistics."""

from __future__ import annotations

import struct
import uuid
from urllib.parse import quote, urlsplit

import pytest

import rivet
from rivet.errors import SourceAuthError
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.redact import Secret
from rivet.sources.mysql import connect
from support.asking import value_of

pytestmark = pytest.mark.live("mysql9")

PASSWORD = "p@ss:w/rd?#%41 '$ä😀"


def opened(url: str, tls: TlsOptions | None = None, key=None, **settings):
    address = SourceAddress("mysql", url=Secret(url), tls=tls, server_public_key=key)
    return connect(address, SessionSettings(**settings))


@pytest.fixture
def stranger(mysql9):
    """The URL of a user whom the server has never let in, so that it has no digest of him yet."""
    name, address = f"u_{uuid.uuid4().hex[:8]}", urlsplit(mysql9.url)
    quoted = PASSWORD.replace("'", "''")
    mysql9.execute(f"CREATE USER {name} IDENTIFIED BY '{quoted}'; GRANT SELECT ON *.* TO {name}")
    yield f"mysql://{name}:{quote(PASSWORD, safe='')}@127.0.0.1:{address.port}/{mysql9.name}"
    mysql9.execute(f"DROP USER {name}")


@pytest.mark.parametrize("mode", [TlsMode.VERIFY_FULL, TlsMode.DISABLE])
def test_a_first_login_by_caching_sha2(mysql9, stranger, mode):
    """With TLS the password is sent, without it under the RSA key that is named; then a digest."""
    (key,) = mysql9.home.rglob("public_key.pem")
    if mode is TlsMode.DISABLE:
        with pytest.raises(SourceAuthError, match="a key of its own") as caught:
            opened(stranger, TlsOptions(mode))
        assert "server_public_key" in caught.value.hint
    tls = TlsOptions(mode, mysql9.home / "ca.crt" if mode is TlsMode.VERIFY_FULL else None)
    wrong = stranger.replace(quote("p@ss"), "no")
    with pytest.raises(SourceAuthError) as caught:
        opened(wrong, tls, key=key)
    assert "no:w" not in f"{caught.value} {caught.value!r}"
    for _ in range(2):
        with opened(stranger, tls, key=key) as session:
            assert value_of(session, "SELECT 1") == "1"
            cipher = value_of(
                session,
                "SELECT VARIABLE_VALUE FROM performance_schema.session_status"
                " WHERE VARIABLE_NAME = 'Ssl_cipher'",
            )
    assert bool(cipher) is (mode is TlsMode.VERIFY_FULL)


def test_settings_that_could_change_a_value_are_pinned(mysql9):
    with opened(mysql9.url, statement_timeout_s=7.5, lock_timeout_s=11) as session:
        wanted = {
            "time_zone": "+00:00",
            "sql_mode": "PIPES_AS_CONCAT,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION",
            "sql_select_limit": "18446744073709551615",
            "character_set_results": "utf8mb4",
            "transaction_isolation": "REPEATABLE-READ",
            "transaction_read_only": "1",
            "lock_wait_timeout": "11",
            "max_execution_time": "7500",
            "net_write_timeout": "3600",
            "information_schema_stats_expiry": "0",  # else estimates are of a day ago
        }
        found = {name: value_of(session, f"SELECT @@SESSION.{name}") for name in wanted}
        assert found == wanted
        assert session.server_version().startswith("MySQL 9")
        assert session.proxy_note() is None


def test_types_that_mariadb_shows_otherwise(mysql9):
    """JSON and VECTOR are types of their own here, and a long text is no JSON."""
    mysql9.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a longtext, j json, v vector(3), b bit(9),"
        " u bigint unsigned, g int AS (id * 2) VIRTUAL, h int INVISIBLE);"
        "INSERT INTO t (id, a, j, v, b, u) VALUES"
        " (1, 'x', '{\"a\": 1}', STRING_TO_VECTOR('[1,2,3]'), b'101', 18446744073709551615)"
    )
    reader = rivet.read(mysql9.url, "t")
    (row,) = [row for batch in reader for row in batch.to_pylist()]
    assert row == {
        "id": 1,
        "a": "x",
        "j": '{"a": 1}',
        "v": struct.pack("<3f", 1, 2, 3),
        "b": 5,
        "u": 18446744073709551615,
        "g": 2,
    }
