"""A server that speaks MySQL's protocol and means harm: every step until a session is prepared."""

import pytest

from support.hostile.cases import PASSWORD, Case, all_met
from support.hostile.fake import Peer
from support.hostile.mysql import (
    SALT,
    column,
    counted,
    end,
    endless,
    error,
    greeting,
    heard,
    ok,
    packet,
    switch,
)

TLS = "tls: {mode: require}"
DISABLED = "tls: {mode: disable}"
FLOOD = b"\xff\xff\xff"
MORE = 2 | 8  # SERVER_MORE_RESULTS_EXISTS
NINE_MB = 9 * 1024 * 1024


def saying(*pieces: bytes, after=None):
    """A server that says so much at a step, and then nothing."""

    def script(peer: Peer):
        if after is not None:
            after(peer)
        peer.send(*pieces)
        peer.wait()

    return script


def dripping(data: bytes, after=None):
    def script(peer: Peer):
        if after is not None:
            after(peer)
        peer.drip(data)

    return script


def flooding(make, after=None):
    def script(peer: Peer):
        if after is not None:
            after(peer)
        peer.flood(make())

    return script


def closing(after=None):
    def script(peer: Peer):
        if after is not None:
            after(peer)

    return script


def huge():
    """Yield the packets of one message without end, each as large as a packet can be."""
    number = 0
    while True:
        yield FLOOD + bytes([number & 255])
        yield from (bytes(65535) for _ in range(257))
        number += 1


def greeted(peer: Peer, plugin="mysql_native_password"):
    peer.send(greeting(plugin))
    heard(peer)


def asked_for_tls(peer: Peer):
    peer.send(greeting(has_tls=True))
    heard(peer)


def logged_in(peer: Peer):
    greeted(peer)
    peer.send(ok(2))
    heard(peer)


def asked(peer: Peer):
    """Come to the first question that has rows for an answer."""
    logged_in(peer)
    peer.send(ok(1))
    while heard(peer)[1][1:4].upper() == b"SET":
        peer.send(ok(1))


def in_full(peer: Peer):
    greeted(peer, "caching_sha2_password")
    peer.send(packet(b"\x01\x04", 2))
    heard(peer)


def behaviours(step, after, good: bytes):
    """What can be done at every step."""
    return [
        Case(f"{step}: silence", saying(after=after)),
        Case(f"{step}: garbage", saying(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 40, after=after)),
        Case(f"{step}: a packet without end", flooding(huge, after)),
        Case(f"{step}: slow drip", dripping(good * 9, after)),
        Case(f"{step}: early close", closing(after)),
        Case(
            f"{step}: an error of 9 MB",
            saying(error(1, 1064, b"x" * NINE_MB), after=after),
            said="" if step in {"handshake", "login"} else "bytes more",
        ),
    ]


def switching(plugin, *, said="", salt=SALT + b"\0"):
    def script(peer: Peer):
        greeted(peer)
        peer.send(switch(plugin, salt))
        peer.wait()

    return Case(f"switch: {plugin}", script, DISABLED, said=said)


def stopped(step, script, source=""):
    """Wait at a step for as long as nobody wants it to end."""
    return Case(f"SIGTERM: {step}", script, source, codes=frozenset({143}), signal_after_s=1.0)


def rows_of(count, make_row):
    def answer():
        yield packet(bytes([count]), 1)
        for number in range(count):
            yield column(2 + number)
        yield end(2 + count)
        yield from endless(make_row, 3 + count)

    return answer


def more_results(rows: int | None = None):
    """Yield results of one statement without end: each says that another follows."""

    def answer():
        if rows is None:
            yield from endless(lambda number: ok(number, MORE))
            return
        number = 0
        while True:
            makers = [lambda n: packet(b"\1", n), column, end]
            makers += [lambda n: packet(b"\1x", n)] * rows
            for make in (*makers, lambda n: end(n)[:-2] + bytes([MORE, 0])):
                number += 1
                yield make(number & 255)

    return answer


def columns_of(count: bytes, name: bytes):
    def answer():
        yield packet(count, 1)
        yield from endless(lambda number: column(number, name), 2)

    return answer


CASES = [
    *behaviours("handshake", None, greeting()),
    *behaviours("login", greeted, ok(2)),
    *behaviours("settings", logged_in, ok(1)),
    *behaviours("catalog", asked, packet(b"\x01", 1)),
    Case("handshake: no version", saying(greeting(version="none"))),
    Case("handshake: an old protocol", saying(packet(b"\x09" + greeting()[5:], 0))),
    Case("handshake: without a salt", saying(packet(greeting()[4:20], 0))),
    Case("TLS: not offered", saying(greeting()), TLS, said="SSL is required"),
    Case("TLS: silence", saying(after=asked_for_tls), TLS),
    Case("TLS: goes on in the clear", saying(ok(2), after=asked_for_tls), TLS),
    Case("TLS: slow drip", dripping(b"\x16\x03\x03\x40\x00" * 99, asked_for_tls), TLS),
    Case("TLS: early close", closing(asked_for_tls), TLS),
    Case("TLS: speaks too soon", saying(greeting(has_tls=True) + ok(1)), TLS),
    switching("dialog", salt=b"\x04Password: \0", said="in the clear (dialog)"),
    switching("mysql_clear_password", said="in the clear (mysql_clear_password)"),
    switching("sha256_password", said="a key of its own (sha256_password)"),
    switching("mysql_old_password", said="which Rivet does not answer"),
    switching("auth_gssapi_client", said="which Rivet does not answer"),
    switching("x" * 60_000, said="which Rivet does not answer"),
    switching("mysql_native_password"),
    switching("caching_sha2_password"),
    switching("client_ed25519", salt=bytes(32)),
    switching("caching_sha2_password\0", said="no salt", salt=b"123"),
    Case("switch: again and again", flooding(lambda: endless(
        lambda number: switch("mysql_native_password", number=number & ~1), 2), greeted)),
    Case("full: without TLS", saying(packet(b"\x01\x04", 2), after=lambda peer: greeted(
        peer, "caching_sha2_password")), DISABLED, said="a key of its own"),
    Case("more: a public key", saying(packet(b"\x01-----BEGIN PUBLIC KEY-----", 2), after=greeted)),
    Case("more: without end", flooding(lambda: endless(
        lambda number: packet(b"\x01\x03", number), 2), greeted)),
    Case("settings: results without end", flooding(lambda: endless(
        lambda number: ok(number, 10)), logged_in)),
    Case("settings: a file of this machine", saying(
        packet(b"\xfb/etc/passwd", 1), after=logged_in)),
    Case("catalog: a file of this machine", saying(packet(b"\xfb/etc/passwd", 1), after=asked)),
    Case("catalog: 65,535 columns", flooding(columns_of(b"\xfc\xff\xff", b"a"), asked)),
    Case("catalog: 2^63 columns", flooding(columns_of(b"\xfe" + bytes(7) + b"\x80", b"a"), asked)),
    Case("catalog: long names", flooding(columns_of(b"\xfc\0\x10", b"n" * 4_000_000), asked)),
    Case("catalog: rows without end", flooding(rows_of(1, lambda number: packet(
        counted(b"x" * 100), number)), asked)),
    Case("catalog: a long row", flooding(rows_of(1, lambda number: packet(
        counted(b"x" * 15_000_000), number)), asked)),
    Case("catalog: short rows", flooding(rows_of(2, lambda number: packet(b"\1x", number)), asked)),
    Case("catalog: an absurd length", flooding(rows_of(1, lambda number: packet(
        b"\xfe" + b"\xff" * 7 + b"\x7f", number)), asked)),
    Case("catalog: no UTF-8", flooding(rows_of(1, lambda number: packet(
        counted(b"\xff\xfe"), number)), asked)),
    Case("catalog: no rows", saying(
        packet(b"\1", 1), column(2), end(3), end(4), after=asked), said="not the form"),
    Case("catalog: an OK", saying(ok(1), after=asked), said="RIVET_SOURCE"),
    *(Case(f"{step}: results without end", flooding(more_results(), after),
           said="" if step == "login" else "more than one result") for step, after in (
        ("login", greeted), ("settings", logged_in), ("catalog", asked))),
    Case("catalog: results of rows without end", flooding(more_results(3), asked),
         said="more than one result"),
    Case("catalog: empty results without end", flooding(more_results(0), asked),
         said="more than one result"),
    Case("catalog: the wrong number", saying(packet(b"\1", 9), after=asked), said="packet 9 where"),
    stopped("handshake", saying()),
    stopped("handshake drip", dripping(greeting())),
    stopped("TLS", saying(after=asked_for_tls), TLS),
    stopped("login", saying(after=greeted)),
    stopped("settings", saying(after=logged_in)),
    stopped("settings drip", dripping(ok(1) * 9, logged_in)),
    stopped("catalog", saying(after=asked)),
    stopped("catalog drip", dripping(packet(b"\x01", 1) + column(2) * 9, asked)),
]  # fmt: skip


def config(port, case):
    # Where something is to be said the server answers at once, however busy the machine is.
    wait_s = 60 if case.signal_after_s is not None else 8 if case.said else 1
    return f"""
source:
  type: mysql
  host: 127.0.0.1
  port: {port}
  user: u
  password: '{PASSWORD}'
  database: d
  {case.source or DISABLED}
  tuning: {{connect_timeout_s: {wait_s}, read_timeout_s: {wait_s}, max_retries: 0}}
exports:
- {{name: t, table: t, format: csv, destination: {{type: local, path: out}}}}
"""


@pytest.fixture(scope="module")
def met(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    with all_met(request, folder, CASES, config) as found:
        yield found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:40])
def test_a_server_can_at_worst_make_a_run_fail(met, case):
    met[case.name].result(120).check(SALT)
