"""Every literal of a pool in every type of PostgreSQL, and expressions of users, against raw libpq.

Exported, and read back value by value with DuckDB. `make soak` looks at more than 200,000 values.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from rivet.formats import parquet
from rivet.model.columns import ColumnRules
from rivet.model.output import WriterOptions
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.types import InvalidPolicy, Kind
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support import pgliterals, readers
from support.randomtables import canonical
from support.rawtext import raw_rows
from support.sinks import file_sink

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.model.columns import Column

pytestmark = pytest.mark.live("postgresql")
OURS = (
    "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=iso_8601 -c bytea_output=hex"
    " -c extra_float_digits=1"
)
FAR = re.compile(r"(\d+)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(\.\d+)?)?(\+00)?( BC)?\Z")
MOMENTS = {Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.INTERVAL}
NULLED = {"infinity", "-infinity", "24:00:00"}


def elements(text: str, delimiter: str) -> list[str | None]:
    """Take an array of one dimension apart, as the manual says of array output."""
    found: list[str | None] = []
    pattern = rf'"((?:[^"\\]|\\.)*)"|([^{delimiter}]*)'
    place = 1
    while place < len(text) - 1 or not found:
        match = re.compile(pattern, re.DOTALL).match(text, place)
        assert match is not None
        quoted, plain = match.groups()
        if quoted is None and place + len(plain) >= len(text):
            plain = plain[:-1]
        found.append(
            re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
            if quoted is not None
            else None
            if plain.upper() == "NULL"
            else plain
        )
        place += (len(quoted) + 2 if quoted is not None else len(plain)) + 1
    return found


def days_of(year: int, month: int, day: int) -> int:
    year, month = (year - 1, month + 9) if month <= 2 else (year, month - 3)
    era, of_era = divmod(year, 400)
    return (
        era * 146097
        + of_era * 365
        + of_era // 4
        - of_era // 100
        + (153 * month + 2) // 5
        + (day - 719469)
    )


def spelled(text: str | None, column: Column, arrow_type: Any) -> str | None:
    """Return the server's text of a value in the spelling of `readers`."""
    kind = column.logical.kind
    if text is None or (kind in MOMENTS and text in NULLED):
        return None
    match = FAR.match(text) if kind in {Kind.DATE, Kind.TIMESTAMP} else None
    if match is None:
        return canonical(text, column)
    year, month, day, hour, minute, second = (int(one or 0) for one in match.groups()[:6])
    days = days_of(1 - year if match[9] else year, month, day)
    if kind is Kind.DATE:
        return readers._date_text(days)
    fraction = int((match[7] or ".0")[1:].ljust(6, "0"))
    micros = ((days * 24 + hour) * 60 + minute) * 60 + second
    micros = micros * 1_000_000 + fraction
    return None if micros >= 2**63 else readers._moment_text(micros, arrow_type)


def export(database: Any, relation: Relation, rules: ColumnRules, target: Path) -> Any:
    target.unlink(missing_ok=True)
    address = SourceAddress("postgresql", url=Secret(database.url))
    with connect(address, SessionSettings()) as session:
        columns = session.columns(relation, rules)
        stream = session.read(ReadRequest(relation, columns))
        writer = parquet.open(file_sink(target), stream.schema, WriterOptions())
        for batch in stream:
            writer.write(batch)
        writer.close()
        return columns, stream.schema


def compare(database: Any, tables: dict[str, str], target: Path) -> int:
    """Compare every table and return how many values there were."""
    rules = ColumnRules(out_of_range=InvalidPolicy.NULL)
    delimiters = dict(database.execute("SELECT oid::regtype::text, typdelim::text FROM pg_type"))
    count, faults = 0, []
    for table, name in tables.items():
        relation = Relation(query=f"SELECT v, l FROM {table} ORDER BY n")
        columns, schema = export(database, relation, rules, target)
        raw = raw_rows(database, f"SELECT v, l FROM {table} ORDER BY n", OURS)
        value, many = columns
        inner = schema.field(1).type.value_type
        got = readers.duckdb_rows(target)
        element = element_of(many)
        expected = [
            (
                spelled(one, value, schema.field(0).type),
                None
                if all_ is None
                else json.dumps(
                    [spelled(each, element, inner) for each in elements(all_, delimiters[name])],
                    ensure_ascii=False,
                ),
            )
            for one, all_ in raw
        ]
        wrong = [pair for pair in zip(got, expected, strict=True) if pair[0] != pair[1]]
        if wrong:
            faults.append((name, len(wrong), wrong[:2]))
        count += len(raw) * 4
    assert not faults, "\n".join(map(repr, faults))
    return count


def element_of(many: Column) -> Column:
    assert many.logical.element is not None
    return replace(many, logical=many.logical.element)


WHEN = (
    "timestamptz '2024-01-15 20:00:00.25+00'", "timestamp '2024-02-03 04:05:06'",
    "timestamptz '0044-03-15 20:00+00 BC'", "date '2024-02-03'", "date '0044-03-15 BC'",
    "timestamptz '2024-07-01 00:30+02'", "time '03:04:05.6'", "timetz '03:04+05'",
    "interval '1 year 2 mons -3 days 04:05:06.7'", "interval '3 hours'", "interval '-0.5 s'",
)  # fmt: skip
WHAT = (
    "'\\x00ff5c'::bytea", "0.1::float8 + 0.2", "1e15::float8", "0.1::float4", "1234.5::numeric",
    "'1234.5'::numeric::money", "ARRAY['a', NULL, 'NULL']", "'{1,NULL,\"b\"}'::text[]",
    "'pg_class'::regclass", "'(1,0.1)'::point", "NULL::text", "true", "'10.0.0.1'::inet",
    "'a'::\"char\"", "'{\"a\": 1}'::json", "daterange('2024-02-03', NULL)", "'x y'::name",
    "tstzrange('2024-01-15 20:00+00', NULL)", "ROW(timestamptz '2024-01-15 20:00+00', 0.1::float8)",
)  # fmt: skip
OF_MOMENTS = (
    "({})::text", "'at ' || ({})", "to_char({}, 'YYYY-MM-DD HH24:MI TZ OF')", "to_json({})::text",
    "extract(hour FROM {})::text", "({})::time::text", "({})::date::text", "format('%s', {})",
    "date_trunc('day', {})::text", "(({}) AT TIME ZONE 'Asia/Tokyo')::text",
    "({})::timestamptz::text",
    "ARRAY[{}]::text", "ROW({})::text", "concat({}, '!')", "age({}, timestamp '2020-01-01')::text",
    "(({}) + interval '1 day')::text", "date_part('dow', {})::text", "({})::timestamp::text",
    "to_char({}, 'TMDay, DD TMMonth')", "jsonb_build_object('a', {})::text", "({})::varchar(12)",
    "pg_typeof({})::text", "quote_literal({})", "md5(({})::text)", "string_agg(({})::text, ',')",
)  # fmt: skip
OF_OTHERS = (
    "({})::text", "'is ' || ({})", "format('%s', {})", "to_json({})::text", "ARRAY[{}]::text",
    "ROW({})::text", "concat({}, '!')", "quote_literal({})", "md5(({})::text)", "({})::varchar(9)",
    "quote_nullable({})", "length(({})::text)::text", "(({}) IS NULL)::text",
    "coalesce(({})::text, '-')",
    "(NULL = ({}))::text", "jsonb_build_array({})::text", "string_agg(({})::text, ',')",
)  # fmt: skip
ROLES = (
    {"TimeZone": "Asia/Tokyo", "DateStyle": "German, DMY", "IntervalStyle": "sql_standard"},
    {"TimeZone": "America/St_Johns", "DateStyle": "SQL, MDY", "IntervalStyle": "postgres_verbose",
     "bytea_output": "escape", "extra_float_digits": "-3", "array_nulls": "off"},
    {"TimeZone": "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "iso_8601", "lc_monetary": "C",
     "search_path": "pg_catalog, public", "transform_null_equals": "on", "bytea_output": "hex"},
)  # fmt: skip


def valid(database: Any) -> list[str]:
    """Return the expressions that the server knows, of more than five hundred."""
    offered = [form.format(one) for one in WHEN for form in OF_MOMENTS]
    offered += [form.format(one) for one in WHAT for form in OF_OTHERS]
    found = []
    with database.connect() as connection:
        for one in offered:
            with suppress(psycopg.Error):
                cursor = connection.execute(f"SELECT {one}".encode())
                if cursor.description and cursor.description[0].type_code in {25, 1043}:
                    found.append(one)
    return found


@pytest.mark.parametrize("number", range(len(ROLES)))
def test_expressions_of_users_mean_what_a_plain_client_of_the_role_sees(
    any_postgres, tmp_path, number
):
    expressions = valid(any_postgres)
    assert len(expressions) > 400
    for name, setting in ROLES[number].items():
        listed = setting if name == "search_path" else f"'{setting}'"
        any_postgres.execute(
            f"ALTER ROLE CURRENT_USER IN DATABASE {any_postgres.name} SET {name} = {listed}"
        )
    for place in range(0, len(expressions), 100):
        some = expressions[place : place + 100]
        query = "SELECT " + ", ".join(f"{one} AS e{n}" for n, one in enumerate(some))
        any_postgres.execute(f"CREATE VIEW public.v{place} AS {query}")
        relations = {
            query: Relation(query=query),
            f"TABLE public.v{place}": Relation(schema="public", table=f"v{place}"),
        }
        for asked, relation in relations.items():
            columns, _ = export(any_postgres, relation, ColumnRules(), tmp_path / "t.parquet")
            assert {str(column.logical) for column in columns} == {"string"}
            (got,), (expected,) = (
                readers.duckdb_rows(tmp_path / "t.parquet"),
                raw_rows(any_postgres, asked),
            )
            wrong = [all_ for all_ in zip(some, got, expected, strict=True) if all_[1] != all_[2]]
            assert not wrong, wrong[:3]


def test_a_slice_of_the_pool(any_postgres, tmp_path):
    tables = pgliterals.fill(any_postgres, factor=0)
    assert len(tables) > 90
    assert compare(any_postgres, tables, tmp_path / "t.parquet") > 10_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_whole_pool(postgres, tmp_path):
    tables = pgliterals.fill(postgres, factor=30)
    assert compare(postgres, tables, tmp_path / "t.parquet") > 200_000
