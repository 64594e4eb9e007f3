"""Errors of a database: it refused, failed, cannot be reached or was cut off."""

from __future__ import annotations

from rivet.errors.base import RivetError


class SourceError(RivetError):
    """The database refused or failed, and trying again would give the same."""

    code = "RIVET_SOURCE_ERROR"


class SourceAuthError(SourceError):
    """The database refused the user, the password, the certificate or the right to read."""

    code = "RIVET_SOURCE_AUTH"


class SourceQueryError(SourceError):
    """The database refused the statement: a missing table or column, or a syntax error."""

    code = "RIVET_SOURCE_QUERY"


class SourceStatementTimeoutError(SourceError):
    """A statement ran into its time limit; the same statement would again."""

    code = "RIVET_SOURCE_STATEMENT_TIMEOUT"


class SourceUnavailableError(SourceError):
    """The database cannot be reached or takes no connections now."""

    code = "RIVET_SOURCE_UNAVAILABLE"
    exit_code = 2
    retryable = True


class ConnectionLimitError(SourceUnavailableError):
    """A limit of connections is reached: the server's, the database's or the user's own."""

    code = "RIVET_SOURCE_CONNECTION_LIMIT"


class SourceInterruptedError(SourceError):
    """The connection or the statement was cut in the middle; a new connection may go on."""

    code = "RIVET_SOURCE_INTERRUPTED"
    exit_code = 2
    retryable = True
    reconnect = True
