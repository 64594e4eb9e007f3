"""Ways in which a PostgreSQL that lets one in misbehaves at a step."""

from __future__ import annotations

import itertools

from support.hostile import postgres as pg

BLOCK = bytes(4 * 1024 * 1024)


def silent(peer):
    peer.wait()


def garbage(peer):
    peer.send(bytes(range(256)) * 4)
    peer.wait()


def hangs_up(peer):
    peer.close()


def drips(peer):
    peer.drip(pg.notice("slow") * 100, pause_s=0.2)


def endless(*messages):
    return lambda peer: peer.flood(itertools.cycle(messages))


def announced(kind):
    """Announce a message of 1 GB, and send it as fast as the machine can."""

    def behave(peer):
        peer.send(pg.message(kind, b"", 2**30))
        while True:
            peer.send(BLOCK)

    return behave


def parameters(peer):
    peer.flood(pg.parameters())


def long_error(peer):
    peer.send(pg.error("\x1b[31m" + "é" * 4_500_000))
    peer.close()


NOTIFICATION = pg.message(b"A", b"\0\0\0\1name\0" + b"p" * 200 + b"\0")
FIELD = b"n\0" + bytes(4) + b"\0\0" + b"\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"
COLUMNS = pg.message(b"T", b"\0\1" + FIELD)
WIDE = pg.message(b"T", b"\x06\x00" + FIELD.replace(b"n\0", b"n" * 60 + b"\0", 1) * 1536)
ROW = pg.message(b"D", b"\0\1\0\0\0\1x")
EVERYWHERE = {
    "silence": silent,
    "garbage": garbage,
    "close": hangs_up,
    "drip": drips,
    "notices": endless(pg.notice("x" * 200)),
    "parameters": parameters,
    "notifications": endless(NOTIFICATION),
    "error": long_error,
    "announced": announced(b"d"),
}
ANSWERS = {
    "rows": lambda peer: (peer.send(COLUMNS), endless(ROW)(peer)),
    "row": lambda peer: (peer.send(COLUMNS), announced(b"D")(peer)),
    "columns": endless(WIDE),
    "results": endless(pg.message(b"C", b"SET\0")),
    "empty": endless(pg.message(b"I")),
}


BEHAVIOURS = EVERYWHERE | ANSWERS


def at(kind, count, behave):
    """Pass answers on up to the one of a kind, and behave in its place."""

    def alter(peer, answers):
        seen = 0
        for one in answers:
            seen += one[:1] == kind
            if seen == count:
                break
            peer.send(one)
        behave(peer)

    return alter


def at_once(behave):
    return lambda peer, answers: behave(peer)
