"""Local sockets, whose servers may be told the password, and names that lead nowhere or everywhere.

Whatever a resolver or whoever made a socket does, connecting ends in time with one line.
"""

from __future__ import annotations

import importlib
import os
import socket
import time

import pytest

from rivet.errors import RivetError, SourceAuthError
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.redact import Secret
from support.hostile.fake import FakeServer, assert_kept
from support.hostile.mysql import SALT, error, greeting, heard, switch

PASSWORD = "Hunter22-Geheim/%"
ENGINES = {"postgres": "postgresql", "mysql": "mysql"}
LIMIT_S = 4
V4, V6 = socket.AF_INET, socket.AF_INET6
STREAM = (socket.SOCK_STREAM, 6, "")


def refused(engine, host, tls=TlsMode.DISABLE, port=None):
    """Return the error of a connection that must end in time."""
    address = SourceAddress(
        ENGINES[engine],
        host=str(host),
        port=port,
        user="u",
        password=Secret(PASSWORD),
        database="d",
        tls=TlsOptions(tls) if tls else None,
    )
    connect = importlib.import_module(f"rivet.sources.{engine}").connect
    began = time.monotonic()
    with pytest.raises(RivetError) as caught:
        connect(address, SessionSettings(connect_timeout_s=1))
    assert time.monotonic() - began < LIMIT_S
    assert "\n" not in caught.value.message
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"
    assert caught.value.exit_code in {1, 2}
    return caught.value


@pytest.mark.parametrize(
    ("plugin", "salt", "is_told"),
    [
        ("mysql_clear_password", b"\0", True),
        ("dialog", b"\x04Password: \0", True),
        ("sha256_password", SALT + b"\0", True),
        ("mysql_native_password", SALT + b"\0", False),
        ("mysql_old_password", SALT + b"\0", None),
        ("auth_gssapi_client", b"\0", None),
    ],
)
def test_what_is_answered_over_a_local_socket(tmp_path, plugin, salt, is_told):
    answers = []

    def script(peer):
        peer.send(greeting("mysql_native_password"))
        heard(peer)
        peer.send(switch(plugin, salt))
        number, answer = heard(peer)
        answers.append(answer)
        peer.send(error(number + 1, 1045, b"no entry"))

    path = tmp_path / "s"
    with FakeServer(script, path) as server:
        found = refused("mysql", path, tls=None)
    assert isinstance(found, SourceAuthError)
    if is_told:
        assert answers == [PASSWORD.encode() + b"\0"]
    else:
        assert ("does not answer" in found.message) is (is_told is None)
        assert_kept(server.received, PASSWORD)


def test_a_local_socket_that_is_none_or_says_nothing(tmp_path):
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "fifo")
    for name in ("missing", "file", "fifo", "."):
        refused("mysql", tmp_path / name, tls=None)
    silent = tmp_path / "silent"
    with FakeServer(lambda peer: peer.wait(), silent):
        refused("mysql", silent, tls=None)
    with socket.create_server(str(tmp_path / "full"), family=socket.AF_UNIX, backlog=0) as full:
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        refused("mysql", tmp_path / "full", tls=None)
        for one in waiting:
            one.close()


def late(*_, **__):
    time.sleep(6)
    return [(V4, *STREAM, ("127.0.0.1", 1))]


def failing(*_, **__):
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


ANSWERS = {
    "late": late,
    "failing": failing,
    "none": lambda *_, **__: [],
    "one again and again": lambda *_, **__: [(V4, *STREAM, ("127.0.0.1", 1))] * 20_000,
    "very many": lambda *_, **__: [
        (V4, *STREAM, (f"127.{at >> 8}.{at & 255}.1", 1)) for at in range(20_000)
    ],
    "closed": lambda *_, **__: [(V6, *STREAM, ("::1", 1, 0, 0)), (V4, *STREAM, ("127.0.0.1", 1))],
}
NAMES = ("a" * 300, "a..b", "x y", "münchen\u202e.invalid", "-", "%00", "1.2.3.4.5")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_name_that_does_not_lead_to_a_server(engine, monkeypatch):
    for name in NAMES:
        found = refused(engine, name, port=1)
        assert "\u202e" not in found.message
    for answer in ANSWERS.values():
        monkeypatch.setattr(socket, "getaddrinfo", answer)
        refused(engine, "db.example", port=1)
