"""psycopg's errors as Rivet's: one table by SQLSTATE, one context manager.

libpq gives no SQLSTATE for a connection that was refused; only there is its text looked at.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg

from rivet.dial.guarded import FloodError, SilentError
from rivet.errors import (
    ConnectionLimitError,
    SourceAuthError,
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    SourceUnavailableError,
)
from rivet.redact import cleanse, foreign
from rivet.sources.network import AUTHORITY_HINT, no_tls_hint

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY_CHECK: Final = "check_enable_rls"
"""The server's function that refuses a statement which a policy would change."""

# The server's hint where a materialized view was made WITH NO DATA, in every language.
_REFRESH: Final = "REFRESH MATERIALIZED VIEW"

_Fault = tuple[type[SourceError], str | None]

_STATEMENT_HINT: Final = "check the names and the SQL of the export, then run it again"
_POLICY_HINT: Final = (
    "the role has row_security = off: read as a user whom no policy restricts, or let it see what "
    "the policies show with ALTER ROLE ... SET row_security = on"
)
_VALUE_HINT: Final = "a value does not fit the cast or expression that reads it; change that one"
_BYTES_HINT: Final = (
    "a text is not valid in the database's encoding, or Unicode lacks a character of it: read such "
    "a column as bytes with `columns: {<name>: binary}`"
)
_AGAIN_HINT: Final = "run it again; if it stays, look into the server's log"
_FUNCTION_HINT: Final = "a function of the query or view raised it; look into that one"
_WHO_HINT: Final = (
    "check the user and the password; one that has expired (VALID UNTIL) is refused alike"
)
_SLOTS_HINT: Final = "run fewer exports at once, lower `parallel`, or raise the limit"
_LOG_HINT: Final = "look into the server's log for this session"

# Longest prefix of the SQLSTATE wins.
_BY_SQLSTATE: Final[dict[str, _Fault]] = {
    "08": (SourceInterruptedError, _AGAIN_HINT),
    "0A": (SourceQueryError, _STATEMENT_HINT),
    "21": (SourceQueryError, _STATEMENT_HINT),
    "22": (SourceQueryError, _VALUE_HINT),
    "22021": (SourceQueryError, _BYTES_HINT),
    "22P05": (SourceQueryError, _BYTES_HINT),
    "25006": (SourceQueryError, "Rivet reads only; use a SELECT that changes nothing"),
    "25P03": (SourceInterruptedError, _AGAIN_HINT),
    "25P04": (SourceInterruptedError, _AGAIN_HINT),
    "28P01": (SourceAuthError, _WHO_HINT),
    "28": (SourceAuthError, "check the user, the password and the server's pg_hba.conf"),
    "3D000": (SourceAuthError, "check the database name"),
    "2F": (SourceQueryError, _FUNCTION_HINT),
    "38": (SourceQueryError, _FUNCTION_HINT),
    "39": (SourceQueryError, _FUNCTION_HINT),
    "3F": (SourceQueryError, "check the schema name"),
    "40": (SourceInterruptedError, _AGAIN_HINT),
    "42": (SourceQueryError, _STATEMENT_HINT),
    "42501": (SourceAuthError, "grant the user SELECT on it, and USAGE on its schema"),
    "53": (SourceUnavailableError, _AGAIN_HINT),
    "53300": (ConnectionLimitError, _SLOTS_HINT),
    "54": (SourceQueryError, "the statement is more than the server takes; read less with one"),
    "55": (SourceUnavailableError, _AGAIN_HINT),
    "55P03": (
        SourceUnavailableError,
        "another session holds a lock on it; raise tuning.lock_timeout_s or try again later",
    ),
    "57014": (SourceInterruptedError, _AGAIN_HINT),
    "57P": (SourceInterruptedError, _AGAIN_HINT),
    "57P03": (SourceUnavailableError, "the server is starting up or shutting down"),
    "57P04": (SourceError, _LOG_HINT),
    "57P05": (SourceInterruptedError, _AGAIN_HINT),
    "58": (SourceUnavailableError, _AGAIN_HINT),
    "72000": (SourceInterruptedError, _AGAIN_HINT),
    "F0": (SourceUnavailableError, _AGAIN_HINT),
    "HV": (SourceUnavailableError, "a foreign table's server cannot be read; look into its log"),
    "P0": (SourceQueryError, _FUNCTION_HINT),
    "XX": (SourceError, _LOG_HINT),
}

_FLOOD_HINT: Final = (
    "no healthy server does that: check what answers there; for rows that are so large, raise "
    "tuning.max_value_mb"
)
_SILENT_HINT: Final = "raise tuning.read_timeout_s where the server needs longer, or run it again"
_METHOD_HINT: Final = (
    "without TLS no password is sent, nor its MD5: set `tls: {mode: verify-full}`, or let the "
    "server ask for SCRAM (password_encryption = 'scram-sha-256', then set the password again)"
)
_PROOF_HINT: Final = "whoever answered may not be your server: check host and port, and use TLS"
_REFUSED: Final[tuple[tuple[re.Pattern[str], _Fault], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), fault)
    for pattern, fault in (
        (r"authentication method requirement", (SourceAuthError, _METHOD_HINT)),
        (
            r"did not complete authentication|SCRAM|channel binding|GSSAPI",
            (SourceAuthError, _PROOF_HINT),
        ),
        (
            r"password authentication failed|no password supplied|authentication failed",
            (SourceAuthError, _WHO_HINT),
        ),
        (
            r"no pg_hba\.conf entry|pg_hba\.conf rejects",
            (SourceAuthError, "the server's pg_hba.conf does not allow this user, host or TLS"),
        ),
        (
            r"too many (connections|clients)|remaining connection slots|max_client_conn"
            r"|no more connections allowed",
            (ConnectionLimitError, _SLOTS_HINT),
        ),
        (
            r"role .{1,80} does not exist|not permitted to log in",
            (SourceAuthError, "check the user"),
        ),
        (r"database .{1,80} does not exist", (SourceAuthError, "check the database name")),
        (
            r"conversion between .{1,40} is not supported",
            (
                SourceQueryError,
                "the server cannot send its texts as UTF-8: copy it into one of UTF8",
            ),
        ),
        (r"permission denied for database", (SourceAuthError, "grant the user CONNECT on it")),
        (
            r"private key file",
            (SourceAuthError, "check sslcert and sslkey: the key (PEM) is that of the certificate"),
        ),
        (
            r"certificate verify failed|self-signed certificate",
            (SourceAuthError, AUTHORITY_HINT),
        ),
        (
            r"certificate|root\.crt|sslrootcert|SSL error",
            (SourceAuthError, "check tls.mode, tls.ca_file and the host name in the certificate"),
        ),
    )
)
_NO_TLS: Final = "server does not support SSL"
_ADDRESS: Final = re.compile(r'at "([^"]*)", port')
# A data exception quotes the value it choked on.
_QUOTED: Final = re.compile(r'"[^"]*"?')
_UNREACHABLE_HINT: Final = "check host and port, and that the server is running"


@contextmanager
def translated(
    action: str, *, statement_timeout_s: float = 0.0, started_at: float | None = None
) -> Iterator[None]:
    """Raise psycopg's errors as Rivet's.

    Args:
        action: What was being done, such as `reading public.orders`; starts the message.
        statement_timeout_s: The limit the statement ran under; 0 is none.
        started_at: `time.monotonic()` of the statement's start; None is now.

    Raises:
        SourceError: Or one of its classes, as the SQLSTATE says.
    """
    started = time.monotonic() if started_at is None else started_at
    try:
        yield
    except psycopg.Error as error:
        waited_s = time.monotonic() - started
        told = source_error(
            error, action, statement_timeout_s=statement_timeout_s, waited_s=waited_s
        )
        cleanse(error)
        raise told from error


def source_error(
    error: psycopg.Error, action: str, *, statement_timeout_s: float, waited_s: float
) -> SourceError:
    """Return Rivet's error for one of psycopg's.

    The server's `query_canceled` is its statement timeout once that long has passed; sooner it is
    somebody's cancel.
    """
    state = error.sqlstate
    detail = _primary(error)
    if isinstance(error, FloodError):
        return SourceError(f"{action}: {detail}", hint=_FLOOD_HINT)
    if isinstance(error, SilentError):
        return SourceInterruptedError(f"{action}: {detail}", hint=_SILENT_HINT)
    if state == "57014" and 0 < statement_timeout_s <= waited_s:
        return SourceStatementTimeoutError(
            f"{action}: the statement timeout of {statement_timeout_s:g} s ended the statement",
            hint="raise tuning.statement_timeout_s, or read less with one statement",
            sqlstate=state,
        )
    cls, hint = _fault(state)
    if _REFRESH in (error.diag.message_hint or ""):
        cls, hint = SourceQueryError, f"fill it with {_REFRESH}, then run it again"
    if error.diag.source_function == POLICY_CHECK:
        hint = _POLICY_HINT
    return cls(f"{action}: {detail}", hint=hint, sqlstate=state)


def connect_error(error: psycopg.Error, where: str) -> SourceError:
    """Return Rivet's error for a connection that could not be opened."""
    detail = _primary(error)
    if error.sqlstate:
        cls, hint = _fault(error.sqlstate)
    else:
        default: _Fault = (SourceUnavailableError, _UNREACHABLE_HINT)
        cls, hint = next((fault for pattern, fault in _REFUSED if pattern.search(detail)), default)
        if _NO_TLS in detail:
            at = _ADDRESS.search(detail)
            cls, hint = SourceAuthError, no_tls_hint(at[1] if at else "")
    cleanse(error)
    return cls(f"cannot connect to {where}: {detail}", hint=hint, sqlstate=error.sqlstate)


def _fault(state: str | None) -> _Fault:
    if state is None:
        return (SourceInterruptedError, _AGAIN_HINT)
    for length in (5, 3, 2):
        if found := _BY_SQLSTATE.get(state[:length]):
            return found
    return (SourceError, _LOG_HINT)


def _primary(error: psycopg.Error) -> str:
    """Return the server's primary message on one line; details may hold cell values."""
    text = error.diag.message_primary or str(error)
    if (error.sqlstate or "").startswith("22"):
        head, colon, rest = _QUOTED.sub('"..."', text.strip()).partition(": ")
        text = f'{head}: "..."' if colon else head + rest
    return foreign(text) or type(error).__name__
