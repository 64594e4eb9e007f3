"""The one way to open a PostgreSQL connection; every command comes through here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

from rivet.dial.gate import Protection
from rivet.dial.guarded import Connection, GivenUpError
from rivet.dial.login import ExposedError, log_in
from rivet.dial.parameters import protection
from rivet.errors import ConfigError, SourceError, SourceInterruptedError
from rivet.model.source import SessionSettings
from rivet.redact import redact, visible
from rivet.sources.network import DECIDE_HINT
from rivet.sources.postgres.address import connection_parameters, plaintext_is_accepted
from rivet.sources.postgres.faults import connect_error
from rivet.sources.postgres.session import PostgresSession

if TYPE_CHECKING:
    from rivet.model.source import SourceAddress

_OLDEST: Final = 120000


def check_address(address: SourceAddress) -> None:
    """Refuse an address that cannot be right; no name is looked up.

    Raises:
        ConfigError: The URL, the service or the TLS settings are not valid.
    """
    connection_parameters(address, SessionSettings())


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
    decided = protection(parameters)
    if plaintext_is_accepted(address):
        decided = Protection.ACCEPTED
    try:
        connection = Connection.over(
            log_in(
                parameters,
                decided,
                timeout_s=_limit_s(parameters, settings),
                is_stopped=settings.is_stopped,
            )
        )
    except psycopg.ProgrammingError as error:
        msg = f"the connection settings are not valid: {visible(redact(str(error).strip()))}"
        raise ConfigError(msg) from error
    except ExposedError as error:
        msg = f"TLS is required to reach {visible(str(error))}, and no TLS mode is set"
        raise ConfigError(msg, hint=DECIDE_HINT) from error
    except GivenUpError as error:
        raise SourceInterruptedError(str(error)) from error
    except psycopg.Error as error:
        raise connect_error(error, where) from error
    if connection.info.server_version < _OLDEST:
        version = connection.info.parameter_status("server_version")
        connection.close()
        msg = f"{where} runs PostgreSQL {version}; Rivet reads version 12 and newer"
        raise SourceError(msg)
    return PostgresSession(connection, settings)


def _limit_s(parameters: dict[str, str], settings: SessionSettings) -> float:
    """Return the limit that the URL gives, else the configuration's; no limit is none of both."""
    given = parameters["connect_timeout"]
    return float(given) if given.isdecimal() and int(given) > 0 else settings.connect_timeout_s


def _place(parameters: dict[str, str]) -> str:
    """Name the server for messages, without user or secrets."""
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    port = parameters.get("port")
    database = parameters.get("dbname")
    place = f"{host}:{port}" if port and not host.startswith("/") else host
    return visible(redact(f"PostgreSQL at {place}" + (f"/{database}" if database else "")))
