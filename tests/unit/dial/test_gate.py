"""The TLS gate sees every place that a driver would dial, for sources and for the state alike."""

import pytest

from rivet.dial import methods
from rivet.dial.gate import Protection, Target, is_loopback
from rivet.dial.login import ExposedError, log_in
from rivet.dial.parameters import completed, targets
from rivet.errors import ConfigError, RefusedError
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources.postgres.address import connection_parameters
from rivet.state.store import open_store


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    for name in ("PGSERVICE", "PGSYSCONFDIR", "PGSSLMODE", "PGHOST", "PGHOSTADDR", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    services = tmp_path / "services"
    services.write_text("[near]\ndbname=d\n[far]\nhost=far.example\nsslmode=prefer\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    monkeypatch.setenv("HOME", str(tmp_path))


EXPOSED = [
    ("postgresql://far.example/db", {}),
    ("postgresql://localhost,far.example/db", {}),
    ("postgresql://localhost,far.example/db?hostaddr=127.0.0.1,", {}),
    ("postgresql://far.example,localhost/db?hostaddr=,127.0.0.1", {}),
    ("postgresql://localhost/db?hostaddr=10.0.0.1", {}),
    ("postgresql:///db?hostaddr=127.0.0.1,10.0.0.1", {}),
    ("postgresql:///db?host=/tmp&hostaddr=10.0.0.1", {}),
    ("postgresql://localhost/db", {"PGHOSTADDR": "10.0.0.1"}),
    ("postgresql:///db", {"PGHOST": "far.example"}),
    ("postgresql:///db", {"PGHOST": "/tmp,far.example"}),
    ("postgresql:///db", {"PGSERVICE": "far"}),
    ("postgresql:///db?service=far", {}),
    ("postgresql:///db?service=far", {"PGSSLMODE": "require"}),
    ("postgresql://far.example/db?sslmode=allow", {}),
    ("postgresql://far.example/db?sslmode=prefer", {"PGSSLMODE": "verify-full"}),
    ("postgresql://far.example/db", {"PGSSLMODE": "prefer"}),
    ("postgresql://[2001:db8::1]/db", {}),
    ("postgresql://0.0.0.0/db", {}),
    ("postgresql://127.1/db", {}),
    ("postgresql://2130706433/db", {}),
]


@pytest.mark.parametrize(("url", "variables"), EXPOSED)
def test_nothing_remote_is_dialled_without_a_decision(url, variables, monkeypatch, tmp_path):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="TLS is required"):
        connection_parameters(SourceAddress("postgresql", url=Secret(url)), SessionSettings())
    with pytest.raises(RefusedError) as refused:
        open_store(tmp_path, url=url)
    assert refused.value.error_code == "RIVET_STATE_URL_TLS_REQUIRED"
    assert "sslmode=verify-full" in refused.value.hint


def test_a_name_that_leads_elsewhere_is_found_before_a_byte_is_sent(monkeypatch):
    # Whatever the resolver says of a local name counts, not the name.
    told = [(2, 1, 6, "", ("192.0.2.7", 5432))]
    monkeypatch.setattr("rivet.dial.login.socket.getaddrinfo", lambda *_, **__: told)
    with pytest.raises(ExposedError, match=r"localhost.*192\.0\.2\.7"):
        log_in({"host": "localhost"}, Protection.UNDECIDED, timeout_s=5)


def test_a_service_of_the_environment_does_not_come_back(monkeypatch):
    monkeypatch.setenv("PGSERVICE", "far")
    assert targets(completed({"service": "near"})) == [Target("", "", is_socket=True)]


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", ""])
def test_what_stays_on_this_machine(name):
    assert is_loopback(name)


NEAR = Target("localhost", "127.0.0.1")
SOCKET = Target("/tmp", "/tmp", is_socket=True)
PASSWORD = {"password": "x"}


@pytest.mark.parametrize(
    ("given", "target", "protection", "expected"),
    [
        (PASSWORD, NEAR, Protection.UNDECIDED, ["scram-sha-256,gss,sspi", "none"]),
        (PASSWORD, NEAR, Protection.ACCEPTED, ["scram-sha-256,gss,sspi", "none"]),
        ({}, NEAR, Protection.UNDECIDED, ["none", "scram-sha-256,gss,sspi"]),
        (PASSWORD, NEAR, Protection.TLS, ["scram-sha-256,gss,sspi,password,md5", "none"]),
        ({}, SOCKET, Protection.UNDECIDED, ["none", "scram-sha-256,gss,sspi,password,md5"]),
        ({"require_auth": "scram-sha-256"}, NEAR, Protection.TLS, ["scram-sha-256"]),
        ({"require_auth": "none"}, NEAR, Protection.UNDECIDED, ["none"]),
        ({"require_auth": "!none,!gss"}, NEAR, Protection.UNDECIDED, ["scram-sha-256,sspi"]),
        ({"require_auth": "md5,none"}, NEAR, Protection.UNDECIDED, ["none"]),
    ],
)
def test_what_a_server_may_ask_for(given, target, protection, expected):
    assert methods.rules(given, target, protection) == expected


@pytest.mark.parametrize(
    ("given", "protection"),
    [
        ({"require_auth": "password"}, Protection.UNDECIDED),
        ({"require_auth": "md5,password"}, Protection.ACCEPTED),
        ({"channel_binding": "disable"}, Protection.TLS),
    ],
)
def test_a_url_only_takes_methods_away(given, protection):
    with pytest.raises(ConfigError) as caught:
        methods.rules(given, NEAR, protection)
    assert caught.value.hint
