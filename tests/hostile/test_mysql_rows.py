"""Somebody between MariaDB and Rivet who drops, doubles, floods or falls silent amid the rows."""

import itertools
from urllib.parse import urlsplit

import pytest

from support.hostile.cases import Case, Met
from support.hostile.fake import FakeServer, Peer
from support.hostile.measured import Measured
from support.hostile.mysql import QUERY, Between, column, counted, end, endless, error, ok, packet

pytestmark = pytest.mark.live("mysql")
LOST = frozenset({3})
STOPPED = frozenset({143})
ROWS = 600


def is_rows(command, text):
    return command == QUERY and text.startswith(b"SELECT `a`") and b"`victim`" in text


def is_wide_rows(command, text):
    return command == QUERY and text.startswith(b"SELECT `a`") and b"`wide`" in text


def is_warned_rows(command, text):
    return command == QUERY and text.startswith(b"SELECT `a`") and b"`warned`" in text


def is_warnings(command, text):
    return command == QUERY and text == b"SHOW WARNINGS"


def is_catalog(command, text):
    return command == QUERY and b"information_schema.TABLES" in text


def rest(peer: Peer, packets):
    """Pass on what is left until the end of the rows."""
    for one in packets:
        peer.send(one)
        if one[4] == 0xFE and len(one) < 13:
            return


def head(peer: Peer, packets, rows):
    """Pass on the columns and the first rows."""
    for _, one in zip(range(3 + rows), packets, strict=False):
        peer.send(one)


def renumbered(one: bytes, by: int) -> bytes:
    return one[:3] + bytes([(one[3] + by) & 255]) + one[4:]


def dropping(peer, packets, count=1):
    head(peer, packets, 10)
    for _ in range(count):
        next(packets)
    rest(peer, packets)


def doubling(peer, packets):
    head(peer, packets, 10)
    one = next(packets)
    peer.send(one, one)
    rest(peer, packets)


def dropping_a_round(peer, packets):
    dropping(peer, packets, 256)


def hiding_one(peer, packets):
    """Drop a row and number the rest anew."""
    head(peer, packets, 10)
    next(packets)
    rest(peer, (renumbered(one, -1) for one in packets))


def ending_early(peer, packets):
    head(peer, packets, 10)
    for one in packets:
        if one[4] == 0xFE and len(one) < 13:
            peer.send(one[:3] + bytes([14]) + one[4:])
            return


def then(*pieces, rows=10):
    def answer(peer, packets):
        head(peer, packets, rows)
        peer.send(*pieces)
        peer.wait()

    return answer


def flood(make, rows=10):
    def answer(peer, packets):
        head(peer, packets, rows)
        peer.flood(make())
        peer.wait()

    return answer


def drip(peer, packets):
    head(peer, packets, 10)
    peer.drip(packet(counted(b"7" * 200), 14))


def hang_up(peer, packets):
    head(peer, packets, 10)
    raise ConnectionAbortedError


def columns(peer, _packets):
    peer.send(packet(b"\xfc\xff\xff", 1))
    peer.flood(endless(column, 2))


def warnings(peer, _packets):
    peer.send(packet(b"\3", 1), column(2), column(3), column(4), end(5))
    one = counted(b"Warning") + counted(b"1292") + counted(b"x" * 200)
    peer.flood(endless(lambda number: packet(one, number), 6))


def another(peer, packets):
    head(peer, packets, 0)
    peer.send(packet(b"\1" + b"1", 4), end(5)[:-2] + b"\x0a\0")
    peer.flood(endless(ok, 6))


def chain():
    number = 14
    while True:
        yield b"\xff\xff\xff" + bytes([number & 255]) + b"\xfe\xff\xff\xff\x0e\0\0\0\0"
        yield bytes(0xFFFFFF - 9)
        number += 1


def wide(peer, packets):
    """Begin a row whose values are as large as they may be, and never end it."""
    head(peer, packets, 3)  # four columns have three packets more
    row = b"\x011" + counted(b"x" * (15 << 20)) * 3
    for number in itertools.count(7):
        piece, row = row[:0xFFFFFF], row[0xFFFFFF:]
        peer.send(b"\xff\xff\xff" + bytes([number & 255]) + piece.ljust(0xFFFFFF, b"x"))


CASES = {
    "columns without end": (is_rows, columns, {}),
    "silence before the columns": (is_rows, lambda peer, _: peer.wait(), {}),
    "silence amid the rows": (is_rows, then(), {}),
    "garbage": (is_rows, then(b"\x05\0\0\x0eHTTP/"), {}),
    "an absurd length": (is_rows, then(packet(b"\xfe" + b"\xff" * 8, 14)), {}),
    "a row without end": (is_rows, flood(chain), {}),
    "a wide row without end": (is_wide_rows, wide, {"said": "larger than 67,108,864 bytes"}),
    "slow drip": (is_rows, drip, {}),
    "hang up": (is_rows, hang_up, {}),
    "an error of 9 MB": (is_rows, then(error(14, 1064, b"x" * 9_000_000)), {}),
    "another result": (is_rows, another, {}),
    "warnings without end, warned": (is_warnings, warnings, {"said": "more than 32 MB"}),
    "catalog: silence": (is_catalog, lambda peer, _: peer.wait(), {}),
    "catalog: an OK": (is_catalog, lambda peer, _: peer.send(ok(1)), {}),
    "one row lost": (is_rows, dropping, {"codes": LOST, "said": "packet 15 came and not 14"}),
    "one row doubled": (is_rows, doubling, {"codes": LOST, "said": "packet 14 came and not 15"}),
    "a row lost in secret": (is_rows, hiding_one, {"codes": LOST, "said": "600 rows"}),
    "a row lost of a warned statement": (
        is_warned_rows,
        hiding_one,
        {"codes": LOST, "said": "600 rows"},
    ),
    "256 rows lost": (is_rows, dropping_a_round, {"codes": LOST, "said": "344 arrived"}),
    "an early end": (is_rows, ending_early, {"codes": LOST, "said": "10 arrived"}),
    **{
        f"SIGTERM: {name}": (is_meant, answer, {"codes": STOPPED, "signal_after_s": 2.0})
        for name, is_meant, answer in (
            ("a question", is_catalog, lambda peer, _: peer.wait()),
            ("before the columns", is_rows, lambda peer, _: peer.wait()),
            ("silence amid the rows", is_rows, then()),
            ("silence amid a row", is_rows, then(packet(counted(b"7" * 200), 14)[:90])),
            ("a slow drip", is_rows, drip),
            (
                "rows without end",
                is_rows,
                flood(lambda: endless(lambda number: packet(b"\x011", number), 14)),
            ),
        )
    },
}


@pytest.fixture(scope="module")
def measured(shared_mariadb):
    shared_mariadb.execute(
        "CREATE TABLE victim (a int PRIMARY KEY);"
        f"INSERT INTO victim SELECT seq FROM seq_1_to_{ROWS};"
        "CREATE VIEW warned AS SELECT a, CAST('x' AS SIGNED) AS w FROM victim;"
        "CREATE TABLE wide (a int PRIMARY KEY, b longtext, c longblob, d longtext)"
    )
    with Measured() as found:
        yield found


@pytest.mark.parametrize("names", [list(CASES)[at::6] for at in range(6)], ids=range(6))
def test_rows_that_do_not_come_as_they_were_sent(shared_mariadb, measured, names, tmp_path):
    """A third of the cases at a time, side by side."""
    real = urlsplit(shared_mariadb.url)
    waiting = []
    for number, name in enumerate(names):
        is_meant, answer, expected = CASES[name]
        script = Between(real.port, is_meant, answer)
        server = FakeServer(script)
        folder = tmp_path / str(number)
        folder.mkdir()
        url = shared_mariadb.url.replace(f":{real.port}/", f":{server.port}/")
        # Where something is to be said the server answers at once, however busy the machine is.
        silent_s = 60 if "signal_after_s" in expected else 8 if "said" in expected else 1
        (folder / "rivet.yaml").write_text(f"""
source:
  type: mysql
  url: "{url}"
  tls: {{mode: disable}}
  tuning: {{connect_timeout_s: 5, read_timeout_s: {silent_s}, max_retries: 0, max_value_mb: 16}}
exports:
- name: t
  table: {next((one for one in ("wide", "warned") if one in name), "victim")}
  format: csv
  destination: {{type: local, path: out}}
""")
        case = Case(name, script, **expected)
        ending = measured.start(
            folder, "run", "-c", "rivet.yaml", signal_after_s=case.signal_after_s
        )
        waiting.append((case, server, ending))
    for case, server, ending in waiting:
        with server:
            Met(case, ending.result(90), server.received).check()
