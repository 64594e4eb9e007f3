"""Addresses as libpq parameters, and the TLS decision."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from rivet.errors import ConfigError
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.redact import Secret, redact
from rivet.sources.network import is_local
from rivet.sources.postgres.address import connection_parameters

SETTINGS = SessionSettings(connect_timeout_s=7)


@pytest.fixture(autouse=True)
def no_own_settings(monkeypatch, tmp_path):
    for name in ("PGSERVICE", "PGSERVICEFILE", "PGSYSCONFDIR", "PGSSLMODE", "PGHOST", "PGHOSTADDR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def parameters(url, *, tls=None, base_dir=Path()):
    address = SourceAddress("postgresql", url=Secret(url), tls=tls, base_dir=base_dir)
    return connection_parameters(address, SETTINGS)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://u:p%40ss@localhost:1234/db",
            {"user": "u", "password": "p@ss", "host": "localhost", "port": "1234", "dbname": "db"},
        ),
        ("postgres://localhost", {"host": "localhost"}),
        ("postgresql:///db?host=/var/run/postgresql", {"host": "/var/run/postgresql"}),
        ("postgresql://%2Ftmp/db", {"host": "/tmp", "dbname": "db"}),
        ("postgresql://[::1]:5433/db", {"host": "::1", "port": "5433"}),
        ("postgresql://127.0.0.1:1,localhost:2/db", {"host": "127.0.0.1,localhost", "port": "1,2"}),
        (
            "postgresql://localhost/db?user=a%40b&password=x%2Fyz",
            {"user": "a@b", "password": "x/yz"},
        ),
        ("host=127.0.0.1 dbname='a b' password='it\\'s'", {"dbname": "a b", "password": "it's"}),
        ("postgresql://far.example/db?sslmode=verify-full", {"sslmode": "verify-full"}),
        ("postgresql://localhost/db?application_name=mine", {"application_name": "mine"}),
    ],
)
def test_url_forms(url, expected):
    found = parameters(url)
    assert {key: found[key] for key in expected} == expected


def test_every_connection_has_keepalives_a_name_and_utf8():
    found = parameters("postgresql://localhost/db?client_encoding=latin1")
    assert found["keepalives"] == "1"
    assert found["tcp_user_timeout"] == "60000"
    assert found["application_name"] == "rivet"
    assert found["connect_timeout"] == "7"
    assert found["client_encoding"] == "UTF8"


def test_structured_address():
    address = SourceAddress(
        "postgresql", host="127.0.0.1", port=5433, user="u", password=Secret("s p"), database="d"
    )
    found = connection_parameters(address, SETTINGS)
    assert found["host"] == "127.0.0.1"
    assert (found["port"], found["user"], found["password"]) == ("5433", "u", "s p")
    assert found["dbname"] == "d"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2/x@far.example/db",
        "postgresql://u:hunt@er2@far.example/db",
        "postgresql://u:hunter2%zz@localhost/db",
        "host=localhost password='hunter2",
        "postgresql://u:hunter2@localhost/db?bogus=1",
        "mysql://u:hunter2@localhost/db",
    ],
)
def test_bad_urls_are_refused_without_showing_the_password(url):
    with pytest.raises(ConfigError) as caught:
        parameters(url)
    shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.hint)
    for piece in ("hunter2", "hunt@", "er2"):
        assert piece not in "\n".join(
            line for line in shown.splitlines() if not line.startswith("  ")
        )


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", True),
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("/tmp", True),
        ("@abstract", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("db", False),
        ("::", False),
    ],
)
def test_what_is_this_machine(host, expected):
    assert is_local(host) is expected


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://far.example/db",
        "postgresql://localhost,far.example/db",
        "postgresql://far.example/db?sslmode=disable",
        "postgresql://far.example/db?sslmode=prefer",
        "postgresql://localhost/db?hostaddr=10.0.0.1",
        "host=10.0.0.1",
    ],
)
def test_a_host_beyond_this_machine_needs_tls(url):
    with pytest.raises(ConfigError, match="TLS is required") as caught:
        parameters(url)
    assert "tls: {mode: verify-full}" in caught.value.hint


def test_the_environment_may_ask_for_tls(monkeypatch):
    monkeypatch.setenv("PGSSLMODE", "require")
    assert parameters("postgresql://far.example/db")["host"] == "far.example"


def test_the_environment_cannot_hide_a_host(monkeypatch):
    monkeypatch.setenv("PGHOST", "far.example")
    with pytest.raises(ConfigError, match=r"far\.example"):
        parameters("dbname=db")


@pytest.mark.parametrize("mode", list(TlsMode))
def test_the_tls_block_beats_the_url(mode, tmp_path):
    authority = tmp_path / "ca.pem"
    authority.touch()
    tls = TlsOptions(mode=mode, ca_file=Path("ca.pem"))
    found = parameters(
        "postgresql://far.example/db?sslmode=prefer&sslrootcert=other", tls=tls, base_dir=tmp_path
    )
    assert found["sslmode"] == mode.value
    if mode is not TlsMode.DISABLE:
        assert found["sslrootcert"] == str(authority)
        assert found["gssencmode"] == "disable"


def test_a_missing_authority_file_is_named(tmp_path):
    tls = TlsOptions(ca_file=Path("no.pem"))
    with pytest.raises(ConfigError, match=r"no\.pem"):
        parameters("postgresql://far.example/db", tls=tls, base_dir=tmp_path)


def test_a_service_is_resolved_before_the_tls_decision(monkeypatch, tmp_path):
    file = tmp_path / "services"
    file.write_text("# mine\n[near]\nhost=127.0.0.1\ndbname=a=b\n[far]\nhost=far.example\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    found = parameters("service=near user=u dbname=c")
    assert (found["host"], found["dbname"], found["user"]) == ("127.0.0.1", "c", "u")
    assert "service" not in found
    with pytest.raises(ConfigError, match=r"far\.example"):
        parameters("postgresql:///?service=far")
    monkeypatch.setenv("PGSERVICE", "near")
    assert parameters("user=u")["dbname"] == "a=b"
    with pytest.raises(ConfigError, match="'nowhere' is not defined"):
        parameters("service=nowhere")


def test_a_password_from_the_service_file_is_masked(monkeypatch, tmp_path):
    file = tmp_path / "services"
    file.write_text("[near]\nhost=127.0.0.1\npassword=of the service\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    assert parameters("service=near")["password"] == "of the service"
    assert redact("it is of the service.") == "it is ***."
