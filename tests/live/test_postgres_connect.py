"""Reaching a real PostgreSQL: URL forms, secrets, TLS, and what is said when it fails."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from rivet.errors import (
    ConfigError,
    SourceAuthError,
    SourceUnavailableError,
)
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support import clusters
from support.asking import value_of

pytestmark = pytest.mark.live("postgresql")

NASTY = [
    "p@ss", "a/b", "a?b", "a#b", "a:b", "100%", "%41", "a%20b", "a b", " lead", "trail ", "a'b",
    'a"b', "a\\b", "a=b", "a&b", "a;b", "a,b", "[x]", "{x}", "${HOME}", "$1", "`id`", "<a>", "a|b",
    "ä€😀", "tab\there", "@@@", "//", "://x@y/z?a=b#c",
]  # fmt: skip


def opened(url, *, tls=None, **settings):
    return connect(
        SourceAddress("postgresql", url=Secret(url), tls=tls), SessionSettings(**settings)
    )


def parts(database):
    return conninfo_to_dict(database.url)


@pytest.fixture(scope="module")
def role(any_postgres_server):
    name = f"nasty_role_{os.getpid()}"  # the server is shared by the workers of a run
    with psycopg.connect(
        f"{any_postgres_server.admin_url}/postgres", autocommit=True
    ) as connection:
        connection.execute(f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN")
        yield connection, name, connection.info.host, connection.info.port
        connection.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize("password", NASTY)
def test_nasty_passwords_connect_and_never_show(role, password):
    connection, name, host, port = role
    connection.execute(
        sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
    )
    url = f"postgresql://{name}:{quote(password, safe='')}@{host}:{port}/postgres"
    with opened(url) as session:
        assert value_of(session, "SELECT current_user") == name
    wrong = f"wrong {password} wrong"
    address = SourceAddress(
        "postgresql", host=host, port=port, user=name, password=Secret(wrong), database="postgres"
    )
    with pytest.raises(SourceAuthError) as caught:
        connect(address, SessionSettings())
    told = f"{caught.value!r} {caught.value.hint} {caught.value.context} {address!r}"
    assert wrong not in told
    assert quote(wrong, safe="") not in told


def test_url_forms(any_postgres):
    given = parts(any_postgres)
    secret = quote(given["password"], safe="")
    host, port, user, name = given["host"], given["port"], given["user"], given["dbname"]
    quoted = given["password"].replace("\\", "\\\\").replace("'", "\\'")
    for form in (
        f"postgresql://{user}:{secret}@{host}:{port}/{name}",
        f"postgres://{user}:{secret}@{host}:{port}/{name}?application_name=mine",
        f"postgresql:///{name}?host={host}&port={port}&user={user}&password={secret}",
        f"postgresql://{user}:{secret}@{host}:1,{host}:{port}/{name}",
        f"host={host} port={port} user={user} dbname={name} password='{quoted}'",
    ):
        with opened(form) as session:
            assert value_of(session, "SELECT current_database()") == name


def test_service_and_password_file(any_postgres, tmp_path, monkeypatch):
    given = parts(any_postgres)
    (tmp_path / "services").write_text(
        f"[mine]\nhost={given['host']}\nport={given['port']}\nuser={given['user']}\n"
        f"dbname={given['dbname']}\n"
    )
    password = given["password"].replace("\\", "\\\\").replace(":", "\\:")
    passwords = tmp_path / "passwords"
    passwords.write_text(f"*:*:*:*:{password}\n")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    address = SourceAddress(
        "postgresql",
        url=Secret("postgresql:///?service=mine&passfile=passwords"),
        base_dir=tmp_path,
    )
    with connect(address, SessionSettings()) as session:
        assert value_of(session, "SELECT current_database()") == given["dbname"]


def test_the_server_sees_our_name(any_postgres):
    with opened(any_postgres.url, application_name="rivet: orders") as session:
        assert value_of(session, "SELECT current_setting('application_name')") == "rivet: orders"
        assert session.server_version().startswith(f"PostgreSQL {any_postgres.version}.")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"user": "nobody_here"}, SourceAuthError),
        ({"dbname": "nothing_here"}, SourceAuthError),
        ({"password": "wrong"}, SourceAuthError),
        ({"port": "1"}, SourceUnavailableError),
    ],
)
def test_refused(any_postgres, change, expected):
    with pytest.raises(expected) as caught:
        opened(psycopg.conninfo.make_conninfo(**{**parts(any_postgres), **change}))
    assert caught.value.hint
    assert parts(any_postgres)["password"] not in str(caught.value)


def test_a_password_that_has_expired_is_named_as_a_reason(any_postgres):
    name = f"late_{uuid.uuid4().hex[:8]}"
    until = "LOGIN PASSWORD 's3cret' VALID UNTIL '2001-01-01'"
    any_postgres.execute(f"CREATE ROLE {name} {until}", admin=True)
    try:
        given = {**parts(any_postgres), "user": name, "password": "s3cret"}
        with pytest.raises(SourceAuthError) as caught:
            opened(psycopg.conninfo.make_conninfo(**given))
    finally:
        any_postgres.execute(f"DROP ROLE {name}", admin=True)
    assert "expired" in caught.value.hint


def test_an_unknown_host():
    url = "postgresql://u@no-such-host.invalid/db?sslmode=require"
    with pytest.raises(SourceUnavailableError, match=r"no-such-host\.invalid") as caught:
        opened(url)
    assert "host and port" in caught.value.hint


def test_a_server_that_does_not_answer():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"postgresql://u@127.0.0.1:{listener.getsockname()[1]}/db"
        with pytest.raises(SourceUnavailableError):
            opened(url, connect_timeout_s=2)


def encrypted(session):
    return value_of(session, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "t"


@pytest.mark.parametrize(
    ("mode", "is_encrypted"),
    [
        (TlsMode.DISABLE, False),
        (TlsMode.REQUIRE, True),
        (TlsMode.VERIFY_CA, True),
        (TlsMode.VERIFY_FULL, True),
    ],
)
def test_tls_modes(tls_postgres, mode, is_encrypted):
    authority = None if mode in {TlsMode.DISABLE, TlsMode.REQUIRE} else tls_postgres.home / "ca.crt"
    with opened(tls_postgres.url, tls=TlsOptions(mode, authority)) as session:
        assert encrypted(session) is is_encrypted


def test_the_tls_block_beats_the_url(tls_postgres):
    tls = TlsOptions(TlsMode.VERIFY_FULL, tls_postgres.home / "ca.crt")
    with opened(f"{tls_postgres.url}?sslmode=disable", tls=tls) as session:
        assert encrypted(session)


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory):
    home = tmp_path_factory.mktemp("other")
    clusters.make_certificates(home)
    return home / "ca.crt"


@pytest.mark.parametrize("mode", [TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL])
def test_an_authority_that_did_not_sign(tls_postgres, other_authority, mode):
    with pytest.raises(SourceAuthError, match="certificate") as caught:
        opened(tls_postgres.url, tls=TlsOptions(mode, other_authority))
    assert "tls.ca_file" in caught.value.hint


def test_a_certificate_of_another_host(tls_postgres):
    authority = tls_postgres.home / "ca.crt"
    given = {**parts(tls_postgres), "host": "elsewhere.example", "hostaddr": clusters.HOST}
    url = psycopg.conninfo.make_conninfo(**given)
    with opened(url, tls=TlsOptions(TlsMode.VERIFY_CA, authority)) as session:
        assert encrypted(session)
    with pytest.raises(SourceAuthError, match=r"elsewhere\.example"):
        opened(url, tls=TlsOptions(TlsMode.VERIFY_FULL, authority))


def test_a_server_without_tls(any_postgres):
    with pytest.raises(SourceAuthError, match="SSL"):
        opened(any_postgres.url, tls=TlsOptions(TlsMode.REQUIRE))


def test_verification_without_any_authority(tls_postgres, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises((SourceAuthError, ConfigError)):
        opened(tls_postgres.url, tls=TlsOptions(TlsMode.VERIFY_FULL))
    assert not list(Path(tmp_path).iterdir())
