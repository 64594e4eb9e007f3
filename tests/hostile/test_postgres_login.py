"""A PostgreSQL that is not one, from the first byte to the end of the login.

Every run ends in time, in bounded memory, with one line that says why, and no server is given the
password in a form that it could read.
"""

from __future__ import annotations

import hashlib
import itertools
import ssl

import pytest

from support import clusters
from support.hostile import postgres as pg
from support.hostile.fake import FakeServer, assert_kept
from support.hostile.measured import Measured

PASSWORD = "s3cret/§pass"
LIMIT_S = 1
AT_ONCE = 16
CONFIG = """
source:
  type: postgres
  url: postgresql://reader:s3cret%2F%C2%A7pass@127.0.0.1:{port}/shop{query}
  tuning: {{connect_timeout_s: 1, read_timeout_s: 2, max_retries: 0}}
exports:
  - name: orders
    table: orders
    format: csv
    destination: {{type: local, path: out}}
"""


def silent(peer):
    peer.read(1)
    peer.wait()


def says(*pieces, tls=b"N"):
    def script(peer):
        pg.started(peer, tls)
        peer.send(*pieces)
        peer.wait()

    return script


def floods(*pieces, endless=pg.notices):
    def script(peer):
        pg.started(peer)
        peer.send(*pieces)
        peer.flood(endless())

    return script


def drips(*pieces, data):
    def script(peer):
        pg.started(peer)
        peer.send(*pieces)
        peer.drip(data)

    return script


def hangs_up(*pieces):
    def script(peer):
        pg.started(peer)
        peer.send(*pieces)

    return script


def asks(code, body=b""):
    """Ask for something, and let the client in whatever it says."""

    def script(peer):
        pg.started(peer)
        peer.send(pg.authentication(code, body))
        pg.answer(peer)
        peer.send(pg.authentication(pg.OK), pg.GREETING)
        peer.wait()

    return script


def scram(*then, **first):
    def script(peer):
        pg.scram_first(peer, **first)
        if then:
            pg.answer(peer)
            peer.send(*then)
        peer.wait()

    return script


def refuses_tls(reply):
    def script(peer):
        peer.read(8)
        peer.send(reply)
        peer.wait()

    return script


IN = pg.authentication(pg.OK)
TLS = "?sslmode=require"
CASES = {
    # the request for TLS
    "tls-silence": (silent, TLS),
    "tls-no": (refuses_tls(b"N"), TLS),
    "tls-error": (refuses_tls(pg.error("no TLS here")), TLS),
    "tls-garbage": (refuses_tls(b"X"), TLS),
    "tls-garbage-behind-yes": (refuses_tls(b"S" + bytes(range(256))), TLS),
    "tls-login-behind-yes": (refuses_tls(b"S" + IN + pg.GREETING), TLS),
    "tls-yes-then-silence": (refuses_tls(b"S"), TLS),
    # the first answer
    "startup-silence": (says(), ""),
    "startup-garbage": (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ""),
    "startup-close": (hangs_up(), ""),
    "startup-huge": (says(pg.message(b"R", b"", pg.PLENTY)), ""),
    "startup-negative": (says(pg.message(b"R", b"", -1)), ""),
    "startup-huge-error": (floods(pg.message(b"E", b"", pg.PLENTY)), ""),
    "startup-drip": (drips(data=IN + pg.GREETING), ""),
    "startup-notices": (floods(), ""),
    "startup-error": (says(pg.error("\x1b[31m no \u202e entry" + "x" * 20_000)), ""),
    # what it asks for
    "asks-password": (asks(pg.CLEARTEXT), ""),
    "asks-password-on-purpose": (asks(pg.CLEARTEXT), "?require_auth=password"),
    "asks-md5": (asks(pg.MD5, pg.SALT), ""),
    "asks-gss": (asks(pg.GSS), ""),
    "asks-unknown": (asks(99), ""),
    "asks-sasl-unknown": (asks(pg.SASL, b"PLAIN\0OAUTHBEARER\0\0"), ""),
    "asks-sasl-plus": (asks(pg.SASL, b"SCRAM-SHA-256-PLUS\0\0"), ""),
    "asks-nothing-after-sasl": (asks(pg.SASL, b"SCRAM-SHA-256\0\0"), ""),
    "asks-sasl-binding": (asks(pg.SASL, b"SCRAM-SHA-256\0\0"), "?channel_binding=require"),
    # SCRAM
    "scram-silence": (scram(), ""),
    "scram-slow": (scram(iterations=2_000_000_000), ""),
    "scram-zero": (scram(iterations=0), ""),
    "scram-word": (scram(iterations="many"), ""),
    "scram-long": (scram(iterations="9" * 1500), ""),
    "scram-unproven": (scram(IN, pg.GREETING), ""),
    "scram-wrong-proof": (scram(pg.authentication(pg.SASL_FINAL, b"v=AAAA"), IN, pg.GREETING), ""),
    "scram-password-next": (scram(pg.authentication(pg.CLEARTEXT)), ""),
    # let in
    "let-in-silence": (says(IN), ""),
    "let-in-parameters": (floods(IN, endless=pg.parameters), ""),
    "let-in-notices": (floods(IN), ""),
    "let-in-huge": (floods(IN, pg.message(b"S", b"", pg.PLENTY)), ""),
    "let-in-huge-notice": (
        floods(IN, pg.message(b"N", b"", 2**30), endless=lambda: itertools.repeat(bytes(65_536))),
        "",
    ),
    "let-in-drip": (drips(IN, data=pg.GREETING), ""),
    "let-in-garbage": (says(IN, bytes(range(256)) * 4), ""),
    "let-in-error": (says(IN, pg.error("y" * 20_000)), ""),
    "let-in-old": (says(IN, pg.parameter("server_version", "9.1"), pg.KEY, pg.READY), ""),
}


@pytest.fixture(scope="module")
def measured():
    with Measured() as runs:
        yield runs


def started(measured, folder, script, query, *, state=""):
    server = FakeServer(script)
    folder.mkdir()
    text = CONFIG.format(port=server.port, query=query)
    (folder / "rivet.yaml").write_text(text)
    variables = {"RIVET_STATE_URL": state.format(port=server.port)} if state else {}
    return server, measured.start(folder, "run", "-c", "rivet.yaml", **variables)


def judged(name, server, ending, codes=(1, 2)):
    with server:
        pass
    ending.check(name, codes, LIMIT_S + 20)
    told = f"{name}: {ending}"
    assert "\u202e" not in ending.said, told
    assert PASSWORD not in ending.said, told
    assert_kept(server.received, PASSWORD)
    inner = hashlib.md5(f"{PASSWORD}reader".encode()).hexdigest().encode()
    digest = hashlib.md5(inner + pg.SALT).hexdigest().encode()
    assert all(digest not in heard for heard in server.received), told


def test_every_step_of_the_login(measured, tmp_path):
    cases = list(CASES.items())
    for at in range(0, len(cases), AT_ONCE):
        running = [
            (name, *started(measured, tmp_path / name, script, query))
            for name, (script, query) in cases[at : at + AT_ONCE]
        ]
        for name, server, future in running:
            judged(name, server, future.result(timeout=60))


def test_computations_of_a_protected_login_end_in_time(measured, tmp_path):
    # Behind TLS nobody can look at what libpq is about to do.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*clusters.make_certificates(tmp_path))

    def script(peer):
        peer.read(8)
        peer.send(b"S")
        peer.protect(context)
        pg.scram_first(peer, iterations=2_000_000_000)
        peer.wait()

    server, future = started(measured, tmp_path / "tls", script, "?sslmode=require")
    judged("tls-scram-slow", server, future.result(timeout=60))


STATES = ("startup-silence", "asks-password", "asks-md5", "scram-slow", "scram-unproven")
STATES += ("let-in-notices", "tls-no", "startup-drip")


def test_the_state_is_reached_by_the_same_rules(measured, tmp_path):
    running = []
    for name in STATES:
        script, query = CASES[name]
        url = f"postgresql://reader:s3cret%2F%C2%A7pass@127.0.0.1:{{port}}/shop{query}"
        joined = f"{url}{'&' if query else '?'}connect_timeout=1"
        running.append((name, *started(measured, tmp_path / name, script, "", state=joined)))
    for name, server, future in running:
        ending = future.result(timeout=60)
        judged(name, server, ending)
        assert "RIVET_STATE_UNREACHABLE" in ending.said, f"{name}: {ending}"
