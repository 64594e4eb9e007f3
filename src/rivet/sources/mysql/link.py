"""One connection with Rivet's settings in force, and what is known of the server behind it.

What exact values depend on is pinned and read back, for a proxy may swallow a SET; what gives a
user's SQL its meaning stays the server's, see `settings.py`.
"""

from __future__ import annotations

import re
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pymysql.constants import ER
from pymysql.err import MySQLError

from rivet.errors import SourceAuthError, SourceError
from rivet.model.source import TlsMode, TlsOptions
from rivet.redact import visible
from rivet.sources.mysql.address import connection_parameters, public_key, tls_context
from rivet.sources.mysql.bounded import Way
from rivet.sources.mysql.faults import answered, connect_error, error_number
from rivet.sources.mysql.guarded import GuardedConnection
from rivet.sources.mysql.settings import CHARACTER_SET, ServerSettings, choose, pin, read_back

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymysql.connections import Connection

    from rivet.model.source import SessionSettings, SourceAddress
    from rivet.sources.mysql.address import Parameters

__all__ = ["Link", "ask", "cancel_query", "open_link"]

_OLDEST_MYSQL: Final = (5, 7)
_OLDEST_MARIADB: Final = (10, 5)
_CANCEL_TIMEOUT_S: Final = 1.5
_YEAR_S: Final = 31_536_000
_SLOW_READER_S: Final = 3600
# Nothing of these changes a value, and not every server has all of them.
_WANTED: Final[dict[str, float]] = {
    "sql_big_selects": 1,
    "net_write_timeout": _SLOW_READER_S,
    "net_read_timeout": _SLOW_READER_S,
    "wait_timeout": _YEAR_S // 12,
}
_OF_MARIADB: Final[dict[str, float]] = {
    "idle_transaction_timeout": 0,
    "idle_readonly_transaction_timeout": 0,
}
# MySQL tells estimates of a day ago otherwise.
_OF_MYSQL: Final[dict[str, float]] = {"information_schema_stats_expiry": 0}
_PROXIES: Final = re.compile(r"proxysql|maxscale", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Link:
    """One open connection.

    Attributes:
        connection: The driver's.
        is_mariadb: MariaDB, and not MySQL.
        version: Such as (10, 11, 6).
        proxy: What stands between Rivet and the server, if anything was noticed.
        settings: What the server's own settings were, and the session's zone.
    """

    connection: GuardedConnection
    is_mariadb: bool
    version: tuple[int, ...]
    proxy: str | None = None
    settings: ServerSettings | None = None

    @property
    def title(self) -> str:
        """The server's name and version, such as `MariaDB 10.11.6`."""
        name = "MariaDB" if self.is_mariadb else "MySQL"
        return f"{name} {'.'.join(map(str, self.version))}"

    def proxy_note(self) -> str | None:
        """Return what a proxy means for a session; None where none was noticed."""
        if self.proxy is None:
            return None
        return (
            f"{self.proxy} stands between Rivet and the server: a session's settings and its "
            "snapshot hold only while it keeps one server connection for it"
        )


def open_link(address: SourceAddress, settings: SessionSettings) -> Link:
    """Connect, find out what the server is, and put Rivet's settings in force.

    Raises:
        ConfigError: The URL or the TLS settings are not valid.
        SourceAuthError: The server refused the user, the password or the certificate, or would
            have been sent the password in the clear.
        SourceUnavailableError: The server cannot be reached or has no free slot.
        SourceError: The server is too old, or did not take a setting that exact values need.
    """
    parameters = connection_parameters(address)
    connection = _connect(parameters, address, settings)
    try:
        # As long again: what follows is a handful of small questions.
        connection.line.fix(settings.connect_timeout_s)
        link = _identified(connection, parameters.place)
        with answered(f"preparing a session on {parameters.place}"):
            found = _pin(link, settings, parameters.place)
            link = replace(link, proxy=_proxy(connection), settings=found)
        connection.line.free(settings.read_timeout_s)
    except BaseException:
        _drop(connection)
        raise
    return link


def _connect(
    parameters: Parameters, address: SourceAddress, settings: SessionSettings
) -> GuardedConnection:
    tls, wish = None, parameters.tls
    if parameters.socket is None:
        # Where nobody has decided, which only this machine may have, TLS is used if it is offered.
        wished = TlsOptions(TlsMode.REQUIRE) if wish is None else wish
        tls = tls_context(wished, address.base_dir)
    way = Way(
        parameters.host,
        parameters.port,
        parameters.socket,
        settings.connect_timeout_s,
        settings.is_stopped,
        settings.end_wait_s,
        settings.keep_end,
    )
    try:
        connection = GuardedConnection(
            way,
            tls=tls,
            needs_tls=wish is not None,
            server_public_key=public_key(address),
            user=parameters.user,
            # As bytes: the driver would encode a text as latin1.
            password=parameters.password.reveal().encode() if parameters.password else "",
            database=parameters.database,
            charset=CHARACTER_SET,
            autocommit=True,
            program_name=settings.application_name,
        )
        connection.connect()
    except (MySQLError, OSError) as error:
        raise connect_error(error, parameters.place) from error
    except (RuntimeError, ValueError) as error:
        # A missing library for a way to log in, or a value the protocol has no room for.
        msg = f"cannot connect to {parameters.place}: {visible(str(error))}"
        raise SourceAuthError(msg, hint="check user, password and how they log in") from error
    return connection


def _identified(connection: GuardedConnection, place: str) -> Link:
    reported = str(connection.get_server_info())
    is_mariadb = "mariadb" in reported.lower()
    # MariaDB puts 5.5.5- in front, for replicas that know no version 10.
    found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)", reported)
    version = tuple(map(int, found.groups())) if found else (0, 0, 0)
    link = Link(connection, is_mariadb, version)
    oldest = _OLDEST_MARIADB if is_mariadb else _OLDEST_MYSQL
    if version[:2] < oldest:
        needed = f"{'MariaDB' if is_mariadb else 'MySQL'} {'.'.join(map(str, oldest))}"
        msg = f"{place} runs {link.title}; Rivet reads {needed} and newer"
        raise SourceError(msg)
    return link


def _pin(link: Link, settings: SessionSettings, place: str) -> ServerSettings:
    """Put Rivet's settings in force, then the user's own, and check those that values rest on."""
    limit = settings.statement_timeout_s
    lock_s = max(1, round(settings.lock_timeout_s)) if settings.lock_timeout_s else _YEAR_S
    wanted = _WANTED | (_OF_MARIADB if link.is_mariadb else _OF_MYSQL)
    if link.is_mariadb:
        wanted["max_statement_time"] = float(limit)
    else:
        wanted["max_execution_time"] = round(limit * 1000)

    def run(sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return ask(link.connection, sql, values)

    pin(run, settings.variables, is_mariadb=link.is_mariadb, lock_s=lock_s)
    ask(link.connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    try:
        _set(link.connection, wanted)
    except MySQLError as error:
        if error_number(error) not in _LACKING:
            raise
        for name, value in wanted.items():
            try:
                _set(link.connection, {name: value})
            except MySQLError as one:
                if error_number(one) not in _LACKING:
                    raise
    choose(run, settings.variables, place)
    return read_back(run, settings.variables, place, is_mariadb=link.is_mariadb)


_LACKING: Final = frozenset(
    {ER.UNKNOWN_SYSTEM_VARIABLE, ER.INCORRECT_GLOBAL_LOCAL_VAR, ER.SPECIFIC_ACCESS_DENIED_ERROR}
)


def _set(connection: Connection[Any], values: dict[str, Any]) -> None:
    """Set session variables; the names are constants of this file."""
    listed = ", ".join(f"SESSION {name} = %s" for name in values)
    ask(connection, f"SET {listed}", list(values.values()))


def _proxy(connection: Connection[Any]) -> str | None:
    """Return the name of what stands in between, as far as it can be noticed.

    Source:
        The documentation of ProxySQL ("PROXYSQL INTERNAL SESSION") and of MaxScale.
    """
    ((comment, own_id),) = ask(connection, "SELECT @@version_comment, CONNECTION_ID()")
    if found := _PROXIES.search(str(comment)):
        return found[0]
    for probe, name in (("PROXYSQL INTERNAL SESSION", "ProxySQL"), ("SELECT @@proxy_version", "")):
        with suppress(MySQLError):
            ask(connection, probe)
            return name or "a proxy"
    return None if int(own_id) == connection.thread_id() else "a proxy"


def ask(
    connection: Connection[Any], sql: str, values: Sequence[Any] | Mapping[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """Run a small statement with bound values and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return list(cursor.fetchall())


def ask_texts(connection: Connection[Any], sql: str) -> list[tuple[Any, ...]]:
    """Run a small statement and return its rows in the server's own texts; bytes stay bytes."""
    decoders, connection.decoders = connection.decoders, {}
    try:
        return ask(connection, sql)
    finally:
        connection.decoders = decoders


def cancel_query(link: Link, address: SourceAddress, settings: SessionSettings) -> None:
    """Cancel what a connection runs, from any thread; what does not end by that is cut off.

    A server that is cut off stops with the next rows it sends. Where there may be no connection
    more, cutting off is all that is done.
    """
    line = link.connection.line
    if line.is_cut:
        return
    line.cut(_CANCEL_TIMEOUT_S)
    with (
        settings.may_connect()
        if settings.may_connect
        else nullcontext(enter_result=True) as is_allowed
    ):
        if is_allowed:
            _kill_query(link, address, settings)
        else:
            line.cut(0.0)


def _kill_query(link: Link, address: SourceAddress, settings: SessionSettings) -> None:
    limit_s = min(settings.connect_timeout_s, _CANCEL_TIMEOUT_S)
    brief = replace(settings, connect_timeout_s=limit_s, is_stopped=None)
    try:
        other = _connect(connection_parameters(address), address, brief)
    except SourceError:
        return
    try:
        with suppress(MySQLError, OSError):
            ask(other, f"KILL QUERY {int(link.connection.thread_id())}")
    finally:
        _drop(other)


def _drop(connection: Connection[Any]) -> None:
    with suppress(MySQLError, OSError):
        connection.close()
