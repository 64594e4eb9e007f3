"""What a MySQL server is answered where nobody else can read, and when a wait is over."""

import ssl
import time

import pytest

from rivet.config.load import config_from_dict
from rivet.config.resolve import resolve_source
from rivet.errors import (
    ConfigError,
    SourceAuthError,
    SourceInterruptedError,
    SourceUnavailableError,
)
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.redact import Secret
from rivet.sources.mysql import connect
from support.clusters import make_certificates
from support.hostile.fake import FakeServer
from support.hostile.mysql import SALT, error, greeting, heard, packet, switch

PASSWORD = "Hunter22-Geheim/%"
SHOWN = PASSWORD.encode() + b"\0"


def met(server, tls=TlsMode.DISABLE, key=None, **settings):
    address = SourceAddress(
        "mysql",
        host="127.0.0.1",
        port=server.port,
        user="u",
        password=Secret(PASSWORD),
        database="d",
        tls=TlsOptions(tls),
        server_public_key=key,
    )
    return connect(address, SessionSettings(**settings))


@pytest.mark.parametrize(
    ("plugin", "salt"),
    [
        ("dialog", b"\x04Password: \0"),
        ("mysql_clear_password", b"\0"),
        ("sha256_password", SALT + b"\0"),
        ("caching_sha2_password", SALT + b"\0"),
    ],
)
def test_over_tls_the_password_is_sent_to_whoever_asks(tmp_path, plugin, salt):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificates(tmp_path))
    answers = []

    def script(peer):
        peer.send(greeting(has_tls=True))
        heard(peer)
        peer.protect(context)
        number, first = heard(peer)
        answers.append(first)
        peer.send(switch(plugin, salt, number + 1))
        number, answer = heard(peer)
        if plugin.startswith("caching"):
            answers.append(answer)
            peer.send(packet(b"\x01\x04", number + 1))
            number, answer = heard(peer)
        assert answer == SHOWN
        peer.send(error(number + 1, 1045, b"no"))

    with FakeServer(script) as server, pytest.raises(SourceAuthError, match="no"):
        met(server, TlsMode.REQUIRE)
    # Not before it is asked for.
    assert answers
    assert not any(PASSWORD.encode() in one for one in answers)


def test_a_dialog_about_anything_else_is_not_answered(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificates(tmp_path))

    def script(peer):
        peer.send(greeting(has_tls=True))
        heard(peer)
        peer.protect(context)
        number, _ = heard(peer)
        peer.send(switch("dialog", b"\x04Your other password: \0", number + 1))
        peer.wait()

    with FakeServer(script) as server, pytest.raises(SourceAuthError, match="something else"):
        met(server, TlsMode.REQUIRE)


def test_a_stop_ends_the_wait_for_a_connection():
    began = time.monotonic()
    with (
        FakeServer(lambda peer: peer.wait()) as server,
        pytest.raises((SourceUnavailableError, SourceInterruptedError), match="cancelled"),
    ):
        met(server, connect_timeout_s=60, is_stopped=lambda: time.monotonic() > began + 0.2)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("held", [None, b"-----BEGIN CERTIFICATE-----\n", b""])
def test_a_key_that_is_none_is_refused_before_anything_is_sent(tmp_path, held):
    key = tmp_path / "key.pem"
    if held is not None:
        key.write_bytes(held)
    with FakeServer(lambda peer: peer.wait()) as server:
        with pytest.raises(ConfigError, match="server_public_key"):
            met(server, key=key)
        assert server.received == []


def test_the_key_of_a_configuration_is_found_beside_it(tmp_path):
    export = {"name": "t", "table": "t", "format": "csv"}
    export["destination"] = {"type": "local", "path": "out"}
    source = {"type": "mysql", "url": "mysql://u@127.0.0.1/d", "server_public_key": "key.pem"}
    address = resolve_source(config_from_dict({"source": source, "exports": [export]}))
    assert str(address.server_public_key) == "key.pem"
    source |= {"type": "postgresql", "url": "postgresql://u@127.0.0.1/d"}
    with pytest.raises(ConfigError, match="does not go with"):
        config_from_dict({"source": source, "exports": [export]})
