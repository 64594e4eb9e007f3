"""What a server may answer is never a bug: each of its codes has a class and a way out.

The codes come from real servers, which raise any code that a function asks for.
"""

from urllib.parse import unquote, urlsplit

import psycopg
import pymysql
import pytest

from rivet.errors import (
    ConnectionLimitError,
    InternalError,
    SourceAuthError,
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    SourceUnavailableError,
)

POSTGRES = {
    SourceAuthError: ["28000", "28P01", "3D000", "42501"],
    SourceQueryError: [
        *("0A000", "21000", "22012", "22P02", "25006", "3F000", "42601", "42704", "42883", "42P01"),
        *("54000", "54001", "54011", "54023", "P0001", "P0002", "38000", "39000", "2F003", "42P17"),
    ],
    ConnectionLimitError: ["53300"],
    SourceUnavailableError: [
        *("53000", "53100", "53200", "53400", "55000", "55006", "55P03", "57P03", "58000"),
        *("58030", "58P01", "F0000", "HV000", "HV00N", "HV00B"),
    ],
    SourceInterruptedError: [
        *("08000", "08006", "08P01", "25P03", "25P04", "40000", "40001", "40P01", "57014", "57P01"),
        *("57P02", "57P05", "72000"),
    ],
    SourceError: ["57P04", "XX000", "XX001", "XX002", "ZZ999"],
}

MYSQL = {
    SourceAuthError: [1044, 1045, 1142, 1143, 1227, 1356, 1370, 1449, 1698, 3118, 3554],
    SourceQueryError: [
        1046,
        1054,
        1064,
        1146,
        1193,
        1235,
        1290,
        1292,
        1305,
        1436,
        1644,
        1690,
        1792,
    ],
    ConnectionLimitError: [1040, 1203, 1226],
    SourceUnavailableError: [1021, 1028, 1030, 1037, 1038, 1041, 1114, 1135],
    SourceInterruptedError: [1053, 1077, 1205, 1206, 1213, 1317, 1614, 1880, 1927, 3572],
    SourceStatementTimeoutError: [1969, 3024],
    SourceError: [1105, 1153, 9999],
}


def wrong(expected, raised):
    found = []
    for cls, codes in expected.items():
        for code in codes:
            error = raised(code)
            if (
                type(error) is not cls
                or not error.hint
                or error.exit_code == InternalError.exit_code
            ):
                found.append((code, type(error).__name__, getattr(error, "hint", None)))
    return found


def test_every_refusal_of_postgresql_has_its_class_and_a_way_out(any_postgres):
    from rivet.sources.postgres.faults import translated

    any_postgres.execute(
        "CREATE FUNCTION boom(code text) RETURNS int LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'no' USING ERRCODE = code; END$$"
    )
    with psycopg.connect(any_postgres.url, autocommit=True) as connection:

        def raised(code):
            with pytest.raises(SourceError) as caught, translated("reading"):
                connection.execute("SELECT boom(%s)", [code])
            return caught.value

        assert wrong(POSTGRES, raised) == []


def test_every_refusal_of_mysql_has_its_class_and_a_way_out(mariadb):
    from rivet.sources.mysql.faults import translated

    mariadb.execute(
        "CREATE PROCEDURE boom(number int) SIGNAL SQLSTATE '45000' "
        "SET MYSQL_ERRNO = number, MESSAGE_TEXT = 'no'"
    )
    at = urlsplit(mariadb.url)
    login = {"user": at.username, "password": unquote(at.password), "database": mariadb.name}
    with pymysql.connect(host=at.hostname, port=at.port, **login) as connection:

        def raised(code):
            with pytest.raises(SourceError) as caught, translated("reading"):
                connection.query(f"CALL boom({code})")
            return caught.value

        assert wrong(MYSQL, raised) == []
