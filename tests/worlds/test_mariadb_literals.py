"""Every type, character set and meaning of MariaDB: files against the server's own text of values.

`make test` looks at a few of each, `make soak` at more than 200,000 values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import rivet
from rivet.model.columns import ColumnRules
from rivet.model.relation import Relation
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.model.types import STRING
from rivet.redact import Secret
from rivet.sources.mysql import connect
from support import readers
from support.mariapool import ask, client, pools
from support.randomtables import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rivet.model.columns import Column
    from support.databases import MariaDatabase

pytestmark = pytest.mark.live("mysql")

SOAK = pytest.mark.soak
# The session of the exports; the plain client has the same ones where they matter.
SETS = """
    SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS
    WHERE CHARACTER_SET_NAME <> 'binary'"""
# What has no character in Unicode is refused: more question marks come than there are, or U+FFFD.
SENT = "CONVERT(CONVERT(a USING utf8mb4) USING binary)"
MARKS = "LENGTH({0}) - LENGTH(REPLACE({0}, x'3F', x''))"
LOST = f"{MARKS.format(SENT)} <> {MARKS.format('b')} OR LOCATE(x'EFBFBD', {SENT})"
HALVES = f"HEX({SENT}) REGEXP '^(..)*ED[AB]'"
PLAIN = "SET time_zone = '+00:00', sql_mode = ''"


def columns_of(
    database: MariaDatabase, relation: Relation, rules: ColumnRules, variables: dict[str, str]
) -> tuple[Column, ...]:
    address = SourceAddress("mysql", url=Secret(database.url), tls=TlsOptions(TlsMode.DISABLE))
    with connect(address, SessionSettings(variables=variables)) as session:
        return session.columns(relation, rules)


def exported(
    database: MariaDatabase, folder: Path, session: dict[str, str], **export: Any
) -> list[tuple[str | None, ...]]:
    """Run one export and return what DuckDB reads of its one file."""
    source = {"type": "mysql", "url": database.url, "tls": {"mode": "disable"}, "session": session}
    destination = {"type": "local", "path": str(folder)}
    one = {"name": "pool", "format": "parquet", "destination": destination, **export}
    rivet.run({"source": source, "exports": [one]})
    (path,) = folder.glob("*.parquet")
    return readers.duckdb_rows(path)


def compare(
    found: Sequence[tuple[str | None, ...]],
    told: Sequence[tuple[Any, ...]],
    columns: Sequence[Column],
    names: Sequence[str],
) -> int:
    """Compare row by row, value by value; returns how many values there were."""
    assert len(found) == len(told)
    for place, (column, name) in enumerate(zip(columns, names, strict=True)):
        wanted = [canonical(_text(row[place]), column) for row in told]
        assert [row[place] for row in found] == wanted, name
    return len(found) * len(columns)


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value


def literals(database: MariaDatabase, folder: Path, count: int, seed: int = 0) -> int:
    made = list(pools())
    listed = ", ".join(f"`c {place}` {pool.sql_type}" for place, pool in enumerate(made))
    rows = zip(*(pool.literals(count, seed) for pool in made), strict=True)
    texts = {f"c {place}": STRING for place, pool in enumerate(made) if pool.override}
    with client(database, PLAIN) as connection:
        ask(connection, f"CREATE OR REPLACE TABLE pool (i int PRIMARY KEY, {listed})")
        values = [f"({number}, {', '.join(row)})" for number, row in enumerate(rows)]
        for start in range(0, len(values), 500):
            ask(connection, f"INSERT INTO pool VALUES {', '.join(values[start : start + 500])}")
        shown = ", ".join(pool.shown.format(f"`c {place}`") for place, pool in enumerate(made))
        told = ask(connection, f"SELECT i, {shown} FROM pool ORDER BY i")
    found = exported(database, folder, {}, table="pool", columns=dict.fromkeys(texts, "text"))
    columns = columns_of(database, Relation(table="pool"), ColumnRules(overrides=texts), {})
    names = ["i", *(pool.sql_type for pool in made)]
    found.sort(key=lambda row: int(row[0] or 0))
    return compare(found, told, columns, names)


def characters(database: MariaDatabase, folder: Path, step: int) -> int:
    """Compare all characters of every set that the server can send; returns how many."""
    seen = 0
    with client(database, PLAIN) as connection:
        for name, longest in ask(connection, SETS):
            series = ["SELECT CHAR(seq) FROM seq_0_to_255"]
            if int(longest) > 1:
                series.append(f"SELECT CHAR(seq) FROM seq_32768_to_65535_step_{step}")
            if name in {"ujis", "eucjpms"}:
                series.append(f"SELECT CHAR(seq) FROM seq_9413025_to_9436926_step_{step}")
            if name.startswith("utf"):
                highest = 65_535 if name == "utf8mb3" else 1_114_111
                series.append(
                    "SELECT CONVERT(x USING binary) FROM (SELECT CONVERT(CHAR(seq USING utf32)"
                    f" USING {name}) x FROM seq_1_to_{highest}_step_{step * 5}) d"
                )
            ask(
                connection,
                "CREATE OR REPLACE TABLE chars (i int AUTO_INCREMENT PRIMARY KEY,"
                f" b varbinary(8), a varchar(8) CHARACTER SET {name})",
            )
            for one in series:
                ask(connection, f"INSERT INTO chars (b) {one}")
            ask(connection, "UPDATE IGNORE chars SET a = b")
            ask(connection, "DELETE FROM chars WHERE a IS NULL OR b <> CONVERT(a USING binary)")
            is_unicode = name.startswith(("utf", "ucs"))
            refused = HALVES if is_unicode else LOST
            ask(connection, f"DELETE FROM chars WHERE {refused}")
            told = ask(connection, "SELECT i, LOWER(HEX(b)), a FROM chars")
            found = exported(database, folder / name, {}, table="chars")
            assert {int(i or 0): (b, a) for i, b, a in found} == {
                int(i): (b, a) for i, b, a in told
            }, name
            seen += len(told)
    return seen


# Each means another thing under some zone, mode or character set; `timestamp` keeps NOW() still.
EXPRESSIONS = (
    *("NOW()", "CURDATE()", "CURTIME()", "UTC_TIMESTAMP()", "FROM_UNIXTIME(86399.5)", "DATE(ts)"),
    *("ts", "CAST(ts AS CHAR)", "HOUR(ts)", "UNIX_TIMESTAMP(d)", "UNIX_TIMESTAMP(ts)", "MAX(ts)"),
    *("TIMESTAMPDIFF(SECOND, ts, d)", "DATE_ADD(ts, INTERVAL 1 DAY)", "CONCAT(ts, '')", "d"),
    *("'a'||'b'", "s||'x'", "NOT 0 BETWEEN -1 AND 1", "1 || 0", r"'a\\b'", "LENGTH(s)", "n"),
    *("CAST(1 AS UNSIGNED) + 2", "1/3", "10 DIV 3", "-7 % 3", "1.10 * 2.200", "1e0/3", "AVG(n)"),
    *("CAST('1.50' AS DECIMAL(9,3))", "SUM(n)", "n * 1.0", "f", "f + 0", "ROUND(2.5)", "SQRT(2)"),
    *(
        "STR_TO_DATE('01,5,2024', '%d,%m,%Y')",
        "DATE_FORMAT(d, '%W %M %e')",
        "DAYNAME(d)",
        "WEEK(d)",
    ),
    *("CAST('10:00:00.25' AS TIME(2))", "TIMEDIFF(d, d)", "MAKETIME(1, 2, 3.5)", "LAST_DAY(d)"),
    *("s", "UPPER(s)", "HEX(s)", "CONVERT(s USING latin1)", "CONVERT(s USING cp1251)", "g"),
    *(
        "REVERSE(s)",
        "CONCAT_WS(',', s, g)",
        "GROUP_CONCAT(s)",
        "JSON_OBJECT('a', n)",
        "MD5(s)",
        "e",
    ),
    *("e + 0", "b + 0", "IF(n > 0, s, g)", "COALESCE(NULL, g)", "NULL", "TRUE", "n > 1"),
    *("CAST(s AS BINARY)", "UNHEX('00ff')"),
)
SETTINGS: tuple[dict[str, str], ...] = (
    {"time_zone": "+09:00", "sql_mode": "NO_ENGINE_SUBSTITUTION"},
    {"time_zone": "-11:30", "sql_mode": "ANSI"},
    {"sql_mode": "PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE", "lc_time_names": "fr_FR"},
    {"sql_mode": "NO_BACKSLASH_ESCAPES,TIME_ROUND_FRACTIONAL", "div_precision_increment": "9"},
    {"sql_mode": "ORACLE", "default_week_format": "3"},
    {"sql_mode": "TRADITIONAL,ONLY_FULL_GROUP_BY", "collation_connection": "utf8mb4_bin"},
    {"sql_mode": "REAL_AS_FLOAT,NO_UNSIGNED_SUBTRACTION", "group_concat_max_len": "1000000"},
    {"sql_mode": "IGNORE_SPACE", "time_zone": "+13:00"},
)


def meanings(database: MariaDatabase, folder: Path, settings: Sequence[dict[str, str]]) -> int:
    with client(database, PLAIN) as connection:
        ask(
            connection,
            "CREATE OR REPLACE TABLE m (n int, f float, s varchar(20), ts timestamp NULL,"
            " d datetime, g varchar(9) CHARACTER SET greek, e enum('x', 'y') CHARACTER SET cp1251,"
            " b bit(9))",
        )
        ask(
            connection,
            "INSERT INTO m VALUES (7, 0.1, 'aé', '2024-03-31 20:30:00', '2024-12-30 02:30', 'αβ?',"
            " 'y', b'101010101')",
        )
    seen = 0
    for number, one in enumerate(settings):
        session = {**one, "timestamp": "1709251199"}
        chosen = ", ".join(
            f"{key} = {value if value.isdigit() else repr(value)}" for key, value in session.items()
        )
        zone = "" if "time_zone" in session else "time_zone = '+00:00', "
        with client(database, f"SET {zone}{chosen}") as connection:
            alike = []
            for expression in EXPRESSIONS:
                try:
                    ask(connection, f"SELECT {expression} AS x FROM m")
                except Exception:  # noqa: BLE001 - it means nothing under these settings
                    continue
                alike.append(expression)
            plain = ", ".join(f"{sql} AS `c {i}`" for i, sql in enumerate(alike) if "(" not in sql)
            lists = [plain, *(f"{sql} AS x" for sql in alike if "(" in sql)]
            # Calls, which may gather rows, in one statement each; all others together.
            for place, listed in enumerate(lists if len(settings) > 2 else lists[:9]):
                query = f"SELECT {listed} FROM m"
                told = ask(connection, query)
                ask(connection, f"CREATE OR REPLACE VIEW v AS {query}")
                through = ask(connection, "SELECT * FROM v")
                for kind, wanted in (({"query": query}, told), ({"table": "v"}, through)):
                    target = folder / f"{number}-{place}-{next(iter(kind))}"
                    found = exported(database, target, session, **kind)
                    columns = columns_of(database, Relation(**kind), ColumnRules(), session)
                    names = [f"{one} {listed}"] * len(columns)
                    seen += compare(
                        found, _in_utc(wanted, columns, connection, kind), columns, names
                    )
    return seen


def _in_utc(
    told: Sequence[tuple[Any, ...]],
    columns: Sequence[Column],
    connection: Any,
    kind: dict[str, str],
) -> list[tuple[Any, ...]]:
    """Ask again in UTC for what is a moment, and take bytes as hex and floats with all digits."""
    rows = [list(row) for row in told]
    source = "v" if "table" in kind else f"({kind['query']}) d"
    for place, column in enumerate(columns):
        name = f"`{column.name}`"
        if column.native_type.startswith("timestamp"):
            shown = f"'1970-01-01 00:00:00' + INTERVAL UNIX_TIMESTAMP({name}) SECOND"
        elif column.native_type == "float":
            shown = f"{name} * 1e0"
        elif column.logical.kind.value == "binary":
            shown = f"HEX({name})"
        else:
            continue
        for row, (text,) in zip(
            rows, ask(connection, f"SELECT {shown} FROM {source}"), strict=True
        ):
            row[place] = text
    return [tuple(row) for row in rows]


def test_a_few_literals_of_every_type(mariadb: MariaDatabase, tmp_path: Path) -> None:
    assert literals(mariadb, tmp_path, 40) > 2_000


def test_a_few_meanings(mariadb: MariaDatabase, tmp_path: Path) -> None:
    assert meanings(mariadb, tmp_path, SETTINGS[1:3]) > 50


@SOAK
def test_literals_of_every_type(mariadb: MariaDatabase, tmp_path: Path) -> None:
    assert literals(mariadb, tmp_path, 2_500, seed=1) > 130_000


@SOAK
def test_characters_of_every_set(mariadb: MariaDatabase, tmp_path: Path) -> None:
    assert characters(mariadb, tmp_path, 1) > 200_000


@SOAK
def test_meanings_under_every_setting(mariadb: MariaDatabase, tmp_path: Path) -> None:
    assert meanings(mariadb, tmp_path, SETTINGS) > 500
