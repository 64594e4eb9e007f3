"""Connections to the server of a shared state: what its URL means, and waits that end.

Must not know what is asked over a connection.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from rivet.dial.gate import Protection, exposed
from rivet.dial.parameters import completed, protection, targets
from rivet.dial.passwords import know_passwords
from rivet.dial.tlsfiles import check_tls_files
from rivet.errors import ConfigError, RefusedError, StateError
from rivet.redact import register_secret, visible
from rivet.state.database import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import Connection, Dialect, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

__all__ = ["ANSWER_BYTES", "ANSWER_ROWS", "OUR_NAMES", "PATIENCE_S", "Waits", "engine", "location"]

ANSWER_BYTES: Final = 2 * 1024 * 1024
"""The most bytes of an answer that is no list; as empty results they fill fifty times as much."""

ANSWER_ROWS: Final = 10_000
"""The most rows of such an answer."""

PATIENCE_S: Final = 90.0
"""The longest wait for an answer; the server itself ends a statement after 60 s."""

OUR_NAMES: Final = "SET LOCAL search_path = pg_catalog"
"""Begins a transaction: each operator, function and type of a statement is PostgreSQL's own.

Tables are named with their schema. What stays with a transaction also holds behind a pooler.
"""

_CONNECT_TIMEOUT_S: Final = 10
_GRACE_S: Final = 0.5


@dataclass(slots=True)
class Waits:
    """How the connections of one store wait once the run is stopped.

    An answer may still take half a second. After the first that did not come in that time no other
    is waited for, so that a run with many things left to write ends in time.

    Attributes:
        is_stopped: Whether it is; None where nobody says.
        is_left: A signal ended what the store was used for.
        is_given_up: A wait was given up.
    """

    is_stopped: Callable[[], bool] | None = None
    is_left: bool = False
    is_given_up: bool = False

    @contextmanager
    def left(self, connection: Connection) -> Iterator[None]:
        """Drop the connection where a signal ends the body, and wait for nothing long after it.

        The server takes back what was begun on it; a rollback would be waited for.
        """
        try:
            yield
        except Exception:
            raise
        except BaseException:
            self.is_left = True
            connection.invalidate()
            raise

    def give_up(self) -> None:
        """Let every other wait end at once."""
        self.is_given_up = True

    def are_over(self) -> bool:
        """Whether to wait for an answer for half a second at most.

        Raises:
            psycopg.OperationalError: Not even that.
        """
        if self.is_given_up:
            from rivet.dial.guarded import GivenUpError

            msg = "the wait for an answer was given up"
            raise GivenUpError(msg)
        return self.is_left or (self.is_stopped is not None and self.is_stopped())

    def watch_login(self) -> Callable[[], bool]:
        """Return what tells a login that begins now that it is over."""
        since: float | None = None

        def is_over() -> bool:
            nonlocal since
            if self.is_given_up:
                return True
            if self.are_over():
                since = since or time.monotonic()
            return since is not None and time.monotonic() - since >= _GRACE_S

        return is_over


def engine(url: str, purpose: str, waits: Waits, *, patience_s: float | None = None) -> Engine:
    """Return an engine whose connections libpq itself opens, so that every URL form works.

    Args:
        url: What `RIVET_STATE_URL` holds.
        purpose: For the server's activity views.
        waits: Of the store.
        patience_s: The longest silence, and the longest answer; None is `PATIENCE_S`.
    """
    from sqlalchemy import create_engine, event

    made = create_engine(
        "postgresql+psycopg://",
        pool_size=2,
        max_overflow=8,
        pool_pre_ping=True,
        use_native_hstore=False,
    )
    # With hstore this is what the toolkit asks before any transaction of ours sets the path.
    dialect: Any = made.dialect
    dialect._get_default_schema_name = lambda _: SCHEMA  # noqa: SLF001 - a hook of dialects

    @event.listens_for(made, "do_connect")
    def connect(
        _dialect: Dialect, _record: object, _args: object, _values: object
    ) -> DBAPIConnection:
        from rivet.dial.guarded import Connection
        from rivet.dial.login import ExposedError, log_in

        parameters = _parameters(made, url)
        try:
            opened = Connection.over(
                log_in(
                    {**parameters, "application_name": _short(purpose)},
                    _decided(parameters),
                    timeout_s=_limit_s(parameters),
                    is_stopped=waits.watch_login(),
                ),
                autocommit=False,
            )
        except ExposedError as error:
            raise _exposed(str(error)) from error
        opened.patience_s = PATIENCE_S if patience_s is None else patience_s
        opened.answer_bytes = ANSWER_BYTES
        opened.answer_rows = ANSWER_ROWS
        opened.is_stopped, opened.when_given_up = waits.are_over, waits.give_up
        # What is left behind ends by itself: every statement has a limit on the server.
        opened.grace_s, opened.cancel_s = _GRACE_S, 0.0
        return cast("DBAPIConnection", opened)

    return made


def _limit_s(parameters: Mapping[str, str]) -> float:
    given = parameters.get("connect_timeout", "")
    return float(given) if given.isdecimal() and int(given) > 0 else _CONNECT_TIMEOUT_S


def _short(purpose: str) -> str:
    """Cut a name to what the server keeps: 63 bytes."""
    return purpose.encode()[:63].decode(errors="ignore")


def _parameters(made: Engine, url: str) -> dict[str, str]:
    """Split a URL into libpq's parameters.

    Raises:
        StateError: It is not a PostgreSQL URL.
        RefusedError: It would go over a network without TLS.
    """
    register_secret(url)
    if not url.startswith(("postgres://", "postgresql://", "postgresql+psycopg://")):
        # Without a scheme, what it begins with may be a password.
        scheme, separator, _ = url.partition("://")
        told = f"has the scheme '{visible(scheme)}', which" if separator else "has no scheme and"
        msg = f"RIVET_STATE_URL {told} is not PostgreSQL"
        hint = (
            "set it to a postgresql:// URL, or unset it to keep the state beside the configuration"
        )
        raise StateError(msg, code="RIVET_STATE_URL_SCHEME_UNSUPPORTED", hint=hint)
    driver: Any = made.dialect.loaded_dbapi
    parameters: dict[str, Any] | None = None
    with suppress(driver.ProgrammingError):  # what it says quotes the password
        plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
        parameters = driver.conninfo.conninfo_to_dict(plain)
    if parameters is None:
        msg = "RIVET_STATE_URL is not a valid PostgreSQL URL"
        hint = "percent-encode special characters of the user and the password"
        raise StateError(msg, hint=hint)
    try:
        whole = completed({key: str(value) for key, value in parameters.items()})
        check_tls_files(whole)
        know_passwords(whole)
    except ConfigError as error:
        msg = f"RIVET_STATE_URL: {error}"
        raise StateError(msg, hint=error.hint) from error
    if remote := exposed(targets(whole), _decided(whole)):
        raise _exposed(remote.name)
    whole.pop("application_name", None)
    return whole


def _decided(parameters: Mapping[str, str]) -> Protection:
    """Return what was decided about TLS; `disable` counts, as it is in the URL on purpose."""
    is_accepted = parameters.get("sslmode") == "disable"
    return Protection.ACCEPTED if is_accepted else protection(parameters)


def _exposed(where: str) -> RefusedError:
    msg = (
        f"RIVET_STATE_URL leads to {visible(where)} with no sslmode that protects, so the state "
        "could cross the network in plain text"
    )
    hint = (
        "add ?sslmode=verify-full (or require) to RIVET_STATE_URL, or ?sslmode=disable "
        "to accept plain text on a private network"
    )
    return RefusedError(msg, code="RIVET_STATE_URL_TLS_REQUIRED", hint=hint)


def location(made: Engine, url: str) -> str:
    """Return where a URL leads, for people; refuses one that cannot be used.

    Raises:
        StateError: It is not a PostgreSQL URL.
        RefusedError: It would go over a network without TLS.
    """
    parameters = _parameters(made, url)
    host = parameters.get("host") or parameters.get("hostaddr") or "localhost"
    port = parameters.get("port") or "5432"
    database = parameters.get("dbname") or parameters.get("user") or ""
    return f"postgresql://{host}:{port}/{database} schema {SCHEMA}"
