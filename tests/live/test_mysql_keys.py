"""Keys of MySQL and MariaDB that lose no row: charsets, hidden columns, names in any case."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import rivet as library
from rivet.model.columns import ColumnRules
from rivet.model.relation import KeyProbe, ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.redact import Secret
from rivet.sources.mysql import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.databases import MariaDatabase

pytestmark = pytest.mark.live("mysql")

K = ("k",)


def opened(database: MariaDatabase):
    tls = TlsOptions(TlsMode.DISABLE)
    return connect(SourceAddress("mysql", url=Secret(database.url), tls=tls), SessionSettings())


@pytest.fixture(params=["shared_mariadb", "shared_mysql9"])
def server(request: pytest.FixtureRequest) -> MariaDatabase:
    return request.getfixturevalue(request.param)


def steps(session, relation: Relation, rows: int) -> Iterator[Span]:
    """The spans of a walk along the key, as slices and chunks of equal rows are found."""
    lower, seen = None, set()
    while True:
        rest = Span(SpanKind.KEY, K, lower)
        found = session.probe_keys(KeyProbe(relation, K, ProbeKind.STEP, (rest,), rows))
        if not found:
            yield rest
            return
        assert found[0] not in seen, f"the walk stands still at {found[0]}"
        seen.add(found[0])
        yield Span(SpanKind.KEY, K, lower, found[0])
        lower = found[0]


def collations(server: MariaDatabase) -> list[tuple[str, str]]:
    """Of every charset the default collation and the binary ones, padded and not."""
    named = server.execute(
        "SELECT CHARACTER_SET_NAME, COLLATION_NAME, IS_DEFAULT FROM information_schema.COLLATIONS"
        " WHERE CHARACTER_SET_NAME IS NOT NULL AND CHARACTER_SET_NAME <> 'binary'"
        " AND IS_COMPILED = 'Yes' AND (IS_DEFAULT = 'Yes' OR COLLATION_NAME LIKE '%bin'"
        " OR COLLATION_NAME LIKE 'utf8mb4%_czech%' OR COLLATION_NAME LIKE '%cs_0900_ai_ci')"
    )
    return [(charset, collation) for charset, collation, _ in named]


def filled(charset: str, collation: str, table: str) -> str:
    """A table with every character of one byte, some of two and surrogates, where they are valid.

    The server leaves out what is not valid, and what its collation takes for the same.
    """
    wide = {"ucs2": 2, "utf16": 2, "utf16le": 2, "utf32": 4}.get(charset, 0)
    codes = [f"{number:02X}" for number in range(0x20, 0x100)]
    if wide:
        surrogates = [f"D8{number:02X}" for number in range(40)]
        codes = [code.rjust(2 * wide, "0") for code in codes]
        codes += [
            code.rjust(2 * wide, "0") for code in ("0451", "3042", "FFFD", "E000", *surrogates)
        ]
    elif charset.startswith("utf8"):
        codes = [f"{number:02X}" for number in range(0x20, 0x80)] + ["C3A9", "D191", "E38182"]
    else:
        # Of these, cp932 and eucjpms have several that Unicode has one for.
        codes += ["81AD", "81E0", "8790", "81CA", "EEF9", "FA54", "A2B9", "A1A1", "FCFC", "ADE2"]
    codes += [code + code for code in codes[:64]]
    values = ", ".join(f"(CONVERT(x'{code}' USING {charset}))" for code in codes)
    return (
        f"CREATE TABLE {table} (k varchar(9) CHARACTER SET {charset} COLLATE {collation}"
        f" PRIMARY KEY, note int); INSERT IGNORE INTO {table} (k) VALUES {values};"
    )


def test_keys_of_every_charset_are_walked_once(server, request):
    """Spans that share bounds hold each row once, whatever Unicode makes of their texts."""
    wanted = collations(server)
    assert len({charset for charset, _ in wanted}) > 38
    server.execute("".join(filled(*one, f"c{place}") for place, one in enumerate(wanted)))
    unreadable = 0
    with opened(server) as session:
        for place, (_, collation) in enumerate(wanted):
            relation = Relation(table=f"c{place}")
            total = session.count(relation)
            assert total > 60, collation
            columns = session.columns(relation, ColumnRules(include=("note",)))
            counted = 0
            for span in steps(session, relation, 17):
                request_ = ReadRequest(relation, columns, is_whole=False, spans=(span,))
                rows = sum(batch.num_rows for batch in session.read(request_))
                assert rows <= 17, (collation, span)
                counted += rows
                unreadable += (span.upper_label or "").startswith("x'")
            assert counted == total, collation
    assert unreadable


def exported(server: MariaDatabase, folder: Path, **keys: Any) -> list[tuple[Any, ...]]:
    """Run an export of `t` and return what its manifest lists, by DuckDB."""
    export = {"name": "t", "table": "t", "format": "parquet", **keys}
    export["destination"] = {"type": "local", "path": "out"}
    source = {"type": "mysql", "url": server.url, "tls": {"mode": "disable"}}
    path = folder / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "exports": [export]}))
    (report,) = library.run(path, check=False).exports
    assert report.is_success, report.failure
    files = [file.uri.removeprefix("file://") for file in report.files]
    return duckdb.sql(f"SELECT * FROM read_parquet({files})").fetchall() if files else []


# Two codes of cp932 are one character of Unicode, which has no way back to the second.
TWINS = "('a'), (x'8790'), (x'81E0'), (x'FA54'), (x'81CA'), (x'EEF9'), ('x''41'''), ('z')"


@pytest.mark.parametrize("keys", [{"mode": "chunked", "chunk_by_key": "k", "chunk_size": 1}, {}])
def test_texts_that_are_alike_in_unicode_are_exported_once(server, tmp_path, keys):
    server.execute(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (k varchar(9) CHARACTER SET cp932 COLLATE cp932_bin"
        f" PRIMARY KEY); INSERT INTO t VALUES {TWINS}"
    )
    assert len(exported(server, tmp_path, **keys)) == 8


def test_a_cursor_of_another_charset_goes_on_from_a_readable_watermark(server, tmp_path):
    server.execute(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (k varchar(9) CHARACTER SET cp1251 PRIMARY KEY);"
        "INSERT INTO t VALUES (CONVERT('\u043f\u0443\u0442\u044c' USING cp1251))"
    )
    keys = {"mode": "incremental", "cursor_column": "k"}
    assert exported(server, tmp_path, **keys) == [("\u043f\u0443\u0442\u044c",)]
    with sqlite3.connect(tmp_path / ".rivet" / "state.db") as state:
        ((position,),) = state.execute("SELECT position_text FROM watermarks").fetchall()
    assert position == "\u043f\u0443\u0442\u044c"
    server.execute("INSERT INTO t VALUES (CONVERT('\u044f' USING cp1251))")
    assert exported(server, tmp_path, **keys) == [("\u044f",)]


HIDDEN = {
    "shared_mariadb": "CREATE TABLE t (h int INVISIBLE AUTO_INCREMENT PRIMARY KEY, a int)",
    "shared_mysql9": "SET sql_generate_invisible_primary_key = 1; CREATE TABLE t (a int)",
}


@pytest.mark.parametrize("keys", [{}, {"mode": "chunked", "chunk_count": 3, "parallel": 2}])
def test_a_key_that_a_star_leaves_out_serves(request, tmp_path, keys):
    for name, create in HIDDEN.items():
        server = request.getfixturevalue(name)
        server.execute(f"DROP TABLE IF EXISTS t; {create}; INSERT INTO t (a) VALUES {NUMBERS}")
        (tmp_path / name).mkdir()
        assert sorted(exported(server, tmp_path / name, **keys)) == [(n,) for n in range(50)]


NUMBERS = ", ".join(f"({n})" for n in range(50))
# What a key can be: and what it is selected by, where rows are sought by it.
COMMON = {
    "bit(16)": "{n}",
    "enum('c','b','a')": "{n} % 3 + 1",
    "set('a','b','c','d','e','f')": "{n}",
    "float": "{n} / 7",
    "double": "{n} / 7",
    "year": "1970 + {n}",
    "decimal(30,9)": "{n} / 7",
    "time(6)": "SEC_TO_TIME({n} * 7000 - 100000)",
    "datetime(6)": "'2020-01-01' + INTERVAL {n} MICROSECOND",
    "timestamp": "'2020-10-25' + INTERVAL {n} * 600 SECOND",
    "date": "'0000-00-00'",
    "varbinary(20)": "CONCAT(x'00FF', {n})",
    "int unsigned": "4294967295 - {n}",
    "bigint AS (a * 2) STORED": None,
    "varchar(20) NOT NULL": "CONCAT({n} % 7, {n}, {n}, {n})",
    "point NOT NULL": "ST_GeomFromText(CONCAT('POINT(', {n}, ' 1)'))",
}
INDEXES = {
    "point NOT NULL": "SPATIAL INDEX (k)",
    "bigint AS (a * 2) STORED": "UNIQUE (k), PRIMARY KEY (a)",
    "varchar(20) NOT NULL": "UNIQUE (k(3))",
}
OWN = {"inet6": "CONCAT('::', {n})", "inet4": "CONCAT('10.0.0.', {n})", "uuid": "UUID()"}


@pytest.mark.parametrize("keys", [{}, {"mode": "chunked", "chunk_count": 4}])
def test_no_key_stops_an_export(server, tmp_path, keys):
    """It is cut by where the key can be sought, and read in one statement where it cannot."""
    is_mariadb = "MariaDB" in server.execute("SELECT VERSION()")[0][0]
    for place, (kind, value) in enumerate((COMMON | (OWN if is_mariadb else {})).items()):
        index = INDEXES.get(kind, "PRIMARY KEY (k)")
        listed = "(a)" if value is None else "(a, k)"
        rows = [f"({n})" if value is None else f"({n}, {value.format(n=n)})" for n in range(20)]
        server.execute(
            f"DROP TABLE IF EXISTS t; CREATE TABLE t (a int, k {kind}, {index});"
            f"INSERT IGNORE INTO t {listed} VALUES {', '.join(rows)}"
        )
        ((total,),) = server.execute("SELECT COUNT(*) FROM t")
        folder = tmp_path / str(place)
        folder.mkdir()
        wanted = keys if kind in SOUGHT else {}
        found = exported(server, folder, include=["a"], **wanted)
        assert len(set(found)) == len(found) == int(total), kind


SOUGHT = (COMMON.keys() | OWN.keys()) - {
    "bit(16)",
    "enum('c','b','a')",
    "set('a','b','c','d','e','f')",
    "float",
    "double",
    "varchar(20) NOT NULL",
    "point NOT NULL",
}


def test_tables_that_differ_in_case_keep_their_own_keys(server, tmp_path):
    """Nor do those whose names differ in an accent, which the catalog's collation ignores."""
    create = "CREATE TABLE {} ({} int, b int, c int, PRIMARY KEY ({}));"
    names = {"Cased": "b", "cased": "c", "c\u00e0sed": "a"}
    for name, key in names.items():
        server.execute(f"DROP TABLE IF EXISTS {name};" + create.format(name, "a", key))
    with opened(server) as session:
        for name, key in names.items():
            facts = session.facts(Relation(table=name))
            assert [one.columns for one in facts.keys] == [(key,)], name
            assert (facts.key, facts.indexed) == ((key,), (key,))
