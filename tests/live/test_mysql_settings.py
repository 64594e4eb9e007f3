"""Settings of real MariaDB and MySQL: a user's SQL keeps its meaning, values their exactness."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa
import pymysql
import pytest

import rivet
from rivet.errors import ConfigError, FormatError, UnsupportedPlanError
from rivet.model.columns import ColumnRules, Mask
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.model.span import Span, SpanKind
from rivet.model.types import JSON, STRING, InvalidPolicy, JsonPolicy
from rivet.redact import Secret
from rivet.sources.mysql import connect

FLAGS = (
    *("REAL_AS_FLOAT", "PIPES_AS_CONCAT", "ANSI_QUOTES", "IGNORE_SPACE", "ONLY_FULL_GROUP_BY"),
    *("NO_UNSIGNED_SUBTRACTION", "NO_BACKSLASH_ESCAPES", "STRICT_ALL_TABLES", "NO_ZERO_IN_DATE"),
    *("NO_ZERO_DATE", "ALLOW_INVALID_DATES", "ERROR_FOR_DIVISION_BY_ZERO", "HIGH_NOT_PRECEDENCE"),
    *("TIME_ROUND_FRACTIONAL", "ANSI", "TRADITIONAL", "ORACLE", "MSSQL", "DB2"),
)
# Every one means something else under some flag.
EXPRESSIONS = (
    "'a'||'b'",
    '"t"',
    r"'x\\y'",
    r"'x\'",
    "NOT 1 BETWEEN -5 AND 5",
    "COUNT (*)",
    r"'100%' LIKE '%\%'",
    "CAST(1 AS UNSIGNED) - 2",
    "CAST('0.1' AS REAL) + 0",
    "CAST(STR_TO_DATE('2024-02-31', '%Y-%m-%d') AS CHAR)",
    "CAST(STR_TO_DATE('0000-00-00', '%Y-%m-%d') AS CHAR)",
    "CAST('2024-01-01 00:00:00.9' AS DATETIME)",
    "SUBSTR('abc', 0, 2)",
    "CONCAT('a', NULL)",
)


LOST = "SELECT CONVERT('\N{SNOWMAN}' USING latin1) AS x"
# Flags that MySQL does not have.
OF_MARIADB = {"TIME_ROUND_FRACTIONAL", "ORACLE", "MSSQL", "DB2"}
BOTH = [
    pytest.param("mariadb", marks=pytest.mark.live("mysql")),
    pytest.param("mysql9", marks=pytest.mark.live("mysql9")),
]


@pytest.fixture(params=BOTH)
def server(request):
    """A fresh database on each server."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=BOTH)
def shared(request):
    """One database per server for the module."""
    return request.getfixturevalue(f"shared_{request.param}")


def opened(database, **variables):
    address = SourceAddress("mysql", url=Secret(database.url), tls=TlsOptions(TlsMode.DISABLE))
    return connect(address, SessionSettings(variables=variables))


def plain_client(database):
    """A client that knows nothing of Rivet's settings; it takes results as texts."""
    address = urlsplit(database.admin_url)
    connection = pymysql.connect(
        host=address.hostname,
        port=address.port,
        user=unquote(address.username),
        password=unquote(address.password).encode(),
        database=database.name,
        charset="utf8mb4",
        autocommit=True,
    )
    connection.decoders = {}
    return closing(connection)


def ask(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def read(session, relation, rules=None, **more) -> list[tuple]:
    columns = session.columns(relation, rules or ColumnRules())
    batches = list(session.read(ReadRequest(relation, columns, **more)))
    table = pa.Table.from_batches(batches) if batches else pa.table({})
    return list(zip(*(one.to_pylist() for one in table.columns), strict=True))


def test_a_query_means_what_it_means_to_every_client_of_the_server(server):
    server.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (7)")
    sql = """SELECT "id", 'a'||'b' AS ab, 'x\\' AS c FROM t"""
    with plain_client(server) as client, opened(server) as session:
        (wanted,) = ask(client, sql)
        assert wanted == ("7", "ab", "x\\")
        assert read(session, Relation(query=sql)) == [(7, "ab", "x\\")]
        masked = ColumnRules(masks={"c": Mask.REDACT})
        assert read(session, Relation(query=f"{sql};  -- all"), masked) == [(7, "ab", "***")]


@pytest.mark.parametrize("flag", FLAGS)
def test_rows_are_exact_under_every_flag_and_expressions_keep_its_meaning(shared, flag):
    if flag in OF_MARIADB and "MariaDB" not in shared.execute("SELECT VERSION()")[0][0]:
        pytest.skip("MySQL has no such flag")
    shared.execute(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (a varchar(20) PRIMARY KEY,"
        " b char(5) CHARACTER SET cp1251, c float, d timestamp(3) NULL, e date, f blob, g text);"
        r"INSERT INTO t VALUES ('it''s \\ \"', 'a?', 0.1, '2024-03-31 02:30:00.125', '0000-00-00',"
        r" x'00FF', ''), ('', NULL, NULL, NULL, NULL, NULL, '\\\\')"
    )
    with plain_client(shared) as client, opened(shared, sql_mode=flag) as session:
        ask(client, f"SET sql_mode = '{flag}'")
        rows = read(session, Relation(table="t"), slice_s=0.5, slice_bytes=1)
        (first,) = read(session, Relation(query="SELECT * FROM t WHERE `b` IS NOT NULL"))
        assert max(rows) == first
        assert first[0] == "it's \\ \""
        assert first[1:3] == ("a?", pytest.approx(0.1))
        assert str(first[3]) == "2024-03-31 02:30:00.125000+00:00"
        assert first[4:] == (None, b"\x00\xff", "")
        assert min(rows) == ("", None, None, None, None, None, "\\\\")
        for expression in EXPRESSIONS:
            sql = f"SELECT {expression} AS x FROM t LIMIT 1"
            try:
                wanted = ask(client, sql)
            except pymysql.err.MySQLError:
                continue
            ((found,),) = read(session, Relation(query=sql))
            assert _text(found) == _text(wanted[0][0]), expression


def _text(value: object) -> str | None:
    """Return a value in the server's spelling."""
    if value is None or isinstance(value, str):
        return value
    text = value.decode() if isinstance(value, bytes) else str(value)
    return text.removesuffix(".0") if "." in text else text


def test_what_a_statement_means_otherwise_is_said_by_name(server, tmp_path):
    server.execute("CREATE TABLE t (ts timestamp NULL); INSERT INTO t VALUES ('2024-01-01 20:00')")
    server.execute("CREATE VIEW v AS SELECT DATE(ts) AS day FROM t")
    with opened(server) as session:
        note = session.settings_note(Relation(query="SELECT NOW()"))
        assert "time_zone (the server's is +05:30" in note
        assert "PAD_CHAR_TO_FULL_LENGTH" in note
        assert session.settings_note(Relation(table="v")).startswith("v is read under other")
        assert session.settings_note(Relation(table="t")) is None
        assert session.settings_note(Relation(table="v", schema=server.name)) is not None
    with opened(server, time_zone="+05:30", sql_mode="") as session:
        assert session.settings_note(Relation(table="v")) is None
        assert [str(day) for (day,) in read(session, Relation(table="v"))] == ["2024-01-02"]
    config = tmp_path / "rivet.yaml"
    config.write_text(
        f"source: {{type: mysql, url: '{server.url.replace(chr(39), '%27')}',"
        " tls: {mode: disable}, session: {Time_Zone: '+05:30'}}\n"
        "exports: [{name: v, table: v, format: parquet,"
        " destination: {type: local, path: out}}]\n"
    )
    (report,) = rivet.run(config).exports
    assert any("PAD_CHAR" in one and "time_zone" not in one for one in report.warnings)
    rows = duckdb.sql(f"SELECT day FROM read_parquet('{tmp_path}/out/*.parquet')").fetchall()
    assert [str(day) for (day,) in rows] == ["2024-01-02"]


def test_timestamps_are_exact_in_a_zone_that_was_chosen(server):
    server.execute(
        "CREATE TABLE t (ts timestamp(6) NULL, d datetime NULL, KEY (ts));"
        "INSERT INTO t VALUES ('2024-03-31 02:30:00.123456', '2024-03-31 02:30'), (NULL, NULL),"
        " ('1970-01-01 00:00:01', NULL), ('2038-01-19 03:14:07.999999', NULL);"
        "SET sql_mode = ''; INSERT INTO t VALUES (0, '0000-00-00');"
        "CREATE TABLE k (ts timestamp PRIMARY KEY); INSERT INTO k VALUES ('2024-01-01')"
    )
    relations = (
        Relation(table="t"),
        Relation(query="SELECT MAX(ts) ts, MIN(d) d FROM t GROUP BY ts"),
    )
    for rules in (ColumnRules(), ColumnRules(masks={"ts": Mask.HASH})):
        with opened(server) as utc, opened(server, time_zone="-11:00") as other:
            for relation in relations:
                wanted = sorted(map(str, read(utc, relation, rules)))
                assert sorted(map(str, read(other, relation, rules))) == wanted
    ts = Span(SpanKind.KEY, ("ts",), lower=("2024-01-01 00:00:00",))
    with opened(server, time_zone="+09:00") as session:
        session.facts(Relation(table="k"))
        ((moment,),) = read(session, Relation(table="k"), slice_s=0.5, slice_bytes=1)
        assert str(moment) == "2024-01-01 00:00:00+00:00"
        with pytest.raises(UnsupportedPlanError, match=r"'ts' in a session in \+09:00"):
            read(session, Relation(table="k"), spans=(ts,))
        with pytest.raises(UnsupportedPlanError):
            session.count(Relation(table="k"), (ts,))


@pytest.mark.live("mysql")
def test_the_present_is_read_whatever_instant_the_server_shows(lone_mariadb):
    lone_mariadb.execute(
        "CREATE TABLE t (id int) WITH SYSTEM VERSIONING; INSERT INTO t VALUES (1);"
        "SET GLOBAL system_versioning_asof = '2001-01-01 00:00:00'"
    )
    try:
        with opened(lone_mariadb) as session:
            assert read(session, Relation(table="t")) == [(1,)]
            assert "system_versioning_asof" in session.settings_note(Relation(query="SELECT 1"))
        with opened(lone_mariadb, system_versioning_asof="2001-01-01 00:00:00") as session:
            assert read(session, Relation(table="t")) == []
    finally:
        lone_mariadb.execute("SET GLOBAL system_versioning_asof = DEFAULT")


@pytest.mark.parametrize(
    ("name", "value"),
    [("no_such_setting", "77777"), ("time_zone", "Moon/Base"), ("sql_mode", "WRONG")],
)
def test_a_setting_that_the_server_does_not_take_is_named(server, name, value):
    with pytest.raises(ConfigError, match=rf"does not take `source\.session\.{name}`") as caught:
        opened(server, **{name: value})
    assert value not in str(caught.value)
    if name == "time_zone":
        assert "'+09:00'" in caught.value.hint


def test_settings_of_words_and_lists_stay_the_servers(server):
    sql = (
        "SELECT DATE_FORMAT('2024-01-01', '%W %M') AS words, 1/3 AS third,"
        " @@group_concat_max_len AS longest, @@div_precision_increment AS digits"
    )
    with plain_client(server) as client, opened(server) as session:
        (wanted,) = ask(client, sql)
        ((words, third, longest, digits),) = read(session, Relation(query=sql))
        assert (words, str(third), str(longest), str(digits)) == wanted
        assert words == "Montag Januar"
    with opened(server, group_concat_max_len="5") as session:
        assert read(session, Relation(query="SELECT @@group_concat_max_len AS x")) == [(5,)]


def test_what_the_server_says_became_of_values_is_told(server, tmp_path):
    server.execute(
        "CREATE TABLE t (a varchar(20), b longtext);"
        "INSERT INTO t VALUES ('12abc', REPEAT('x', 1000)), ('9', 'y')"
    )
    told = {
        "SELECT GROUP_CONCAT(b) AS x FROM t": "GROUP_CONCAT cut a text",
        "SELECT a + 0 AS x FROM t": "a text that is no number",
        "SELECT REPEAT(b, 100000) AS x FROM t": "`max_allowed_packet` became NULL",
        "SELECT STR_TO_DATE(a, '%Y-%m-%d') AS x FROM t": "became NULL",
        LOST: "became a question mark",
        "SELECT 1/0 AS x, a FROM t": None,
        "SELECT a FROM t": None,
    }
    if "MariaDB" not in server.execute("SELECT VERSION()")[0][0]:
        del told[LOST]  # MySQL says nothing of it
    with opened(server, sql_mode="ERROR_FOR_DIVISION_BY_ZERO", group_concat_max_len="10") as one:
        for sql, words in told.items():
            relation = Relation(query=sql)
            stream = one.read(ReadRequest(relation, one.columns(relation, ColumnRules())))
            assert list(stream)
            remarks = " ".join(stream.counters.remarks)
            assert words in remarks if words else not remarks, sql
            assert "12abc" not in remarks
    config = tmp_path / "rivet.yaml"
    config.write_text(
        f"source: {{type: mysql, url: '{server.url.replace(chr(39), '%27')}',"
        " tls: {mode: disable}, session: {group_concat_max_len: 10}}\n"
        "exports: [{name: v, query: 'SELECT GROUP_CONCAT(b) AS x FROM t', format: parquet,"
        " destination: {type: local, path: out}}]\n"
    )
    (report,) = rivet.run(config).exports
    assert any("GROUP_CONCAT cut a text" in one for one in report.warnings)


def test_every_number_of_digits_behind_the_point_is_kept(server):
    """The wire's 31 means "not told" for other types."""
    most = 39 if "MariaDB" in server.execute("SELECT VERSION()")[0][0] else 31
    columns = ", ".join(f"c{n} decimal({n}, {n})" for n in range(1, most))
    values = ", ".join("-0." + "9" * n for n in range(1, most))
    server.execute(f"CREATE TABLE digits ({columns}); INSERT INTO digits VALUES ({values})")
    with opened(server) as session:
        (row,) = read(session, Relation(table="digits"))
        assert [str(value) for value in row] == values.split(", ")


def test_values_that_no_file_type_holds_have_words(server):
    digits = "9" * 80
    with opened(server) as session:
        relation = Relation(query=f"SELECT {digits} AS x, 1.5 AS y")
        ((text, _),) = read(session, relation)
        assert text == digits
        (column, _) = session.columns(relation, ColumnRules())
        assert (column.native_type, column.fidelity.value) == ("decimal(80,0)", "text")
    fail = ColumnRules(out_of_range=InvalidPolicy.FAIL)
    for sql, words in {
        "SELECT CAST('24:00:00' AS time) AS x": "span of time that is no time of a day",
        "SELECT CAST('-00:00:01' AS time) AS x": "span of time that is no time of a day",
        "SELECT CAST('2024-00-10' AS date) AS x": "zero month or day",
        "SELECT CAST('0000-00-00' AS datetime) AS x": "no moment",
    }.items():
        with opened(server) as session, pytest.raises(FormatError, match=words):
            read(session, Relation(query=sql), fail)


@pytest.mark.live("mysql")
def test_json_is_labelled_only_where_each_value_is_json(mariadb):
    mariadb.execute(
        "CREATE TABLE t (a json, b text); INSERT INTO t VALUES ('[1]', '{}'), (NULL, NULL),"
        " ('[-1.]', '01'), ('\"x\"', '{}')"
    )
    table = Relation(table="t")
    for sql in ("SELECT a FROM t", "SELECT b AS a FROM t"):
        rules = ColumnRules(overrides={"a": JSON})
        with opened(mariadb) as session, pytest.raises(FormatError) as caught:
            read(session, Relation(query=sql), rules)
        assert (caught.value.error_code, caught.value.context["row"]) == ("RIVET_FORMAT_JSON", "3")
    with opened(mariadb) as session, pytest.raises(FormatError, match="column 'a', row 3"):
        read(session, table)
    for policy in (JsonPolicy.TEXT, JsonPolicy.CHECK):
        with opened(mariadb) as session:
            rules = ColumnRules(include=frozenset({"a"}), json=policy)
            (column,) = session.columns(table, rules)
            assert column.logical == STRING
            assert "types.json" in column.notes[0]
            assert read(session, table, rules) == [("[1]",), (None,), ("[-1.]",), ('"x"',)]
    unlabelled = ColumnRules(include=("a",), is_json_labelled=False)
    with opened(mariadb) as session:
        assert session.columns(table, unlabelled)[0].logical == JSON
        assert read(session, table, unlabelled)[2] == ("[-1.]",)


@pytest.mark.live("mysql9")
def test_json_of_mysql_keeps_its_label_in_every_policy_but_text(mysql9):
    mysql9.execute("CREATE TABLE t (a json); INSERT INTO t VALUES ('[1, -0.5]'), (NULL)")
    labels = {JsonPolicy.JSON: JSON, JsonPolicy.CHECK: JSON, JsonPolicy.TEXT: STRING}
    for policy, label in labels.items():
        with opened(mysql9) as session:
            (column,) = session.columns(Relation(table="t"), ColumnRules(json=policy))
            assert column.logical == label
            rows = read(session, Relation(table="t"), ColumnRules(json=policy))
            assert rows == [("[1, -0.5]",), (None,)]
