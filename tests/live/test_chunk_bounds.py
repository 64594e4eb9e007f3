"""Where chunks of equal rows are cut: known without reading an index from end to end."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from rivet.execution.run.cut import cut
from rivet.model.relation import Relation
from rivet.model.shape import ChunkRules
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.span import ProbeKind
from rivet.plan.shapes import resolve_shape
from rivet.redact import Secret
from rivet.sources import load_engine
from rivet.sources.seek import condition

if TYPE_CHECKING:
    from collections.abc import Iterator

T = Relation(table="t")
KEYS = {
    "number": ("id bigint PRIMARY KEY", "i - 7000"),
    "gaps": ("id bigint PRIMARY KEY", "i * i"),
    "uuid": ("id uuid PRIMARY KEY", "md5(i::text)::uuid"),
    "time": ("id timestamptz PRIMARY KEY", "timestamptz '2026-10-25 00:00+02' + i * interval '7s'"),
    "text": ("id text PRIMARY KEY", "chr(65 + i % 60) || '\"\\'',{} ' || i"),
    "padded": ("id char(12) PRIMARY KEY", "'k' || i"),
    "bytes": ("id bytea PRIMARY KEY", "decode(md5(i::text), 'hex')"),
    "numeric": ("id numeric PRIMARY KEY", "i / 7.0"),
}


class Asked:
    """A session that remembers which places it was asked for."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.places: list[ProbeKind] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def probe_keys(self, question: Any) -> Any:
        self.places.append(question.place)
        return self._session.probe_keys(question)

    def chunks(self, rules: ChunkRules) -> Any:
        facts = self._session.facts(T)
        shape = resolve_shape(rules, T, facts, frozenset({"id"}))
        return cut(shape, T, facts, self)


@pytest.fixture
def asked() -> Iterator[Any]:
    with ExitStack() as stack:

        def open_one(engine: str, database: Any) -> Asked:
            address = SourceAddress(engine, url=Secret(database.url))
            session = load_engine(engine).connect(address, SessionSettings())
            return Asked(stack.enter_context(session))

        yield open_one


@pytest.mark.parametrize("key", KEYS)
def test_statistics_say_where_to_cut(any_postgres, asked, key):
    column, value = KEYS[key]
    any_postgres.execute(
        f"CREATE TABLE t ({column}); INSERT INTO t SELECT {value} FROM generate_series(1, 20000) i;"
        "ANALYZE t"
    )
    session = asked("postgresql", any_postgres)
    spans = session.chunks(ChunkRules(column="id", count=8))
    assert ProbeKind.STEP not in session.places
    from rivet.sources.postgres.keys import KeySpelling

    with session._question("counting") as connection:
        natives, _ = session._describe(connection, T)
        spelling = KeySpelling.of(connection, natives, has_blocks=True)
        tests = [condition((span,), spelling) for span in spans]
    counts = [any_postgres.execute(f"SELECT count(*) FROM t WHERE {test}")[0][0] for test in tests]
    assert sum(counts) == 20_000
    assert len(counts) == 8
    assert min(counts) > 2000
    assert max(counts) < 3000


def test_what_the_catalog_does_not_know_is_counted(any_postgres, asked):
    any_postgres.execute(
        "CREATE TABLE t (id uuid PRIMARY KEY);"
        "INSERT INTO t SELECT md5(i::text)::uuid FROM generate_series(1, 20000) i"
    )
    session = asked("postgresql", any_postgres)
    assert len(session.chunks(ChunkRules(column="id", size=5000, is_dense=True))) == 4
    assert session.places.count(ProbeKind.STEP) > 3
    any_postgres.execute("ANALYZE t")
    again = asked("postgresql", any_postgres)
    assert len(again.chunks(ChunkRules(column="id", count=50))) == 50
    assert ProbeKind.STEP in again.places  # too many for the quantiles that there are


def test_numbers_without_gaps_on_mariadb(mariadb, asked):
    mariadb.execute(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT seq FROM seq_1_to_20000;"
        "ANALYZE TABLE t"
    )
    session = asked("mysql", mariadb)
    spans = session.chunks(ChunkRules(column="id", count=4))
    assert [span.upper for span in spans] == [("5000",), ("10000",), ("15000",), None]
    assert session.places == [ProbeKind.FIRST, ProbeKind.LAST]
    mariadb.execute(
        "DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY);"
        "INSERT INTO t SELECT seq * seq FROM seq_1_to_20000; ANALYZE TABLE t"
    )
    sparse = asked("mysql", mariadb)
    assert 2 <= len(sparse.chunks(ChunkRules(column="id", count=4))) <= 5
    assert ProbeKind.STEP in sparse.places
