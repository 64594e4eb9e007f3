"""psycopg's errors as Rivet's."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors as driver

from rivet import errors
from rivet.sources.postgres.faults import connect_error, source_error


def translate(cls, text="it failed", **timing):
    timing = {"statement_timeout_s": 0.0, "waited_s": 0.0, **timing}
    return source_error(cls(text), "reading t", **timing)


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (driver.UndefinedTable, errors.SourceQueryError),
        (driver.SyntaxError, errors.SourceQueryError),
        (driver.ReadOnlySqlTransaction, errors.SourceQueryError),
        (driver.DivisionByZero, errors.SourceQueryError),
        (driver.InsufficientPrivilege, errors.SourceAuthError),
        (driver.InvalidPassword, errors.SourceAuthError),
        (driver.InvalidCatalogName, errors.SourceAuthError),
        (driver.AdminShutdown, errors.SourceInterruptedError),
        (driver.CrashShutdown, errors.SourceInterruptedError),
        (driver.ConnectionFailure, errors.SourceInterruptedError),
        (driver.SerializationFailure, errors.SourceInterruptedError),
        (driver.IdleInTransactionSessionTimeout, errors.SourceInterruptedError),
        (driver.QueryCanceled, errors.SourceInterruptedError),
        (driver.CannotConnectNow, errors.SourceUnavailableError),
        (driver.TooManyConnections, errors.ConnectionLimitError),
        (driver.LockNotAvailable, errors.SourceUnavailableError),
        (psycopg.OperationalError, errors.SourceInterruptedError),
    ],
)
def test_each_class_of_sqlstate(cls, expected):
    found = translate(cls)
    assert type(found) is expected
    assert found.hint
    assert str(found) == "reading t: it failed"


@pytest.mark.parametrize("cls", sorted(driver._sqlcodes.values(), key=lambda cls: cls.__name__))
def test_every_error_of_the_driver_has_a_class_and_a_hint(cls):
    found = translate(cls)
    assert isinstance(found, errors.SourceError)
    assert found.hint


def test_a_cancel_after_the_limit_is_the_statement_timeout():
    timed_out = translate(driver.QueryCanceled, statement_timeout_s=2.0, waited_s=2.01)
    assert type(timed_out) is errors.SourceStatementTimeoutError
    assert "2 s" in str(timed_out)
    cancelled = translate(driver.QueryCanceled, statement_timeout_s=2.0, waited_s=1.0)
    assert type(cancelled) is errors.SourceInterruptedError


def test_no_cell_value_in_a_data_exception():
    found = translate(driver.InvalidTextRepresentation, 'invalid input for integer: "4111 1111"')
    assert "4111" not in str(found)


def test_control_bytes_are_made_visible():
    assert "\x1b" not in str(translate(driver.UndefinedTable, 'relation "\x1b[2J" does not exist'))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('FATAL:  password authentication failed for user "u"', errors.SourceAuthError),
        ("fe_sendauth: no password supplied", errors.SourceAuthError),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4"', errors.SourceAuthError),
        ('FATAL:  database "x" does not exist', errors.SourceAuthError),
        ("SSL error: certificate verify failed", errors.SourceAuthError),
        ("Connection refused", errors.SourceUnavailableError),
        ("FATAL:  sorry, too many clients already", errors.ConnectionLimitError),
    ],
)
def test_refused_connections(text, expected):
    found = connect_error(psycopg.OperationalError(text), "PostgreSQL at db:5432")
    assert type(found) is expected
    assert found.hint
    assert str(found).startswith("cannot connect to PostgreSQL at db:5432: ")
