"""The one way to open a PostgreSQL connection; every command comes through here."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import make_conninfo

from rivet.errors import ConfigError, SourceError
from rivet.redact import redact, visible
from rivet.sources.postgres.address import connection_parameters
from rivet.sources.postgres.faults import connect_error
from rivet.sources.postgres.session import PostgresSession

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.model.source import SessionSettings, SourceAddress

_OLDEST: Final = 120000
_CLIENT_SETTINGS: Final = ("PGTZ", "PGDATESTYLE")
_ENVIRONMENT: Final = threading.Lock()


def connect(address: SourceAddress, settings: SessionSettings) -> PostgresSession:
    """Open a session; nothing is set on the server beyond the transactions it opens later.

    A transaction-pooling proxy hands one server connection to many clients, so the session never
    uses prepared statements by name nor settings that outlive a transaction.

    Raises:
        ConfigError: The URL, the service or the TLS settings are not valid.
        SourceAuthError: The server refused the user, the password or the certificate.
        SourceUnavailableError: The server cannot be reached or has no free slot.
        SourceError: The server is older than PostgreSQL 12.
    """
    parameters = connection_parameters(address, settings)
    where = _place(parameters)
    try:
        with _settings_of_the_role():
            connection = psycopg.connect(
                make_conninfo("", **parameters), autocommit=True, prepare_threshold=None
            )
    except psycopg.ProgrammingError as error:
        msg = f"the connection settings are not valid: {visible(redact(str(error).strip()))}"
        raise ConfigError(msg) from error
    except psycopg.Error as error:
        raise connect_error(error, where) from error
    if connection.info.server_version < _OLDEST:
        version = connection.info.parameter_status("server_version")
        connection.close()
        msg = f"{where} runs PostgreSQL {version}; Rivet reads version 12 and newer"
        raise SourceError(msg)
    return PostgresSession(connection, settings)


@contextmanager
def _settings_of_the_role() -> Iterator[None]:
    """Keep libpq from giving the zone and the date style of this process to the server.

    What they mean is in the role, in the URL or under `source.session`: the same configuration
    must not read other values on another machine. `PGOPTIONS` stays, as it is what `options` of a
    URL is. Does nothing where neither is set.
    """
    if not any(name in os.environ for name in _CLIENT_SETTINGS):
        yield
        return
    with _ENVIRONMENT:
        kept = {name: os.environ.pop(name, None) for name in _CLIENT_SETTINGS}
        try:
            yield
        finally:
            os.environ.update({name: value for name, value in kept.items() if value is not None})


def _place(parameters: dict[str, str]) -> str:
    """Name the server for messages, without user or secrets."""
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    port = parameters.get("port")
    database = parameters.get("dbname")
    place = f"{host}:{port}" if port and not host.startswith("/") else host
    return visible(redact(f"PostgreSQL at {place}" + (f"/{database}" if database else "")))
