"""Every type case of every engine, read by the real engine and judged by pyarrow and DuckDB."""

from __future__ import annotations

import importlib
import itertools
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import duckdb
import pyarrow as pa
import pytest

from rivet import errors
from rivet.formats import parquet
from rivet.model.output import WriterOptions
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources import load_engine
from rivet.wire.kernel import kernel_kind, load
from support import readers, servers
from support.cases import load_cases
from support.sinks import file_sink

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.model.columns import Column
    from rivet.sources.base import ReadCounters
    from support.cases import Case, ExpectedError
    from support.databases import MariaDatabase, PostgresDatabase

NUMBERS = itertools.count()
KERNELS = ("compiled", "interpreted")


Property = Callable[[str, object], None]
Strategy = Callable[["Case", SourceAddress], "tuple[Relation, dict[str, float]]"]


def row_by_row(case: Case, address: SourceAddress) -> tuple[Relation, dict[str, float]]:
    return case.relation, {"batch_rows": 1}


def by_bytes(case: Case, address: SourceAddress) -> tuple[Relation, dict[str, float]]:
    return case.relation, {"batch_bytes": 64}


def as_query(case: Case, address: SourceAddress) -> tuple[Relation, dict[str, float]]:
    """Read a table as a query, with a comment at its end."""
    table = case.relation.table
    if table is None:
        return case.relation, {}
    if address.engine == "postgresql" and f'"{table}"' not in case.setup:
        table = table.lower()  # as the setup's own unquoted name was
    quote = "`" if address.engine == "mysql" else '"'
    name = table.replace(quote, quote * 2)
    return Relation(query=f"SELECT * FROM {quote}{name}{quote} -- all of it"), {}


def in_slices(case: Case, address: SourceAddress) -> tuple[Relation, dict[str, float]]:
    """Read a table in the smallest statements, where the engine can."""
    return case.relation, {"slice_s": 0.001, "slice_bytes": 1}


def by_cursor(case: Case, address: SourceAddress) -> tuple[Relation, dict[str, float]]:
    """Read a table as a query in portions of a few rows, where the engine has cursors."""
    return as_query(case, address)[0], {"fetch_rows": 3}


# Every way to read a relation beside the plain one.
STRATEGIES: tuple[Strategy, ...] = (row_by_row, by_bytes, as_query, in_slices, by_cursor)


def cases(engine: str) -> pytest.MarkDecorator:
    found = load_cases(engine)
    return pytest.mark.parametrize("case", found, ids=[case.name for case in found])


@cases("sqlite")
def test_sqlite(case: Case, tmp_path: Path, record_property: Property) -> None:
    record_property("version", sqlite3.sqlite_version)
    source = tmp_path / "source.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript(case.setup)
    check(case, SourceAddress("sqlite", database=source.name, base_dir=tmp_path), tmp_path)


@cases("duckdb")
def test_duckdb(case: Case, tmp_path: Path, record_property: Property) -> None:
    record_property("version", duckdb.__version__)
    source = tmp_path / "source.duckdb"
    with duckdb.connect(str(source)) as connection:
        connection.execute(case.setup)
    check(case, SourceAddress("duckdb", database=source.name, base_dir=tmp_path), tmp_path)


@pytest.mark.live("postgresql")
@pytest.mark.parametrize("kernel", KERNELS)
@cases("postgresql")
def test_postgresql(
    case: Case,
    kernel: Literal["compiled", "interpreted"],
    shared_postgres: PostgresDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Property,
) -> None:
    record_property("version", str(shared_postgres.version))
    if shared_postgres.version < case.min_version:
        pytest.skip(f"needs PostgreSQL {case.min_version}")
    if kernel == "interpreted" and shared_postgres.version != max(servers._VERSIONS):
        pytest.skip("the decoder without a compiler is tried on the newest server")
    use_kernel(kernel, monkeypatch)
    schema = f"case_{next(NUMBERS)}"
    path = f"ALTER DATABASE {shared_postgres.name} SET search_path = {schema}, public"
    shared_postgres.execute(f"CREATE SCHEMA {schema}; {path}")
    try:
        shared_postgres.execute(case.setup)
        check(case, SourceAddress("postgresql", url=Secret(shared_postgres.url)), tmp_path)
    finally:
        shared_postgres.execute(f"DROP SCHEMA {schema} CASCADE")


def made_anew(database: MariaDatabase, case: Case) -> str:
    """Make the one database anew with the case's table; return the server's version."""
    name = database.name
    fresh = f"SELECT VERSION(); DROP DATABASE {name}; CREATE DATABASE {name}; USE {name};"
    ((version,), *_) = database.execute(f"{fresh}{case.setup}")
    return str(version).split("-")[0]


@pytest.mark.live("mysql")
@pytest.mark.parametrize("kernel", KERNELS)
@cases("mysql")
def test_mysql(
    case: Case,
    kernel: Literal["compiled", "interpreted"],
    shared_mariadb: MariaDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Property,
) -> None:
    use_kernel(kernel, monkeypatch)
    if case.server == "MySQL":
        pytest.skip("MariaDB has no such thing")
    record_property("version", f"MariaDB {made_anew(shared_mariadb, case)}")
    check(case, SourceAddress("mysql", url=Secret(shared_mariadb.url)), tmp_path)


@pytest.mark.live("mysql9")
@cases("mysql")
def test_mysql9(
    case: Case, shared_mysql9: MariaDatabase, tmp_path: Path, record_property: Property
) -> None:
    """Read on MySQL all but what MariaDB alone has."""
    if case.server == "MariaDB":
        pytest.skip("MySQL has no such thing")
    record_property("version", f"MySQL {made_anew(shared_mysql9, case)}")
    check(case, SourceAddress("mysql", url=Secret(shared_mysql9.url)), tmp_path)


def use_kernel(kernel: Literal["compiled", "interpreted"], monkeypatch: pytest.MonkeyPatch) -> None:
    """Decode with one form of the kernel for the length of a test."""
    if kernel == "interpreted":
        receive = importlib.import_module("rivet.sources.postgres.receive")
        pump = importlib.import_module("rivet.wire.interpreted.pump")
        assert not pump.is_compiled
        monkeypatch.setattr(receive, "pump", pump)
        for module in ("pgcopy", "mysqlrows"):
            interpreted = load("interpreted", module)
            monkeypatch.setitem(sys.modules, f"rivet.wire.{module}", interpreted)
    elif kernel_kind() != "compiled":
        if "kernel" in os.environ.get("RIVET_TEST_REQUIRE", ""):
            pytest.fail("the kernel is not compiled, but RIVET_TEST_REQUIRE names it")
        pytest.skip("the kernel is not compiled here")


@pytest.fixture(autouse=True)
def noted(request: pytest.FixtureRequest, record_property: Property) -> None:
    """Note for the report what is looked at; the test adds on which server."""
    if case := request.node.callspec.params.get("case"):
        record_property("type_case", case.name)
        record_property("digest", case.digest)
        engine = request.node.originalname.removeprefix("test_")
        record_property("engine", "mysql" if engine == "mysql9" else engine)
        record_property("kernel", request.node.callspec.params.get("kernel", ""))


def check(case: Case, address: SourceAddress, folder: Path) -> None:
    """Read the case's relation into a Parquet file and compare all of it."""
    target = folder / "out.parquet"
    if case.error is not None:
        expect_error(case, case.error, address, target)
        return
    columns, schema, counters = export(case, address, target)
    check_columns(case, columns, schema)
    assert counters.rows == len(case.rows)
    assert counters.nulled == case.nulled
    check_file(case, schema, target)
    for strategy in STRATEGIES:
        check_strategy(case, address, strategy, schema)


def export(
    case: Case, address: SourceAddress, target: Path
) -> tuple[tuple[Column, ...], pa.Schema, ReadCounters]:
    engine = load_engine(address.engine)
    with engine.connect(address, SessionSettings()) as session:
        columns = session.columns(case.relation, case.rules)
        request = ReadRequest(case.relation, columns, is_whole=case.rules.takes_all)
        stream = session.read(request)
        writer = parquet.open(file_sink(target), stream.schema, WriterOptions())
        for batch in stream:
            assert batch.schema.equals(stream.schema, check_metadata=True)
            assert batch.num_rows > 0
            batch.validate(full=True)
            writer.write(batch)
        writer.close()
        stream.close()
        return columns, stream.schema, stream.counters


def check_strategy(
    case: Case, address: SourceAddress, strategy: Strategy, schema: pa.Schema
) -> None:
    """Read the case in another way: the schema must be the same to the letter, and so the rows."""
    relation, limits = strategy(case, address)
    with load_engine(address.engine).connect(address, SessionSettings()) as session:
        columns = session.columns(relation, case.rules)
        stream = session.read(
            ReadRequest(relation, columns, is_whole=case.rules.takes_all, **limits)
        )
        assert stream.schema.equals(schema, check_metadata=True), strategy.__name__
        batches = list(stream)
        assert stream.counters.nulled == case.nulled
    rows = readers.canonical_rows(pa.Table.from_batches(batches, schema))
    assert sorted(rows, key=repr) == sorted(case.rows, key=repr), strategy.__name__


def expect_error(case: Case, expected: ExpectedError, address: SourceAddress, target: Path) -> None:
    with pytest.raises(getattr(errors, expected.class_name)) as caught:
        export(case, address, target)
    told = f"{caught.value}\n{caught.value.hint}"
    for text in expected.contains:
        assert text in told
    assert caught.value.hint


def check_columns(case: Case, columns: tuple[Column, ...], schema: pa.Schema) -> None:
    assert [column.name for column in columns] == [column.name for column in case.columns]
    for expected, column, field in zip(case.columns, columns, schema, strict=True):
        actual = {
            "name": column.name,
            "native": column.native_type,
            "logical": column.logical.label,
            "arrow": spelled(field.type),
            "fidelity": str(column.fidelity),
        }
        wanted = {key: value for key, value in vars(expected).items() if value is not None}
        if "arrow" in wanted:
            wanted["arrow"] = squeezed(wanted["arrow"])
        assert {key: actual[key] for key in wanted} == wanted
        assert field.metadata[b"rivet.native_type"].decode() == column.native_type
        assert field.metadata[b"rivet.fidelity"].decode() == str(column.fidelity)


def check_file(case: Case, schema: pa.Schema, target: Path) -> None:
    written = readers.pyarrow_schema(target)
    assert [spelled(field.type) for field in written] == [spelled(field.type) for field in schema]
    for before, after in zip(schema, written, strict=True):
        kept = after.metadata or {}
        assert {key: kept.get(key) for key in before.metadata} == before.metadata
    assert readers.duckdb_types(target) == {
        field.name: readers.duckdb_type_of(field.type) for field in schema
    }
    expected = sorted(case.rows, key=repr)
    assert sorted(readers.pyarrow_rows(target), key=repr) == expected
    assert loosened(readers.duckdb_rows(target), schema) == loosened(case.rows, schema)


def loosened(rows: Sequence[readers.Row], schema: pa.Schema) -> list[readers.Row]:
    """Sort rows, weakened where DuckDB has no type: above 38 digits its decimals are floats."""
    weak = [i for i, field in enumerate(schema) if "decimal256" in str(field.type)]
    loose = [
        tuple(
            re.sub(r"-?[0-9][0-9.e+-]*", lambda found: f"{float(found[0]):.12g}", value)
            if value is not None and i in weak
            else value
            for i, value in enumerate(row)
        )
        for row in rows
    ]
    return sorted(loose, key=repr)


def spelled(data_type: pa.DataType) -> str:
    return squeezed(str(data_type))


def squeezed(text: str) -> str:
    """Drop blanks, and the name of a list's element, which Parquet readers choose themselves."""
    return "".join(text.split()).replace("item:", "").replace("element:", "")
