"""What PostgreSQL prints is what lands, and what a user wrote keeps the meaning of its role."""

from __future__ import annotations

import json

import pytest

from rivet.errors import ConfigError, FormatError
from rivet.model.columns import ColumnRules, Mask
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.types import JSON, STRING, JsonPolicy
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support import readers
from support.rawtext import raw_rows

pytestmark = pytest.mark.live("postgresql")
OURS = (
    "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=iso_8601 -c bytea_output=hex"
    " -c extra_float_digits=1"
)
HOSTILE = {
    "TimeZone": "'Asia/Tokyo'",
    "DateStyle": "'German, DMY'",
    "IntervalStyle": "'sql_standard'",
    "bytea_output": "'escape'",
    "extra_float_digits": "0",
    "array_nulls": "off",
}


def texts(database, relation, rules=None, **settings):
    """Return the rows of a relation as Rivet lands them."""
    address = SourceAddress("postgresql", url=Secret(database.url))
    with connect(address, SessionSettings(**settings)) as session:
        columns = session.columns(relation, rules or ColumnRules())
        batches = list(session.read(ReadRequest(relation, columns)))
    return [row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True)]


def role_is_hostile(database):
    for name, value in HOSTILE.items():
        database.execute(
            f"ALTER ROLE CURRENT_USER IN DATABASE {database.name} SET {name} = {value}"
        )


# The only server here that was built with libxml.
XML_ON = 15
TYPES = """
    CREATE DOMAIN word AS varchar(9);
    CREATE TYPE pair AS (a int, b timestamptz, c float8);
    CREATE TYPE told AS (a int, b text);
    CREATE FUNCTION tell(told) RETURNS text LANGUAGE sql AS $$ SELECT 'told'::text $$;
    CREATE CAST (told AS text) WITH FUNCTION tell(told);
    CREATE TYPE mood AS ENUM ('so la', 'NULL');
    CREATE TYPE span AS RANGE (subtype = timestamptz);
    CREATE DOMAIN ints AS int[];
"""
# The SQL of a type and of values; every one is also read as an array's elements.
VALUES = {
    "xml": ["""'<?xml version="1.0" encoding="ISO-8859-1"?><a>\u00e9</a>'"""],
    "told": ["(1, 'x,y')", "(NULL, NULL)", "(NULL, '')"],
    "pair": ["(1, '2024-01-15 12:00+05', 0.1)", "(NULL, NULL, NULL)"],
    "box": ["'(1,2),(0.1,4)'"],
    "point": ["'(0.1,1e300)'"],
    "inet": ["'10.0.0.1'", "'10.0.0.0/8'"],
    "cidr": ["'10.0.0.0/8'"],
    "daterange": ["'[2024-01-15,2024-02-03)'", "'empty'"],
    "tstzrange": ["'[2024-01-15 12:00+05,infinity)'"],
    "span": ["'[2024-01-15 12:00+05,)'"],
    "timetz": ["'12:00+05'"],
    "numeric": ["1.50", "'NaN'"],
    "interval day": ["'3 days'"],
    "bit(3)": ["B'101'"],
    '"char"': ["'x'"],
    "mood": ["'NULL'", "'so la'"],
    "word": ["'NULL'", "''"],
    "ints": ["'{1,NULL}'", "'{}'"],
    "pg_lsn": ["'16/B374D848'"],
}


@pytest.fixture(scope="module")
def typed(shared_postgres):
    shared_postgres.execute(TYPES)
    for place, (sql_type, values) in enumerate(VALUES.items()):
        if sql_type == "xml" and shared_postgres.version != XML_ON:
            continue
        listed = ", ".join(f"({'ROW' if one[0] == '(' else ''}{one}::{sql_type})" for one in values)
        shared_postgres.execute(
            f"CREATE TABLE t{place} (v {sql_type}, l {sql_type}[]);"
            f" INSERT INTO t{place} (v) VALUES {listed}, (NULL);"
            f" UPDATE t{place} SET l = array_fill(v, ARRAY[3]); UPDATE t{place} SET l[2] = NULL"
        )
    role_is_hostile(shared_postgres)
    return shared_postgres


def test_text_is_what_the_output_function_prints(typed):
    rules = ColumnRules(overrides={"v": STRING})
    for place, sql_type in enumerate(VALUES):
        if sql_type == "xml" and typed.version != XML_ON:
            continue
        expected = raw_rows(typed, f"SELECT v FROM t{place}", OURS)
        assert expected[-1] == (None,)
        for relation in (Relation(table=f"t{place}"), Relation(query=f"SELECT * FROM t{place}")):
            got = texts(typed, relation, rules)
            assert [row[:1] for row in got] == expected, sql_type
            for (value,), (_, elements) in zip(expected, got, strict=True):
                assert elements == [value, None, value], sql_type


def test_a_hash_is_that_of_the_printed_text(typed):
    place = list(VALUES).index("tstzrange")
    (plain,), _ = raw_rows(
        typed, f"SELECT encode(sha256(v::text::bytea), 'hex') FROM t{place}", OURS
    )
    rules = ColumnRules(masks={"v": Mask.HASH})
    assert texts(typed, Relation(query=f"SELECT v FROM t{place}"), rules)[0] == (plain,)


MEANT = """
    SELECT 'took ' || interval '3 hours' AS took,
           timestamptz '2024-01-15 20:00Z'::date::text AS day,
           to_char(timestamptz '2024-01-15 20:00Z', 'YYYY-MM-DD HH24 TZ') AS shown,
           date_trunc('day', timestamptz '2024-01-15 20:00Z')::text AS midnight,
           '\\x00ff'::bytea::text AS bytes, (0.1::float8 + 0.2::float8)::text AS float,
           '{1,NULL}'::text[] AS nulls, '03.02.2024'::date::text AS read,
           EXTRACT(hour FROM timestamptz '2024-01-15 20:00Z')::text AS hour,
           tstzrange('2024-01-15 12:00+05', NULL) AS range
"""


@pytest.mark.parametrize("kind", ["query", "view"])
def test_what_a_user_wrote_means_what_it_means_to_the_role(postgres, kind):
    role_is_hostile(postgres)
    postgres.execute("SET DateStyle = 'German'; CREATE VIEW meant AS" + MEANT)
    relation = Relation(query=MEANT) if kind == "query" else Relation(table="meant")
    ((*own, nulls, read, hour, span),) = texts(postgres, relation)
    ((*plain, _, plain_read, plain_hour, _),) = raw_rows(
        postgres, MEANT if kind == "query" else "SELECT * FROM meant"
    )
    assert (*own, read, hour) == (*plain, plain_read, plain_hour)
    assert own[0] == "took 3:00:00"
    assert own[1] == "16.01.2024"
    assert nulls == ["1", "NULL"]
    assert span == '["2024-01-15 07:00:00+00",)'


def test_settings_of_the_source_hold_on_purpose(postgres):
    role_is_hostile(postgres)
    query = "SELECT timestamptz '2024-01-15 20:00Z'::text, current_setting('search_path')"
    chosen = {"timezone": "America/New_York", "DateStyle": "ISO, YMD", "search_path": "a, b"}
    expected = [("2024-01-15 15:00:00-05", "a, b")]
    assert texts(postgres, Relation(query=query), variables=chosen) == expected


@pytest.mark.parametrize(
    ("name", "value"), [("no_such_setting", "1"), ("TimeZone", "Nowhere"), ("work_mem", "x")]
)
def test_a_setting_that_the_server_refuses_is_named(any_postgres, name, value):
    with pytest.raises(ConfigError, match=r"source\.session") as caught:
        texts(any_postgres, Relation(query="SELECT 1"), variables={name: value})
    assert name in caught.value.message


@pytest.mark.parametrize("kept", [{"PGTZ": "Asia/Tokyo", "PGDATESTYLE": "German"}])
def test_the_zone_of_this_process_moves_no_value(any_postgres, monkeypatch, kept):
    query = "SELECT current_setting('TimeZone') AS a, current_setting('DateStyle') AS b"
    expected = texts(any_postgres, Relation(query=query))
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    assert texts(any_postgres, Relation(query=query)) == expected
    monkeypatch.setenv("PGOPTIONS", "-c TimeZone=Asia/Seoul")
    assert texts(any_postgres, Relation(query=query))[0][0] == "Asia/Seoul"


def test_moments_as_text_follow_no_setting(postgres):
    postgres.execute(
        "CREATE TABLE t AS SELECT timestamptz '2024-01-15 12:00+05' AS a, date '2024-02-03' AS b,"
        " timestamp '0044-03-15 01:02:03.5 BC' AS c, interval '1 day -3 hours' AS d,"
        " bytea '\\x00ff' AS e, 0.1::float4 AS f, 'infinity'::timestamptz AS g"
    )
    role_is_hostile(postgres)
    rules = ColumnRules(overrides=dict.fromkeys("abcdefg", STRING))
    expected = raw_rows(postgres, "SELECT * FROM t", OURS)
    assert texts(postgres, Relation(table="t"), rules) == expected
    assert json.dumps(expected[0][0]) == '"2024-01-15 07:00:00+00"'


HALF = r"""
    CREATE TABLE documents (id int, a json, b json, c json[], d jsonb, e text);
    INSERT INTO documents VALUES
        (1, '{"x": "\ud83d\ude00"}', '["\\ud800"]', ARRAY['1'::json], '"\\ud800"', '1'),
        (2, '"\ud800"', 'null', ARRAY['"\udc00"'::json, NULL], NULL, '{}')
"""


@pytest.mark.parametrize("column", ["a", "c"])
def test_json_that_readers_refuse_is_never_labelled(postgres, column):
    postgres.execute(HALF)
    documents = Relation(query=f"SELECT {column} FROM documents ORDER BY id")
    with pytest.raises(FormatError, match=f"'{column}', row 2") as caught:
        texts(postgres, documents)
    assert "types: {json: text}" in caught.value.hint
    first, second = texts(postgres, documents, ColumnRules(json=JsonPolicy.TEXT))
    whole = {"a": ('{"x": "\\ud83d\\ude00"}', '"\\ud800"'), "c": (["1"], ['"\\udc00"', None])}
    assert (*first, *second) == whole[column]


def test_json_is_judged_before_the_first_row_where_that_is_asked(postgres):
    postgres.execute(HALF)
    address = SourceAddress("postgresql", url=Secret(postgres.url))
    with connect(address, SessionSettings()) as session:
        for rules, kept in ((JsonPolicy.TEXT, "abc"), (JsonPolicy.CHECK, "ac")):
            for relation in (Relation(table="documents"), Relation(query="TABLE documents")):
                columns = session.columns(relation, ColumnRules(json=rules))
                assert [one.name for one in columns if one.notes] == list(kept)
                labels = {one.name: str(one.logical) for one in columns}
                assert labels["d"] == "json"
                assert labels["b"] == ("json" if rules is JsonPolicy.CHECK else "string")


def test_text_that_is_called_json_is_checked(any_postgres):
    any_postgres.execute("CREATE TABLE t AS SELECT unnest(ARRAY['{}', NULL, '{']) AS a")
    rules = ColumnRules(overrides={"a": JSON})
    with pytest.raises(FormatError, match="'a', row 3"):
        texts(any_postgres, Relation(table="t"), rules)


def test_a_configuration_sets_the_zone_of_a_view(any_postgres, tmp_path, rivet):
    any_postgres.execute("CREATE VIEW v AS SELECT timestamptz '2024-01-15 20:00Z'::date::text AS a")
    source = {"type": "postgresql", "url": any_postgres.url, "tls": {"mode": "disable"}}
    source["session"] = {"TimeZone": "Asia/Tokyo", "DateStyle": "ISO"}
    destination = {"type": "local", "path": "out"}
    export = {"name": "v", "table": "v", "format": "parquet", "destination": destination}
    config = tmp_path / "rivet.yaml"
    config.write_text(json.dumps({"source": source, "exports": [export]}))
    rivet("run", "-c", config).expect(0)
    (part,) = tmp_path.rglob("*.parquet")
    assert readers.pyarrow_rows(part) == [("2024-01-16",)]


def test_masks_over_arrays_and_their_domains(any_postgres):
    any_postgres.execute(
        "CREATE DOMAIN blobs AS bytea[]; CREATE DOMAIN blob AS bytea;"
        " CREATE DOMAIN flags AS bool[];"
        " CREATE TABLE t (a blobs, b bytea[], c blob, d flags, e blob[], f inet[], g int[]);"
        r" INSERT INTO t VALUES (ARRAY['\x00ff'::bytea, NULL], ARRAY['\x00ff'::bytea], '\x00ff',"
        r" '{t,NULL}', ARRAY['\x00ff'::blob], '{10.0.0.1}', '{1,NULL}');"
        " INSERT INTO t VALUES (NULL);"
        " INSERT INTO t VALUES ('{}', '{}', '', '{}', '{}', '{}', '{}')"
    )
    table = Relation(table="t")
    everyone = dict.fromkeys("abcdefg", Mask.HASH)
    of_text = "encode(sha256(convert_to({0}::text, 'UTF8')), 'hex')"
    listed = [of_text.format(name) for name in "abdefg"]
    listed.insert(2, "encode(sha256(c), 'hex')")
    hashed = f"SET bytea_output = 'hex'; SELECT {', '.join(listed)} FROM t"
    expected = any_postgres.execute(hashed)
    assert texts(any_postgres, table, ColumnRules(masks=everyone)) == expected
    redacted = texts(any_postgres, table, ColumnRules(masks=dict.fromkeys("abcdefg", Mask.REDACT)))
    assert redacted == [("***",) * 7, (None,) * 7, ("***",) * 7]
    gone = texts(any_postgres, table, ColumnRules(masks=dict.fromkeys("abcdefg", Mask.NULL)))
    assert gone == [(None,) * 7] * 3


def test_a_csv_without_labels_takes_json_as_it_is(any_postgres, tmp_path, rivet):
    any_postgres.execute(HALF)
    source = {"type": "postgresql", "url": any_postgres.url, "tls": {"mode": "disable"}}
    common = {"table": "documents", "format": "csv", "exclude": ["e"]}
    exports = [
        {"name": one, "destination": {"type": "local", "path": one}, "types": {"json": one}}
        for one in ("json", "text", "check")
    ]
    config = tmp_path / "rivet.yaml"
    config.write_text(json.dumps({"source": source, "exports": [common | one for one in exports]}))
    told = rivet("run", "-c", config).expect(0)
    assert "kept as text" not in told.stdout + told.stderr
    texts_of = {part.read_text() for part in tmp_path.rglob("*.csv")}
    (whole,) = texts_of
    assert whole.splitlines()[2] == r'2,"""\ud800""",null,"[""\""\\udc00\"""",null]",'
    promised = exports[0] | {"columns": {"a": "json"}}
    config.write_text(json.dumps({"source": source, "exports": [common | promised]}))
    assert "RFC 8259" in rivet("run", "-c", config).expect(1).stderr
