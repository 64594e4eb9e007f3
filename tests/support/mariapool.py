"""A pool of literals for MariaDB: every type and character set, with the server's own text of each.

A plain PyMySQL client takes texts as the server sends them, by the expression that shows all of a
value: HEX where it is no text, a double for FLOAT.
"""

from __future__ import annotations

import math
import random
import struct
import uuid
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pymysql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.databases import MariaDatabase

_HEX = "HEX({0})"


@dataclass(frozen=True)
class Pool:
    """Values of one type, and the expression by which the server shows all of one."""

    sql_type: str
    make: Callable[[random.Random], str]
    shown: str = "{0}"
    override: str | None = None
    edges: tuple[str, ...] = ()

    def literals(self, count: int, seed: int) -> list[str]:
        chance = random.Random(f"{self.sql_type} {seed}")
        return [*self.edges, *(self.make(chance) for _ in range(count - len(self.edges)))]


def _whole(low: int, high: int) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        near = chance.choice([low, high, 0, chance.randint(low, high)])
        return str(min(high, max(low, near + chance.randint(-2, 2))))

    return make


def _decimal(precision: int, scale: int) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        digits = str(chance.randint(0, 10 ** chance.randint(1, precision) - 1)).rjust(
            scale + 1, "0"
        )
        head, tail = digits[: len(digits) - scale], digits[len(digits) - scale :]
        return chance.choice(["", "-"]) + (f"{head}.{tail}" if scale else digits)

    return make


def _float(form: str) -> Callable[[random.Random], str]:
    size = struct.calcsize(form)

    def make(chance: random.Random) -> str:
        while True:
            (value,) = struct.unpack(form, chance.randbytes(size))
            if math.isfinite(value):
                return repr(value)

    return make


def _moment(digits: int, first: int, last: int) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        day, month, year = chance.randint(1, 28), chance.randint(1, 12), chance.randint(first, last)
        clock = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
        fraction = f".{chance.randint(0, 10**digits - 1):0{digits}}" if digits else ""
        return f"'{year:04}-{month:02}-{day:02} {clock}{fraction}'"

    return make


def _time(digits: int, hours: int) -> Callable[[random.Random], str]:
    def make(chance: random.Random) -> str:
        sign = chance.choice(["", "-"]) if hours > 23 else ""
        clock = (
            f"{chance.randint(0, hours):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}"
        )
        fraction = f".{chance.randint(0, 10**digits - 1):0{digits}}" if digits else ""
        return f"'{sign}{clock}{fraction}'"

    return make


def _bytes(most: int, least: int = 0) -> Callable[[random.Random], str]:
    return lambda chance: f"x'{chance.randbytes(chance.randint(least, most)).hex()}'"


def _text(most: int) -> Callable[[random.Random], str]:
    alphabet = "aA \t\n\r\\'\"`%_;-#/*?é\u00df\u0130\u200b\ufeff\uffff😀\U0010ffff,{}\0\x1a"

    def make(chance: random.Random) -> str:
        text = "".join(chance.choice(alphabet) for _ in range(chance.randint(0, most)))
        return f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)"

    return make


def _bits(width: int) -> Callable[[random.Random], str]:
    return lambda chance: str(chance.getrandbits(width))


def _uuid(chance: random.Random) -> str:
    return f"'{uuid.UUID(int=chance.getrandbits(128), version=4)}'"


def _point(chance: random.Random) -> str:
    return f"POINT({chance.randint(-180, 180)}, {chance.random()!r})"


def _choice(*literals: str) -> Callable[[random.Random], str]:
    return lambda chance: chance.choice(literals)


def pools() -> Iterator[Pool]:
    """Yield one pool for every type and the forms of it that are read in another way."""
    for name, bits in (("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32)):
        yield Pool(name, _whole(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
        yield Pool(f"{name} unsigned", _whole(0, 2**bits - 1))
    yield Pool("bigint", _whole(-(2**63), 2**63 - 1))
    yield Pool("bigint unsigned", _whole(0, 2**64 - 1))
    yield Pool("int(6) zerofill", _whole(0, 2**32 - 1))
    yield Pool("bool", _choice("0", "1"))
    for precision, scale in ((1, 0), (5, 5), (18, 2), (19, 4), (38, 10), (38, 38)):
        yield Pool(f"decimal({precision},{scale})", _decimal(precision, scale))
    yield Pool("decimal(65,30)", _decimal(65, 30), override="text")
    yield Pool("decimal(9,3) unsigned", lambda chance: _decimal(9, 3)(chance).lstrip("-"))
    yield Pool("float", _float("<f"), shown="{0} * 1e0")
    yield Pool("double", _float("<d"))
    near = ("'0001-01-01'", "'9999-12-31 23:59:59'", "'1582-10-10'")
    for digits in (0, 1, 3, 6):
        yield Pool(f"datetime({digits})", _moment(digits, 1, 9999), edges=near)
        yield Pool(f"timestamp({digits}) NULL", _moment(digits, 1971, 2037))
        yield Pool(f"time({digits})", _time(digits, 23))
        yield Pool(f"time({digits})", _time(digits, 837), override="text")
    yield Pool("date", lambda chance: _moment(0, 1, 9999)(chance)[:11] + "'")
    yield Pool("year", lambda chance: chance.choice(["0", str(chance.randint(1901, 2155))]))
    for width in (1, 7, 8, 33, 63, 64):
        yield Pool(f"bit({width})", _bits(width), shown="{0} + 0")
    for name in ("char(40)", "varchar(40)", "tinytext", "text", "mediumtext", "longtext"):
        yield Pool(name, _text(12))
    for name in ("varbinary(20)", "tinyblob", "blob", "mediumblob", "longblob"):
        yield Pool(name, _bytes(20), shown=_HEX)
    yield Pool("binary(6)", _bytes(6), shown=_HEX)
    labels = ("''", "'a'", "'é😀'", "'x y'", "'?'")
    yield Pool(f"enum({', '.join(labels)})", _choice(*labels))
    yield Pool("set('a', 'é😀', '?')", _choice("''", "'a,?'", "'é😀'", "'a,é😀,?'"))
    yield Pool("json", _choice("'null'", "'{\"a\":  [1e400, -0.0]}'", "'[]'", "'\"é😀\"'"))
    yield Pool("uuid", _uuid)
    yield Pool("inet6", _bytes(16, 16))
    yield Pool("inet4", _bytes(4, 4))
    yield Pool("point", _point, shown="LOWER(HEX(ST_AsBinary({0})))")


def client(database: MariaDatabase, settings: str = "") -> Any:
    """Connect as any other program does, and leave every value as the server's text."""
    address = urlsplit(database.admin_url)
    connection = pymysql.connect(
        host=address.hostname,
        port=address.port,
        user=unquote(address.username or ""),
        password=unquote(address.password or "").encode(),
        database=database.name,
        charset="utf8mb4",
        autocommit=True,
        init_command=settings or None,
    )
    connection.decoders = {}
    return closing(connection)


def ask(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
