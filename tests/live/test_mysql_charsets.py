"""Texts in every character set of a real MariaDB: exact, or refused by column and row."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pymysql
import pytest

from rivet.errors import FormatError
from rivet.model.columns import ColumnRules, Mask
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
from rivet.model.types import BINARY
from rivet.redact import Secret
from rivet.sources.mysql import connect

pytestmark = pytest.mark.live("mysql")

WIDE = "\N{FULLWIDTH QUESTION MARK}"
# The first character of each that Unicode does not have, found by trying every one.
GAPS = {
    "ascii": "80",
    "big5": "A3C0",
    "cp1250": "81",
    "cp1251": "98",
    "cp1256": "8A",
    "cp1257": "81",
    "cp932": "81AD",
    "dec8": "A4",
    "eucjpms": "A2AF",
    "euckr": "A2E8",
    "gb2312": "A2A1",
    "gbk": "A140",
    "geostd8": "81",
    "greek": "A4",
    "hebrew": "A1",
    "hp8": "FF",
    "sjis": "81AD",
    "swe7": "7F",
    "tis620": "DB",
    "ujis": "A2AF",
}


def driver(database):
    address = urlsplit(database.admin_url)
    return pymysql.connect(
        host=address.hostname,
        port=address.port,
        user=unquote(address.username),
        password=unquote(address.password).encode(),
        database=database.name,
        charset="utf8mb4",
        autocommit=True,
    )


def ask(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@pytest.fixture(scope="module")
def raw(shared_mariadb):
    connection = driver(shared_mariadb)
    ask(connection, "SET sql_mode = ''")
    yield connection
    connection.close()


@pytest.fixture
def session(shared_mariadb):
    address = SourceAddress(
        "mysql", url=Secret(shared_mariadb.url), tls=TlsOptions(TlsMode.DISABLE)
    )
    with connect(address, SessionSettings()) as opened:
        yield opened


def read(session, relation, rules=None) -> list[tuple]:
    columns = session.columns(relation, rules or ColumnRules())
    batches = list(session.read(ReadRequest(relation, columns)))
    table = pa.Table.from_batches(batches) if batches else pa.table({})
    return list(zip(*(one.to_pylist() for one in table.columns), strict=True))


def refusal(shared_mariadb, relation, rules=None) -> FormatError:
    address = SourceAddress(
        "mysql", url=Secret(shared_mariadb.url), tls=TlsOptions(TlsMode.DISABLE)
    )
    with connect(address, SessionSettings()) as opened, pytest.raises(FormatError) as caught:
        read(opened, relation, rules)
    return caught.value


@pytest.mark.parametrize("charset", GAPS)
def test_a_character_that_unicode_lacks_is_refused_and_its_bytes_can_be_had(
    shared_mariadb, session, raw, charset
):
    ask(raw, "DROP TABLE IF EXISTS t")
    ask(raw, f"CREATE TABLE t (i int, a varchar(9) CHARACTER SET {charset})")
    bad = f"CONVERT(x'{GAPS[charset]}' USING {charset})"
    ask(raw, f"INSERT INTO t VALUES (1, '?'), (2, NULL), (3, 'a?b'), (4, {bad}), (5, '')")
    query = Relation(query="SELECT a, i FROM t ORDER BY i")
    for relation in (query, Relation(table="t")) if charset == "cp1251" else (query,):
        error = refusal(shared_mariadb, relation)
        assert (error.error_code, error.context["column"]) == ("RIVET_FORMAT_UNMAPPED", "a")
        assert error.context["row"] == "4"
        assert "`columns:` with the type `binary`" in error.hint
    own = read(session, Relation(table="t"), ColumnRules(overrides={"a": BINARY}))
    wanted = [b"?", None, b"a?b", bytes.fromhex(GAPS[charset]), b""]
    assert [value for _, value in own] == wanted
    ask(raw, "DELETE FROM t WHERE i = 4")
    texts = [value for _, value in read(session, Relation(table="t"))]
    assert texts == ["?", None, "a?b", ""]


@pytest.mark.live("mysql9")
def test_mysql_lacks_the_same_characters(shared_mysql9):
    own = driver(shared_mysql9)
    gaps = {name: text for name, text in GAPS.items() if name != "ascii"}  # it takes no x'80'
    for charset, text in {**gaps, "ucs2": "D800"}.items():
        ask(own, "DROP TABLE IF EXISTS t")
        ask(own, f"CREATE TABLE t (i int, a varchar(9) CHARACTER SET {charset})")
        ask(own, f"INSERT INTO t VALUES (1, '?'), (2, CONVERT(x'{text}' USING {charset}))")
        error = refusal(shared_mysql9, Relation(query="SELECT a, i FROM t ORDER BY i"))
        assert (error.context["column"], error.context["row"]) == ("a", "2"), charset
    own.close()


def test_every_character_that_can_be_sent_is_exact(session, raw):
    for (charset,) in ask(raw, "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS"):
        if charset == "binary":
            continue
        ask(raw, "DROP TABLE IF EXISTS t")
        ask(raw, f"CREATE TABLE t (b varbinary(4), a varchar(9) CHARACTER SET {charset})")
        ask(raw, "INSERT INTO t SELECT UNHEX(HEX(seq)), NULL FROM seq_0_to_255")
        ask(raw, "INSERT INTO t SELECT UNHEX(HEX(seq)), NULL FROM seq_32768_to_65535_step_7")
        ask(raw, "UPDATE IGNORE t SET a = b")
        # What the server puts in for a character is no character of the text.
        ask(raw, "DELETE FROM t WHERE b <> CONVERT(a USING binary)")
        sent = "CONVERT(CONVERT(a USING utf8mb4) USING binary)"
        if charset in GAPS:
            marks = "LENGTH({0}) - LENGTH(REPLACE({0}, x'3F', x''))"
            lost = f"{marks.format(sent)} <> {marks.format('b')} OR LOCATE(x'EFBFBD', {sent})"
            ask(raw, f"DELETE FROM t WHERE {lost}")
        elif charset == "ucs2":
            ask(raw, "DELETE FROM t WHERE b BETWEEN x'D800' AND x'DFFF'")
        wanted = [text for (text,) in ask(raw, "SELECT a FROM t")]
        assert [text for _, text in read(session, Relation(table="t"))] == wanted, charset
        assert len(wanted) > 100 or charset == "utf32", charset


def test_labels_masks_and_casts_do_not_hide_a_lost_character(shared_mariadb, session, raw):
    ask(raw, "DROP TABLE IF EXISTS e")
    ask(
        raw,
        "CREATE TABLE e (e enum(0x98, 'b') CHARACTER SET cp1251,"
        " s set(0x98, 'b') CHARACTER SET cp1251, c char(3) CHARACTER SET sjis)",
    )
    ask(raw, "INSERT INTO e VALUES (2, 2, '?'), (1, 3, CONVERT(0x81AD USING sjis))")
    for name in ("e", "s", "c"):
        only = frozenset({name})
        for rules in (
            ColumnRules(include=only),
            ColumnRules(include=only, masks={name: Mask.HASH}),
            ColumnRules(include=only, renames={name: "other"}),
        ):
            error = refusal(shared_mariadb, Relation(table="e"), rules)
            assert (error.error_code, error.context["row"]) == ("RIVET_FORMAT_UNMAPPED", "2")
    own = ColumnRules(overrides=dict.fromkeys("esc", BINARY))
    assert read(session, Relation(table="e"), own) == [
        (b"b", b"b", b"?"),
        (b"\x98", b"\x98,b", b"\x81\xad"),
    ]


def test_other_letters_that_a_collation_takes_for_a_question_mark_are_letters(session, raw):
    ask(raw, "DROP TABLE IF EXISTS w")
    ask(raw, "CREATE TABLE w (a varchar(9) CHARACTER SET cp932)")
    ask(raw, f"INSERT INTO w VALUES ('{WIDE}'), ('?{WIDE}')")
    ask(raw, "SET collation_connection = utf8mb4_unicode_ci")
    found = [text for (text,) in read(session, Relation(table="w"))]
    assert found == [WIDE, f"?{WIDE}"]


def test_halves_of_a_surrogate_pair_are_refused(shared_mariadb, session, raw):
    for charset, text in (("ucs2", "D800"), ("utf32", "0000D800"), ("utf8mb3", "EDA080")):
        ask(raw, "DROP TABLE IF EXISTS h")
        ask(raw, f"CREATE TABLE h (a varchar(9) CHARACTER SET {charset})")
        ask(raw, f"INSERT INTO h VALUES (CONVERT(x'{text}' USING {charset}))")
        error = refusal(shared_mariadb, Relation(table="h"))
        assert (error.error_code, error.context["row"]) == ("RIVET_FORMAT_ENCODING", "1")
        own = read(session, Relation(table="h"), ColumnRules(overrides={"a": BINARY}))
        assert own == [(bytes.fromhex(text),)]


def test_the_bytes_of_a_text_longer_than_a_packet_are_not_null(lone_mariadb):
    lone_mariadb.execute(
        "CREATE TABLE l (a longtext, b longtext CHARACTER SET cp1251);"
        "INSERT INTO l VALUES (REPEAT('x', 3000000), REPEAT('y', 3000000));"
        "SET GLOBAL max_allowed_packet = 1048576"
    )
    try:
        address = SourceAddress(
            "mysql", url=Secret(lone_mariadb.url), tls=TlsOptions(TlsMode.DISABLE)
        )
        with connect(address, SessionSettings()) as opened:
            ((a, b),) = read(opened, Relation(table="l"), ColumnRules(overrides={"a": BINARY}))
    finally:
        lone_mariadb.execute("SET GLOBAL max_allowed_packet = DEFAULT")
    assert (len(a), b) == (3_000_000, "y" * 3_000_000)
