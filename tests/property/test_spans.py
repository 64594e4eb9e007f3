"""Random keys, cut every way at random places: every row is in exactly one span."""

from __future__ import annotations

import itertools
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rivet.model.columns import ColumnRules
from rivet.model.relation import KeyProbe, ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.span import ProbeKind, Span, SpanKind
from rivet.redact import Secret
from rivet.sources import load_engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from rivet.sources.base import Session

T = Relation(table="t")
NUMBERS = itertools.count()
INTEGERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-5, 5),
    st.sampled_from([-(2**63), 2**63 - 1, 0, 10**12]),
)
WORDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6),
    st.sampled_from(["a", "A", "b", "B", "ß", "ss", "a ", "Z", "é", "E", "'", "\\", '"', "%", "_"]),
)
DECIMALS = st.integers(-(10**6), 10**6).map(lambda n: f"{n // 100}.{abs(n) % 100:02}")
STAMPS = st.datetimes().map(lambda moment: moment.isoformat(" "))
KINDS: dict[str, st.SearchStrategy[Any]] = {
    "integer": INTEGERS,
    "text": WORDS,
    "decimal": DECIMALS,
    "stamp": STAMPS,
    "uuid": st.uuids(version=4).map(str),
}
TYPES = {
    "postgresql": {
        "integer": "bigint",
        "text": "text",
        "decimal": "numeric(12,2)",
        "stamp": "timestamp",
        "uuid": "uuid",
    },
    "mysql": {
        "integer": "bigint",
        "text": "varchar(20) CHARACTER SET utf8mb4",
        "decimal": "decimal(12,2)",
        "stamp": "datetime(6)",
        "uuid": "uuid",
    },
    "sqlite": dict.fromkeys(KINDS, "") | {"integer": "integer"},
    "duckdb": {
        "integer": "bigint",
        "text": "varchar",
        "decimal": "decimal(12,2)",
        "stamp": "timestamp",
        "uuid": "uuid",
    },
}
COLLATIONS = {
    "postgresql": ("", ' COLLATE "C"', ' COLLATE "en-x-icu"', " COLLATE anycase"),
    "mysql": (
        "",
        " COLLATE utf8mb4_bin",
        " COLLATE utf8mb4_unicode_ci",
        " COLLATE utf8mb4_nopad_bin",
    ),
    "sqlite": ("", " COLLATE NOCASE", " COLLATE RTRIM"),
    "duckdb": ("",),
}


def literal(value: str | int | None) -> str:
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value)
    return "'" + value.replace("'", "''") + "'"


def statements(engine: str, kind: str, collation: str, rows: list[Any]) -> list[str]:
    name = TYPES[engine][kind] + (collation if kind == "text" else "")
    made = ["DROP TABLE IF EXISTS t", f"CREATE TABLE t (n integer, k {name})"]
    for start in range(0, len(rows), 50):
        values = ", ".join(
            f"({n}, {literal(v)})" for n, v in enumerate(rows[start : start + 50], start)
        )
        made.append(f"INSERT INTO t VALUES {values}")
    return made


def numbers(session: Session, relation: Relation, *spans: Span) -> list[int]:
    columns = session.columns(relation, ColumnRules(include=("n",)))
    request = ReadRequest(relation, columns, spans=spans, is_whole=False)
    return [n for batch in session.read(request) for n in batch.column("n").to_pylist()]


def cut(session: Session, relation: Relation, step: int, *, by_walk: bool) -> list[Span]:
    """Cut by key, at every `step`-th row, as one statement or by walking; NULLs have their own."""
    if by_walk:
        bounds = []
        last: tuple[str, ...] | None = None
        while True:
            span = Span(SpanKind.KEY, ("k",), lower=last)
            found = session.probe_keys(KeyProbe(relation, ("k",), ProbeKind.STEP, (span,), step))
            if not found:
                break
            last = found[0]
            bounds.append(last)
    else:
        bounds = session.probe_keys(KeyProbe(relation, ("k",), ProbeKind.CUTS, rows=step))
    unique = list(dict.fromkeys(bounds))
    edges = list(itertools.pairwise([None, *unique, None]))
    return [Span(SpanKind.NULLS, ("k",))] + [Span(SpanKind.KEY, ("k",), a, b) for a, b in edges]


def check(session: Session, rows: list[Any], step: int, *, by_walk: bool) -> None:
    for relation in (T, Relation(query="SELECT * FROM t")):
        spans = cut(session, relation, step, by_walk=by_walk)
        found = [numbers(session, relation, span) for span in spans]
        assert sorted(itertools.chain(*found)) == list(range(len(rows)))
        if by_walk:
            assert all(len(span) >= step for span in found[1:-1])
        assert sorted(found[0]) == [n for n, value in enumerate(rows) if value is None]
        has_null = bool(session.probe_keys(KeyProbe(relation, ("k",), ProbeKind.NULL)))
        assert has_null == (None in rows)
        half_open = [Span(SpanKind.NULLS, ("k",))] + [
            Span(SpanKind.KEY, ("k",), one.lower, one.upper, takes_lower=True, takes_upper=False)
            for one in spans[1:]
        ]
        again = [n for span in half_open for n in numbers(session, relation, span)]
        assert sorted(again) == list(range(len(rows)))


def cases(engine: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    drawn = st.sampled_from(sorted(KINDS)).flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            st.sampled_from(COLLATIONS[engine]),
            st.lists(st.one_of(st.none(), KINDS[kind]), max_size=40),
        )
    )

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        test = given(case=drawn, step=st.integers(1, 9), by_walk=st.booleans())(test)
        quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        return settings(max_examples=25, deadline=None, suppress_health_check=quiet)(test)

    return decorate


@cases("sqlite")
def test_sqlite(tmp_path: Path, case: tuple[str, str, list[Any]], step: int, by_walk: bool) -> None:
    path = tmp_path / f"{next(NUMBERS)}.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements("sqlite", *case):
            connection.execute(statement)
    address = SourceAddress("sqlite", database=path.name, base_dir=tmp_path)
    with load_engine("sqlite").connect(address, SessionSettings()) as session:
        check(session, case[2], step, by_walk=by_walk)


@cases("duckdb")
def test_duckdb(tmp_path: Path, case: tuple[str, str, list[Any]], step: int, by_walk: bool) -> None:
    path = tmp_path / f"{next(NUMBERS)}.duckdb"
    with duckdb.connect(str(path)) as connection:
        for statement in statements("duckdb", *case):
            connection.execute(statement)
    address = SourceAddress("duckdb", database=path.name, base_dir=tmp_path)
    with load_engine("duckdb").connect(address, SessionSettings()) as session:
        check(session, case[2], step, by_walk=by_walk)


@pytest.mark.live("postgresql")
@cases("postgresql")
def test_postgresql(
    shared_postgres: Any, case: tuple[str, str, list[Any]], step: int, by_walk: bool
) -> None:
    anycase = (
        "CREATE COLLATION IF NOT EXISTS anycase"
        " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
    )
    try:
        shared_postgres.execute(anycase)
    except psycopg.errors.FeatureNotSupported:  # a server built without ICU
        case = (case[0], "", case[2])
    shared_postgres.execute("; ".join(statements("postgresql", *case)))
    address = SourceAddress("postgresql", url=Secret(shared_postgres.url))
    with load_engine("postgresql").connect(address, SessionSettings()) as session:
        check(session, case[2], step, by_walk=by_walk)


@pytest.mark.live("mysql")
@cases("mysql")
def test_mysql(mariadb: Any, case: tuple[str, str, list[Any]], step: int, by_walk: bool) -> None:
    kind, collation, rows = case
    rows = [v.replace("\\", "/") if isinstance(v, str) else v for v in rows]  # not what is tested
    for statement in statements("mysql", kind, collation, rows):
        mariadb.execute(statement)
    address = SourceAddress("mysql", url=Secret(mariadb.url))
    with load_engine("mysql").connect(address, SessionSettings()) as session:
        check(session, rows, step, by_walk=by_walk)


def test_composite_keys_are_compared_in_order() -> None:
    """Bounds inside a group of equal first columns, where there are no row values."""
    from rivet.sources.seek import condition, is_multiple

    class Plain:
        has_row_values = False

        def column(self, name: str) -> str:
            return name

        text = column

        def null_test(self, name: str, expression: str, *, is_null: bool) -> str:
            raise NotImplementedError

        def value(self, name: str, text: str) -> str:
            return text

        def sign(self, name: str, sign: str) -> str:
            return sign

        def is_multiple(self, number: str, step: int) -> str:
            return is_multiple(number, step)

        def blocks(self, lower: str | None, upper: str | None) -> str:
            raise NotImplementedError

    rows = list(itertools.product(range(3), repeat=3))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (a, b, c)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        for bound, flags in itertools.product(rows, itertools.product((True, False), repeat=2)):
            text = tuple(str(part) for part in bound)
            lower = Span(SpanKind.KEY, ("a", "b", "c"), lower=text, takes_lower=flags[0])
            upper = Span(SpanKind.KEY, ("a", "b", "c"), upper=text, takes_upper=flags[1])
            above = connection.execute(f"SELECT * FROM t WHERE {condition([lower], Plain())}")
            assert set(above) == {r for r in rows if r > bound or (flags[0] and r == bound)}
            below = connection.execute(f"SELECT * FROM t WHERE {condition([upper], Plain())}")
            assert set(below) == {r for r in rows if r < bound or (flags[1] and r == bound)}
