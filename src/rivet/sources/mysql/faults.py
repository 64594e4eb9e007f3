"""PyMySQL's errors as Rivet's: one table by error number, one context manager.

MySQL and MariaDB share the numbers below 1900; above, each has its own, and those listed here mean
one thing only.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pymysql.constants import ER
from pymysql.err import MySQLError

from rivet.errors import (
    ConnectionLimitError,
    SourceAuthError,
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    SourceUnavailableError,
    StalePlanError,
)
from rivet.redact import cleanse, foreign
from rivet.sources.mysql.bounded import SilentError
from rivet.sources.network import AUTHORITY_HINT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.errors import RivetError

_Fault = tuple["type[RivetError]", str]

_STATEMENT_HINT: Final = "check the names and the SQL of the export, then run it again"
_AGAIN_HINT: Final = "run it again; if it stays, look into the server's log"
_LOG_HINT: Final = "look into the server's log for this session"
_FORM_HINT: Final = "connect to the server itself, not through a proxy; report it if it comes back"
_GRANT_HINT: Final = "grant the user SELECT on it"
_DEFINER_HINT: Final = (
    "the view's definer is gone: define the view again, with a user that exists or with SQL "
    "SECURITY INVOKER; SHOW CREATE VIEW tells how"
)
_VIEW_HINT: Final = (
    "what the view reads is gone, or its definer may not read it: SHOW CREATE VIEW names both; "
    "define the view again, or grant its definer SELECT"
)
_REFUSED_HINT: Final = (
    "this user is let in, so it is the definer of a view that is refused: it is gone or may not "
    "log in; SHOW CREATE VIEW names it; define the view again"
)
_LOGIN_HINT: Final = "check the user, the password and from which host the user may connect"
_EXPIRED_HINT: Final = (
    "the password has expired on the server: set a new one there (ALTER USER ... IDENTIFIED BY), "
    "write it where the source's URL comes from, and run again"
)
_LOCKED_HINT: Final = "the account is locked on the server: ALTER USER ... ACCOUNT UNLOCK"
_TLS_HINT: Final = "check tls.mode, tls.ca_file and the host name in the certificate"
_UNREACHABLE_HINT: Final = "check host and port, and that the server is running"
_READ_ONLY_HINT: Final = "Rivet reads only; use a SELECT that changes nothing"
_SLOTS_HINT: Final = "run fewer exports at once, lower `parallel`, or raise the limit"

_BY_NUMBER: Final[dict[int, _Fault]] = {
    number: fault
    for numbers, fault in (
        # Connections and their limits.
        ((1040, 1203, 1226), (ConnectionLimitError, _SLOTS_HINT)),
        ((1042, 1129, 1130), (SourceAuthError, "the server does not allow this host to connect")),
        ((1044, 1049), (SourceAuthError, "check the database name and the user's grants on it")),
        (
            (1045, 1524, 1698, 2054, 2059, 3879),
            (SourceAuthError, _LOGIN_HINT),
        ),
        ((1820, 1862), (SourceAuthError, _EXPIRED_HINT)),
        ((3118, 4151), (SourceAuthError, _LOCKED_HINT)),
        ((2026, 3159), (SourceAuthError, _TLS_HINT)),
        ((2002, 2003, 2005), (SourceUnavailableError, _UNREACHABLE_HINT)),
        (
            (0, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2012, 2013),
            (SourceInterruptedError, _AGAIN_HINT),
        ),
        ((2014, 2027, 2055, 3169, 4031), (SourceInterruptedError, _AGAIN_HINT)),
        # A statement that somebody or something ended.
        ((1317, 1880), (SourceInterruptedError, _AGAIN_HINT)),
        (
            (1205,),
            (
                SourceInterruptedError,
                "another session holds a lock; raise tuning.lock_timeout_s or try again later",
            ),
        ),
        ((1206, 1213, 1614, 3572), (SourceInterruptedError, _AGAIN_HINT)),
        ((1412,), (StalePlanError, "the table changed while it was read; run it again")),
        # Rights.
        ((1142, 1143, 1227, 1370, 3554), (SourceAuthError, _GRANT_HINT)),
        ((1290, 1792, 1836), (SourceQueryError, _READ_ONLY_HINT)),
        # Statements.
        (
            (1051, 1052, 1054, 1055, 1056, 1060, 1064, 1065, 1066, 1102, 1103, 1109, 1111, 1115),
            (SourceQueryError, _STATEMENT_HINT),
        ),
        (
            (1116, 1137, 1140, 1146, 1149, 1221, 1222, 1235, 1241, 1242, 1247, 1248, 1250, 1267),
            (SourceQueryError, _STATEMENT_HINT),
        ),
        ((1295, 1305, 1318, 1327, 1365, 1366, 1367), (SourceQueryError, _STATEMENT_HINT)),
        ((1193, 1231, 1232, 1238), (SourceQueryError, _STATEMENT_HINT)),
        (
            (1292, 1411, 1525, 1690, 3140, 3141, 4038),
            (SourceQueryError, "a value does not fit the expression that reads it"),
        ),
        (
            (1436, 1644),
            (SourceQueryError, "a function of the query or view raised it; look into it"),
        ),
        ((1449,), (SourceAuthError, _DEFINER_HINT)),
        ((1356,), (SourceAuthError, _VIEW_HINT)),
        ((1046,), (SourceQueryError, "write database.table, or name the database in the URL")),
        (
            (1105, 1153, 1301),
            (SourceError, "a row is larger than max_allowed_packet; raise it on the server"),
        ),
        # A server in want of something.
        (
            (1021, 1028, 1030, 1037, 1038, 1041, 1114, 1135, 1194, 1195, 1712, 3),
            (SourceUnavailableError, _AGAIN_HINT),
        ),
    )
    for number in numbers
}
_TIMED_OUT: Final = frozenset({1969, 3024})
# An error about a value quotes it, and the text of others holds the piece of SQL that is wrong.
_QUOTED: Final = re.compile(r"'[^']*'?|`[^`]*`(?= at row)")
_VALUE_NUMBERS: Final = frozenset({1292, 1366, 1367, 1411, 1525, 1690, 3140, 3141, 4038})


@contextmanager
def translated(
    action: str, *, statement_timeout_s: float = 0.0, started_at: float | None = None
) -> Iterator[None]:
    """Raise PyMySQL's errors, and those of its socket, as Rivet's.

    Args:
        action: What was being done, such as `reading shop.orders`; starts the message.
        statement_timeout_s: The limit the statement ran under; 0 is none.
        started_at: `time.monotonic()` of the statement's start; None is now.

    Raises:
        SourceError: Or one of its classes, as the number says.
        StalePlanError: The table was altered while it was read.
    """
    started = time.monotonic() if started_at is None else started_at
    try:
        yield
    except MySQLError as error:
        waited_s = time.monotonic() - started
        told = source_error(
            error, action, statement_timeout_s=statement_timeout_s, waited_s=waited_s
        )
        cleanse(error)
        raise told from error
    except SilentError as error:
        msg = f"{action}: the server has said nothing for {error.seconds:g} s"
        hint = "raise tuning.read_timeout_s where it may take longer; " + _AGAIN_HINT
        cls = SourceInterruptedError if error.is_begun else SourceStatementTimeoutError
        raise cls(msg, hint=hint) from error
    except OSError as error:
        msg = f"{action}: the connection broke ({type(error).__name__})"
        raise SourceInterruptedError(msg, hint=_AGAIN_HINT) from error


@contextmanager
def answered(action: str, *, statement_timeout_s: float = 0.0) -> Iterator[None]:
    """As `translated`, around questions whose answers have a form that is known.

    Raises:
        SourceError: An answer has another one.
    """
    with translated(action, statement_timeout_s=statement_timeout_s):
        try:
            yield
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            msg = f"{action}: the server's answer has not the form that was asked for"
            raise SourceError(msg, hint=_FORM_HINT, code="RIVET_SOURCE_PROTOCOL") from error


def source_error(
    error: MySQLError, action: str, *, statement_timeout_s: float, waited_s: float
) -> RivetError:
    """Return Rivet's error for one of PyMySQL's."""
    number, detail = _parts(error)
    is_ours = number in _TIMED_OUT and 0 < statement_timeout_s <= waited_s + 1
    if is_ours:
        return SourceStatementTimeoutError(
            f"{action}: the statement timeout of {statement_timeout_s:g} s ended the statement",
            hint="raise tuning.statement_timeout_s, or read less with one statement",
            number=str(number),
        )
    if number in _TIMED_OUT:
        return SourceStatementTimeoutError(
            f"{action}: the server's own limit ended the statement",
            hint="raise the server's limit for this user, or read less with one statement",
            number=str(number),
        )
    cls, hint = _fault(number)
    if number == ER.ACCESS_DENIED_ERROR:
        hint = _REFUSED_HINT
    return cls(f"{action}: {detail}", hint=hint, number=str(number))


def connect_error(error: MySQLError | OSError, where: str) -> RivetError:
    """Return Rivet's error for a connection that could not be opened."""
    if isinstance(error, OSError):
        return _unreached(error, where)
    number, detail = _parts(error)
    cls, hint = _BY_NUMBER.get(number, (SourceUnavailableError, _UNREACHABLE_HINT))
    if issubclass(cls, SourceInterruptedError):
        cls, hint = SourceUnavailableError, _UNREACHABLE_HINT
    cleanse(error)
    return cls(f"cannot connect to {where}: {detail}", hint=hint, number=str(number))


def _unreached(error: OSError, where: str) -> RivetError:
    detail = foreign(error.strerror or str(error)) or type(error).__name__
    msg = f"cannot connect to {where}: {detail}"
    if type(error).__module__ == "ssl":
        is_unknown = "certificate verify failed" in msg and "mismatch" not in msg
        return SourceAuthError(msg, hint=AUTHORITY_HINT if is_unknown else _TLS_HINT)
    hint = f"raise tuning.connect_timeout_s, or {_UNREACHABLE_HINT}"
    return SourceUnavailableError(
        msg, hint=hint if isinstance(error, SilentError) else _UNREACHABLE_HINT
    )


def _fault(number: int) -> _Fault:
    return _BY_NUMBER.get(number, (SourceError, _LOG_HINT))


def error_number(error: MySQLError) -> int:
    """Return the server's or the driver's number of an error; -1 without one."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else -1


def _parts(error: MySQLError) -> tuple[int, str]:
    """Return the number and the text on one line, without values and secrets."""
    number = error_number(error)
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    if number in _VALUE_NUMBERS:
        text = _QUOTED.sub("'...'", text)
    return number, foreign(text) or type(error).__name__
