"""The one way to open a PostgreSQL connection: gated, with an allow-list, and in bounded time.

libpq's own limit is per host, and neither name look-ups nor SCRAM's computations keep to it. So
the login runs on a thread of its own, and whoever waits for it gives up in time.
"""

from __future__ import annotations

import os
import random
import re
import select
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from psycopg import errors, pq
from psycopg.conninfo import make_conninfo

from rivet.dial import methods
from rivet.dial import parameters as whole
from rivet.dial.gate import Protection, exposed
from rivet.dial.guarded import GivenUpError, light
from rivet.dial.library import connect_poll
from rivet.wire.received import peeked, received_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rivet.wire.fuse import Fuse

__all__ = ["ExposedError", "log_in"]

_OLDEST_LIBRARY: Final = 160000
_LOOK_S: Final = 0.2
_GRACE_S: Final = 0.3
_MOST_LOGIN_BYTES: Final = 4 * 1024 * 1024
_MOST_ITERATIONS: Final = 1_000_000
_POLLING: Final = {
    pq.PollingStatus.READING: select.POLLIN,
    pq.PollingStatus.WRITING: select.POLLOUT,
}
# Up to here libpq takes no message of more than 30,000 bytes.
_BOUNDED: Final = frozenset(
    {pq.ConnStatus.STARTED, pq.ConnStatus.MADE, pq.ConnStatus.AWAITING_RESPONSE}
    | {pq.ConnStatus.NEEDED, pq.ConnStatus.SSL_STARTUP, pq.ConnStatus.GSS_STARTUP}
)
_SASL_CONTINUE: Final = re.compile(rb"R.{4}\x00\x00\x00\x0b[^\x00]*?,i=(\d{1,20})", re.DOTALL)
_ENVIRONMENT: Final = threading.Lock()
_OTHER_METHOD: Final = "authentication method requirement"
_UNFINISHED: Final = "server did not complete authentication"

_unasked: Final[set[tuple[str, ...]]] = set()


class ExposedError(errors.OperationalError):
    """A name leads to another machine, and nobody has decided about TLS; nothing was sent."""


@dataclass(slots=True)
class _Login:
    """A login on its own thread, and what has become of it."""

    done: threading.Event = field(default_factory=threading.Event)
    is_abandoned: bool = False
    connection: pq.abc.PGconn | None = None
    error: BaseException | None = None


def log_in(
    parameters: Mapping[str, str],
    protection: Protection,
    *,
    timeout_s: float,
    is_stopped: Callable[[], bool] | None = None,
) -> pq.abc.PGconn:
    """Open a connection to the first host that lets one in.

    Args:
        parameters: libpq's, complete (`rivet.dial.parameters.completed`).
        protection: What was decided about TLS.
        timeout_s: The most seconds for everything: names, all hosts, TLS, the login.
        is_stopped: Asked now and then; waiting ends once it says so.

    Raises:
        ConfigError: `require_auth` or `channel_binding` cannot be kept.
        ExposedError: A name led beyond this machine.
        GivenUpError: `is_stopped` said so.
        psycopg.OperationalError: No host let a connection in, or not in time.
        psycopg.ProgrammingError: The parameters are not libpq's.
        psycopg.NotSupportedError: libpq is too old to be told what it may answer.
    """
    if pq.version() < _OLDEST_LIBRARY:
        msg = f"libpq 16 or newer is needed, and psycopg has {pq.version() // 10000}"
        raise errors.NotSupportedError(msg)
    login = _Login()
    deadline = time.monotonic() + timeout_s
    thread = threading.Thread(
        target=_run,
        args=(login, dict(parameters), protection, deadline),
        name="rivet-login",
        daemon=True,
    )
    thread.start()
    while not login.done.wait(_LOOK_S):
        if is_stopped is not None and is_stopped():
            login.is_abandoned = True
            msg = "the wait for a connection was given up"
            raise GivenUpError(msg)
        if time.monotonic() > deadline + _GRACE_S:
            login.is_abandoned = True
            raise _too_late(timeout_s)
    if login.connection is None:
        if isinstance(login.error, errors.ConnectionTimeout):
            raise _too_late(timeout_s) from login.error
        raise login.error or errors.OperationalError("the login ended without a connection")
    return login.connection


def _too_late(timeout_s: float) -> errors.ConnectionTimeout:
    return errors.ConnectionTimeout(f"the server did not finish the login within {timeout_s:g} s")


def _run(
    login: _Login, parameters: dict[str, str], protection: Protection, deadline: float
) -> None:
    try:
        with _hidden_variables():
            login.connection = _first(login, parameters, protection, deadline)
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
        login.error = error
    login.done.set()
    if login.is_abandoned and login.connection is not None:
        login.connection.finish()


def _first(
    login: _Login, parameters: dict[str, str], protection: Protection, deadline: float
) -> pq.abc.PGconn:
    """Try every host; the time left is shared out among those that are left."""
    tried = _resolved(parameters)
    failures: list[errors.Error] = []
    for number, one in enumerate(tried):
        target = whole.target(one)
        if exposed([target], protection):
            msg = f"'{target.name}' ({target.address})"
            raise ExposedError(msg)
        share = (deadline - time.monotonic()) / (len(tried) - number)
        try:
            return _let_in(login, one, protection, time.monotonic() + share)
        except errors.OperationalError as error:
            failures.append(error)
        if login.is_abandoned:
            break
    if len(failures) == 1:
        raise failures[0]
    told = "; ".join(dict.fromkeys(str(error).strip() for error in failures))
    raise type(failures[-1])(told)


def _resolved(parameters: dict[str, str]) -> list[dict[str, str]]:
    """Look names up here and not in libpq, so that the gate sees the addresses."""
    found: list[dict[str, str]] = []
    failure: OSError | None = None
    for one in whole.attempts(parameters):
        target = whole.target(one)
        if target.is_socket:
            found.append(one)
            continue
        try:
            infos = socket.getaddrinfo(
                _plain(target.address), one["port"] or "5432", type=socket.SOCK_STREAM
            )
        except (OSError, UnicodeError) as error:
            failure = OSError(f"could not translate host name '{target.name}': {error}")
            continue
        addresses = dict.fromkeys(str(info[4][0]) for info in infos)
        found += [{**one, "hostaddr": address} for address in addresses]
    if not found:
        raise errors.OperationalError(str(failure))
    if parameters.get("load_balance_hosts") == "random":
        random.shuffle(found)
    if parameters.get("target_session_attrs") == "prefer-standby":
        anything = [{**one, "target_session_attrs": "any"} for one in found]
        return [*({**one, "target_session_attrs": "standby"} for one in found), *anything]
    return found


def _plain(name: str) -> str | bytes:
    """Return an ASCII name as bytes, which loads no tables of international names."""
    return name.encode() if name.isascii() else name


def _let_in(
    login: _Login, parameters: dict[str, str], protection: Protection, deadline: float
) -> pq.abc.PGconn:
    """Log in by the first rule that the server keeps to, see `methods.rules`."""
    tries = methods.rules(parameters, whole.target(parameters), protection)
    place = tuple(parameters.get(key, "") for key in ("host", "hostaddr", "port", "user", "dbname"))
    if place in _unasked:
        tries.sort(key=lambda rule: rule != methods.UNASKED)
    for number, rule in enumerate(tries):
        connection = pq.PGconn.connect_start(
            make_conninfo("", **{**parameters, "require_auth": rule}).encode()
        )
        try:
            _dial(login, connection, deadline)
        except BaseException as error:
            may_ask_again = number + 1 < len(tries) and _met_another_rule(connection, rule, error)
            connection.finish()
            if may_ask_again:
                continue
            raise
        (_unasked.add if rule == methods.UNASKED else _unasked.discard)(place)
        return connection
    msg = "no way to authenticate is left"
    raise errors.OperationalError(msg)


def _met_another_rule(connection: pq.abc.PGconn, rule: str, error: BaseException) -> bool:
    """Whether the server asked for something where the rule is nothing, or the other way round."""
    if rule == methods.UNASKED:
        return _OTHER_METHOD in str(error)
    return _UNFINISHED in str(error) and not connection.used_password


def _dial(login: _Login, connection: pq.abc.PGconn, deadline: float) -> None:
    """Drive one connection to its end; every wait is short and looks at the time."""
    with ExitStack() as stack:
        fuse: Fuse | None = None
        while True:
            if connection.status == pq.ConnStatus.BAD:
                raise _failure(connection)
            step = connect_poll(connection)
            if step == pq.PollingStatus.OK:
                connection.nonblocking = 1
                return
            _refuse_flood(connection, fuse)
            if step == pq.PollingStatus.FAILED:
                raise _failure(connection)
            if fuse is None and connection.status not in _BOUNDED:
                fuse = light(connection.socket)
                fuse.allow(_MOST_LOGIN_BYTES)
                stack.callback(fuse.end)
            events = _POLLING.get(pq.PollingStatus(step), select.POLLOUT)
            _await(login, connection, events, deadline)
            _refuse_flood(connection, fuse)
            if not connection.ssl_in_use:
                _refuse_costly_scram(peeked(connection.socket))


def _failure(connection: pq.abc.PGconn) -> errors.OperationalError:
    return errors.OperationalError(connection.get_error_message("utf-8"), pgconn=connection)


def _refuse_flood(connection: pq.abc.PGconn, fuse: Fuse | None) -> None:
    is_blown = fuse is not None and fuse.is_blown
    if is_blown or received_bytes(connection.socket) > _MOST_LOGIN_BYTES:
        msg = f"the server sent more than {_MOST_LOGIN_BYTES:,} bytes before the login was over"
        raise errors.OperationalError(msg)


def _await(login: _Login, connection: pq.abc.PGconn, events: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(connection.socket, events)
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or login.is_abandoned:
            raise errors.ConnectionTimeout
        if poll.poll(min(left, _LOOK_S) * 1000):
            return


def _refuse_costly_scram(waiting: bytes) -> None:
    """Refuse a count of iterations that only serves to keep a client busy.

    Source:
        RFC 5802, section 5.1, attribute `i`.
    """
    found = _SASL_CONTINUE.match(waiting)
    count = int(found[1]) if found else 0
    if count > _MOST_ITERATIONS:
        msg = f"the server wants {count:,} iterations of SCRAM, more than {_MOST_ITERATIONS:,}"
        raise errors.OperationalError(msg)


@contextmanager
def _hidden_variables() -> Iterator[None]:
    """Keep libpq from variables that are followed already or are the role's affair.

    The zone and the date style of this process must not reach the server: what they mean is in the
    role, in the URL or under `source.session`, and the same configuration must not read other
    values on another machine. `PGOPTIONS` stays, as it is what `options` of a URL is.
    """
    if not any(name in os.environ for name in whole.HIDDEN):
        yield
        return
    with _ENVIRONMENT:
        kept = {name: os.environ.pop(name, None) for name in whole.HIDDEN}
        try:
            yield
        finally:
            os.environ.update({name: value for name, value in kept.items() if value is not None})
