"""Random tables of every engine: Rivet's files against the database's own text, value by value.

`make test` looks at a few tables of each engine, `make fuzz` at 600, 2,400 in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from rivet.formats import csv, parquet
from rivet.model.columns import ColumnRules
from rivet.model.output import Compression, WriterOptions
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings
from rivet.sources import ENGINES, load_engine
from support import randomtables, readers
from support.randomtables import Duck, Maria, Postgres, Sqlite, canonical, tables
from support.sinks import file_sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = Relation(table="t")
MAKERS = {"postgresql": Postgres, "mysql": Maria, "sqlite": Sqlite, "duckdb": Duck}
ENGINE = pytest.mark.parametrize("engine_name", sorted(MAKERS))


def test_every_engine_has_random_tables() -> None:
    assert set(MAKERS) == set(ENGINES)


@pytest.fixture
def database(engine_name: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    if engine_name == "postgresql":
        place: Any = request.getfixturevalue("any_postgres").url
    elif engine_name == "mysql":
        place = request.getfixturevalue("mariadb").url
    else:
        place = request.getfixturevalue("tmp_path") / f"random.{engine_name}"
    made = MAKERS[engine_name](place)
    yield made
    made.close()


@ENGINE
def test_a_few_random_tables(engine_name: str, database: Any, tmp_path: Path) -> None:
    look_at(database, tmp_path, examples=25)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@ENGINE
def test_many_random_tables(engine_name: str, database: Any, tmp_path: Path) -> None:
    assert look_at(database, tmp_path, examples=600) >= 600


def look_at(database: Any, folder: Path, *, examples: int) -> int:
    seen = 0

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(tables(database.types))
    def look(table: randomtables.Table) -> None:
        nonlocal seen
        seen += 1
        database.fill(table)
        compare(database, folder)

    look()
    return seen


def compare(database: Any, folder: Path) -> None:
    target, plain = folder / "t.parquet", folder / "t.csv"
    target.unlink(missing_ok=True)
    plain.unlink(missing_ok=True)
    engine = load_engine(database.address.engine)
    with engine.connect(database.address, SessionSettings()) as session:
        columns = session.columns(T, ColumnRules())
        stream = session.read(ReadRequest(T, columns))
        writer = parquet.open(file_sink(target), stream.schema, WriterOptions())
        lines = csv.open(
            file_sink(plain), stream.schema, WriterOptions(compression=Compression.NONE)
        )
        for batch in stream:
            writer.write(batch)
            lines.write(batch)
        writer.close()
        lines.close()
        assert stream.counters.nulled == {}
    expected = [
        tuple(canonical(text, column) for text, column in zip(row, columns, strict=True))
        for row in database.texts(columns)
    ]
    assert sorted(readers.pyarrow_rows(target), key=repr) == sorted(expected, key=repr)
    assert plain.stat().st_size > 0
