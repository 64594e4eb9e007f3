"""The engines under random tables: their types, how a table is made, and their own text of it.

The oracle of a column is the database's own text, asked for by another driver or another statement
than Rivet uses. `canonical` is the only place where two spellings of one value are made equal.
"""

# Moments here are wall clocks: a database has its own idea of zones.
# ruff: noqa: DTZ001

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import struct
from contextlib import closing
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import duckdb
import psycopg
import pymysql
from hypothesis import strategies as st

from rivet.model.source import SourceAddress, TlsMode, TlsOptions
from rivet.model.types import Kind
from rivet.redact import Secret
from support import literals as lit
from support import readers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rivet.model.columns import Column

ColumnType = tuple[str, "lit.Literals"]  # the SQL of a type, and literals of it


@dataclass(frozen=True)
class Table:
    """Column types and rows of literals."""

    types: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def statements(self, quote: str) -> list[str]:
        columns = ", ".join(f"{quote}c {i}{quote} {sql}" for i, sql in enumerate(self.types))
        made = [f"CREATE TABLE t ({columns})"]
        if self.rows:
            rows = ", ".join(f"({', '.join(row)})" for row in self.rows)
            made.append(f"INSERT INTO t VALUES {rows}")
        return made


@st.composite
def tables(draw: Any, column_type: st.SearchStrategy[ColumnType]) -> Table:
    chosen = draw(st.lists(column_type, min_size=1, max_size=8))
    count = draw(st.integers(0, 12))
    value = [st.one_of(st.just("NULL"), one, one, one) for _, one in chosen]
    rows = tuple(tuple(draw(one) for one in value) for _ in range(count))
    return Table(tuple(sql for sql, _ in chosen), rows)


def canonical(text: str | None, column: Column) -> str | None:  # noqa: C901, PLR0911
    """Return the database's text of a value in the spelling of `readers`."""
    if text is None:
        return None
    kind = column.logical.kind
    if kind is Kind.BOOL:
        return "true" if text in {"t", "true", "1"} else "false"
    if kind in {Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT64}:
        return str(int(text))
    if kind is Kind.FLOAT64:
        return repr(float(text))
    if kind is Kind.FLOAT32:
        return readers._float32_text(struct.unpack("f", struct.pack("f", float(text)))[0])
    if kind is Kind.DECIMAL:
        step = Decimal(1).scaleb(-(column.logical.scale or 0))
        return f"{Decimal(text).quantize(step, context=Context(prec=100)):f}"
    if kind in {Kind.TIME, Kind.TIMESTAMP}:
        return _moment(text, is_utc=column.logical.is_utc)
    if kind is Kind.UUID:
        return text.lower()
    if kind is Kind.INTERVAL:  # PostgreSQL leaves out the zeros at the end of a fraction
        head, point, fraction = text.removesuffix("S").partition(".")
        return f"{head}.{fraction.ljust(6, '0')}S" if point else text
    if kind is Kind.BINARY:
        return text.removeprefix("\\x").lower()
    if kind is Kind.LIST:
        inner = text.strip("{}[]")
        parts = [one.strip() for one in inner.split(",")] if inner else []
        return json.dumps([None if one.upper() == "NULL" else one for one in parts])
    return text


def _moment(text: str, *, is_utc: bool) -> str:
    if is_utc:
        text = text.removesuffix("+00")
    head, _, fraction = text.replace(" ", "T").partition(".")
    return f"{head}.{fraction.ljust(6, '0')}{'Z' if is_utc else ''}"


@st.composite
def _sized(
    draw: Any, make: Callable[[int, int], ColumnType], most: int, deepest: int
) -> ColumnType:
    precision = draw(st.integers(1, most))
    return make(precision, draw(st.integers(0, min(precision, deepest))))


def _decimal(precision: int, scale: int) -> ColumnType:
    return f"decimal({precision},{scale})", lit.decimals(precision, scale)


def _fixed(*types: ColumnType) -> st.SearchStrategy[ColumnType]:
    return st.sampled_from(types)


POSTGRESQL = st.one_of(
    _sized(_decimal, 76, 76),
    _fixed(
        ("smallint", lit.integers(-(2**15), 2**15 - 1)),
        ("integer", lit.integers(-(2**31), 2**31 - 1)),
        ("bigint", lit.integers(-(2**63), 2**63 - 1)),
        ("numeric", lit.decimals(40, 12)),
        ("boolean", st.sampled_from(["true", "false"])),
        ("real", lit.floats().map(lambda text: f"'{text}'")),
        ("double precision", lit.doubles().map(lambda text: f"'{text}'")),
        ("text", lit.texts(size=30)),
        ("varchar(9)", lit.texts(size=9)),
        ("char(5)", lit.texts(size=5)),
        ("bytea", lit.blobs("'\\x", "'", 20)),
        ("date", lit.dates()),
        ("time", lit.times()),
        ("timestamp", lit.moments()),
        ("timestamptz", lit.moments(low=dt.datetime(2, 1, 1), zone="+00")),
        ("uuid", lit.uuids()),
        ("json", lit.documents()),
        ("jsonb", lit.documents()),
        ("inet", st.sampled_from(["'10.0.0.1'", "'10.0.0.0/8'", "'::1'"])),
        ("interval", st.integers(-(10**14), 10**14).map(lambda us: f"'{us} microseconds'")),
        ("bit(5)", st.sampled_from(["B'00000'", "B'10101'"])),
        ("int[]", st.sampled_from(["'{}'", "'{1,NULL,-3}'", "'{2147483647}'"])),
        ("int4range", st.sampled_from(["'empty'", "'[1,5)'", "'(,)'"])),
    ),
)


@st.composite
def _unsigned(draw: Any) -> ColumnType:
    name, bits = draw(
        st.sampled_from(
            [("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64)]
        )
    )
    form = draw(st.sampled_from(["", "unsigned", "zerofill"]))
    if form:
        return f"{name} {form}", lit.integers(0, 2**bits - 1)
    return name, lit.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@st.composite
def _fraction(draw: Any) -> ColumnType:
    digits = draw(st.integers(0, 6))
    name = draw(st.sampled_from(["time", "datetime", "timestamp"]))
    if name == "time":
        return f"time({digits})", lit.times(digits)
    if name == "datetime":
        return f"datetime({digits})", lit.moments(low=dt.datetime(1000, 1, 1), digits=digits)
    low, high = dt.datetime(1970, 1, 1, 0, 0, 1), dt.datetime(2038, 1, 19, 3, 14, 7)
    return f"timestamp({digits}) NULL", lit.moments(low, high, digits)


def _bit(width: int) -> ColumnType:
    return f"bit({width})", st.integers(0, 2**width - 1).map(lambda one: f"b'{one:b}'")


_LATIN = {"lowest": 0x20, "highest": 0x7E, "backslashes": True}
_BASIC = {"highest": 0xD7FF, "backslashes": True}
MYSQL = st.one_of(
    _sized(_decimal, 65, 38),
    _unsigned(),
    _fraction(),
    st.integers(1, 64).map(_bit),
    _fixed(
        ("bool", st.sampled_from(["0", "1"])),
        ("float", lit.floats().map(lambda text: f"'{text}'")),
        ("double", lit.doubles().map(lambda text: f"'{text}'")),
        ("char(7)", lit.texts(size=7, backslashes=True)),
        ("varchar(20)", lit.texts(size=20, backslashes=True)),
        ("varchar(20) CHARACTER SET latin1", lit.texts(size=20, **_LATIN)),
        ("varchar(20) CHARACTER SET utf8mb3", lit.texts(size=20, **_BASIC)),
        ("varchar(20) CHARACTER SET ucs2", lit.texts(size=20, **_BASIC)),
        ("tinytext", lit.texts(size=30, backslashes=True)),
        ("longtext", lit.texts(size=30, backslashes=True)),
        ("binary(4)", lit.blobs("x'", "'", 4)),
        ("varbinary(20)", lit.blobs("x'", "'", 20)),
        ("longblob", lit.blobs("x'", "'", 30)),
        ("date", lit.dates()),
        ("year", st.one_of(st.just("0"), st.integers(1901, 2155).map(str))),
        ("enum('', 'a', '😀', 'x y')", lit.choices(["", "a", "😀", "x y"])),
        ("set('a', '😀')", st.sampled_from(["''", "'a'", "'a,😀'"])),
        ("json", lit.documents()),
        ("uuid", lit.uuids(version=4)),  # MariaDB takes no other variants
        ("inet6", st.sampled_from(["'::1'", "'2001:db8::ff'"])),
    ),
)

SQLITE = _fixed(
    ("INTEGER", lit.integers(-(2**63), 2**63 - 1)),
    ("BIGINT", lit.integers(-(2**63) + 1, 2**63 - 1)),
    ("REAL", lit.doubles()),
    ("TEXT", lit.texts(size=30)),
    ("VARCHAR(5)", lit.texts(size=9)),
    ("BLOB", lit.blobs("x'", "'", 20)),
    ("BOOLEAN", st.sampled_from(["0", "1"])),
    ("DECIMAL(12,3)", lit.decimals(12, 3)),
    ("DATE", lit.dates()),
    ("TIMESTAMP", lit.moments()),
    ("TIME", lit.times()),
    ("UUID", lit.uuids()),
    ("JSON", lit.documents()),
)

DUCKDB = st.one_of(
    _sized(_decimal, 38, 38).map(lambda one: (one[0], one[1].map(lambda text: f"'{text}'"))),
    _fixed(
        ("TINYINT", lit.integers(-(2**7), 2**7 - 1)),
        ("SMALLINT", lit.integers(-(2**15), 2**15 - 1)),
        ("INTEGER", lit.integers(-(2**31), 2**31 - 1)),
        ("BIGINT", lit.integers(-(2**63), 2**63 - 1)),
        ("UTINYINT", lit.integers(0, 2**8 - 1)),
        ("USMALLINT", lit.integers(0, 2**16 - 1)),
        ("UINTEGER", lit.integers(0, 2**32 - 1)),
        ("UBIGINT", lit.integers(0, 2**64 - 1)),
        ("HUGEINT", lit.integers(1 - 10**38, 10**38 - 1)),
        ("UHUGEINT", lit.integers(0, 10**38 - 1)),
        ("FLOAT", lit.floats().map(lambda text: f"'{text}'")),
        ("DOUBLE", lit.doubles().map(lambda text: f"'{text}'")),
        ("BOOLEAN", st.sampled_from(["true", "false"])),
        ("VARCHAR", lit.texts(size=30)),
        ("BLOB", st.binary(max_size=20).map(lambda data: f"unhex('{data.hex()}')")),
        ("DATE", lit.dates()),
        ("TIME", lit.times()),
        ("TIMESTAMP", lit.moments()),
        ("TIMESTAMP_MS", lit.moments(digits=3)),
        ("TIMESTAMPTZ", lit.moments(low=dt.datetime(2, 1, 1), zone="+00")),
        ("UUID", lit.uuids()),
        ("JSON", lit.documents()),
        ("ENUM('a', '😀')", lit.choices(["a", "😀"])),
        ("INTEGER[]", st.sampled_from(["[]", "[1, NULL, -3]"])),
        ("BIT", st.sampled_from(["'0'", "'10101'"])),
        ("TIMETZ", st.sampled_from(["'12:00:00+05:30'", "'00:00:00-01'"])),
        ("STRUCT(a INTEGER, b VARCHAR)", st.sampled_from(["{'a': 1, 'b': 'x, y'}"])),
    ),
)


class Postgres:
    """PostgreSQL, by psycopg and casts to text."""

    quote = '"'
    types = POSTGRESQL

    def __init__(self, url: str) -> None:
        self.address = SourceAddress("postgresql", url=Secret(url))
        settings = "-c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601"
        settings += " -c bytea_output=hex"
        self._connection = psycopg.connect(
            url, autocommit=True, options=f"{settings} -c extra_float_digits=1"
        )

    def fill(self, table: Table) -> None:
        self._connection.execute("DROP TABLE IF EXISTS t")
        for statement in table.statements(self.quote):
            self._connection.execute(statement.encode())

    def texts(self, columns: tuple[Column, ...]) -> list[tuple[str | None, ...]]:
        def expression(column: Column) -> str:
            name = f'"{column.name}"'
            # A cast drops the padding of char(n), and adds a mask to an address.
            if column.native_type in {"inet", "character(5)"}:
                return f"CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END"
            return f"{name}::text"

        listed = ", ".join(expression(column) for column in columns)
        return list(self._connection.execute(f"SELECT {listed} FROM t".encode()).fetchall())

    def close(self) -> None:
        self._connection.close()


class Maria:
    """MariaDB, by PyMySQL without any conversion, and HEX where a value is no text."""

    quote = "`"
    types = MYSQL

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.address = SourceAddress("mysql", url=Secret(url), tls=TlsOptions(TlsMode.DISABLE))
        self._connection = pymysql.connect(
            host=address.hostname,
            port=address.port,
            user=unquote(address.username or ""),
            password=unquote(address.password or "").encode(),
            database=address.path.lstrip("/"),
            charset="utf8mb4",
            autocommit=True,
            init_command="SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'",
        )
        self._connection.decoders = {}

    def fill(self, table: Table) -> None:
        with self._connection.cursor() as cursor:
            for statement in ["DROP TABLE IF EXISTS t", *table.statements(self.quote)]:
                cursor.execute(statement)

    def texts(self, columns: tuple[Column, ...]) -> list[tuple[str | None, ...]]:
        def expression(column: Column) -> str:
            name = f"`{column.name}`"
            if column.native_type.startswith("bit"):
                return f"{name} + 0"
            if column.native_type == "float":
                return f"{name} * 1e0"
            return f"HEX({name})" if column.logical.kind is Kind.BINARY else name

        listed = ", ".join(expression(column) for column in columns)
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT {listed} FROM t")
            return list(cursor.fetchall())

    def close(self) -> None:
        self._connection.close()


class Sqlite:
    """SQLite, by casts to text; reals with all their digits."""

    quote = '"'
    types = SQLITE

    def __init__(self, path: Path) -> None:
        self._path = path
        self.address = SourceAddress("sqlite", database=str(path))

    def fill(self, table: Table) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            for statement in ["DROP TABLE IF EXISTS t", *table.statements(self.quote)]:
                connection.execute(statement)

    def texts(self, columns: tuple[Column, ...]) -> list[tuple[str | None, ...]]:
        def expression(column: Column) -> str:
            name = f'"{column.name}"'
            if column.logical.kind is Kind.FLOAT64:
                return f"CASE WHEN {name} IS NOT NULL THEN printf('%!.25e', {name}) END"
            if column.logical.kind is Kind.BINARY:
                return f"CASE WHEN {name} IS NOT NULL THEN hex({name}) END"
            return f"CAST({name} AS TEXT)"

        listed = ", ".join(expression(column) for column in columns)
        with closing(sqlite3.connect(self._path)) as connection:
            return list(connection.execute(f"SELECT {listed} FROM t").fetchall())

    def close(self) -> None:
        """Nothing is kept open."""


class Duck:
    """DuckDB, by casts to text."""

    quote = '"'
    types = DUCKDB

    def __init__(self, path: Path) -> None:
        self._path = path
        self.address = SourceAddress("duckdb", database=str(path))

    def fill(self, table: Table) -> None:
        with duckdb.connect(str(self._path)) as connection:
            for statement in ["DROP TABLE IF EXISTS t", *table.statements(self.quote)]:
                connection.execute(statement)

    def texts(self, columns: tuple[Column, ...]) -> list[tuple[str | None, ...]]:
        def expression(column: Column) -> str:
            name = f'"{column.name}"'
            is_blob = column.logical.kind is Kind.BINARY
            return f"hex({name})" if is_blob else f"CAST({name} AS VARCHAR)"

        listed = ", ".join(expression(column) for column in columns)
        with duckdb.connect(str(self._path)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return list(connection.execute(f"SELECT {listed} FROM t").fetchall())

    def close(self) -> None:
        """Nothing is kept open."""
