"""Logging in: what may be answered to a server that asks for the password, decided before it is.

A method that proves the password without showing it may be answered anywhere. One that shows it is
answered where nobody else can read: over TLS, over a local socket, or encrypted with a public key
that the user has named. The server chooses the method, so all others are refused by name.

Source:
    MySQL internals manual, "Connection Phase", "Authentication Method"; MariaDB manual,
    "Connection", "Authentication Plugins". See docs/adr/0028.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from pymysql import _auth, err
from pymysql.charset import charset_by_name
from pymysql.constants import CLIENT, CR

from rivet.errors import SourceAuthError
from rivet.redact import visible
from rivet.sources.network import no_tls_hint

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rivet.sources.mysql.bounded import BoundedSocket

__all__ = ["log_in", "start_tls"]

_SALT_BYTES: Final = 20
_LARGEST_PACKET: Final = 2**24 - 1
_MOST_MESSAGES: Final = 6
_SHOWN_NAME: Final = 64
_NATIVE: Final = "mysql_native_password"
_CACHING: Final = "caching_sha2_password"
_TLS_HINT: Final = "set `tls: {mode: verify-full}` in the source"
_KEY_HINT: Final = f"{_TLS_HINT}, or name the server's key in `server_public_key`"
_OK, _MORE, _SWITCH = 0x00, 0x01, 0xFE
_PROMPT: Final = b"Password: "
_FAST_OK, _SEND_IT = b"\x03", b"\x04"


class Greeted(Protocol):
    """A connection on which the server has said what it is and can."""

    client_flag: int
    server_capabilities: int
    charset: str
    encoding: str
    host: str
    user: Any
    password: Any
    db: Any
    salt: Any
    tls: ssl.SSLContext | None
    needs_tls: bool
    is_private: bool
    server_public_key: Any
    line: BoundedSocket
    _connect_attrs: dict[str, str]

    @property
    def place(self) -> str:
        """Where the server is."""
        ...

    @property
    def auth_plugin(self) -> str:
        """The method that the server proposes."""
        ...

    def login_packet(self) -> bytes:
        """Return the server's next message."""
        ...

    def write_packet(self, payload: bytes) -> None:
        """Send a message."""
        ...


def start_tls(connection: Greeted) -> bytes:
    """Speak TLS from now on, where it is wanted; return the start of the login.

    Raises:
        SourceAuthError: It is wanted, and the server has none.
        ssl.SSLError: It cannot be agreed on, or the server is another one.
    """
    flags = connection.client_flag | CLIENT.MULTI_RESULTS
    has_tls = bool(connection.server_capabilities & CLIENT.SSL)
    wants_tls = connection.tls is not None and (has_tls or connection.needs_tls)
    if wants_tls and not has_tls:
        what = f"SSL is required, and the server at {connection.place} offers none"
        msg = f"{what}; the password was not sent"
        hint = no_tls_hint("localhost" if connection.is_private else connection.host)
        raise SourceAuthError(msg, hint=hint)
    if wants_tls:
        flags |= CLIENT.SSL
    charset = charset_by_name(connection.charset).id
    head = struct.pack("<IIB23s", flags, _LARGEST_PACKET, charset, b"")
    if wants_tls and connection.tls is not None:
        connection.write_packet(head)
        connection.line.protect(connection.tls, connection.host)
        connection.is_private = True
    return head


def log_in(connection: Greeted, head: bytes) -> None:
    """Send the login and answer the server until it lets us in.

    Raises:
        SourceAuthError: It asks for what may not be answered.
        pymysql.Error: It does not let us in, or says what is no part of a login.
    """
    login = _Login(connection)
    plugin, answer = login.first(connection.auth_plugin)
    connection.write_packet(_response(connection, head, plugin, answer))
    for _ in range(_MOST_MESSAGES):
        data = connection.login_packet()
        if data[0] == _OK:
            return
        reply: bytes | None
        if data[0] == _SWITCH:
            reply = login.switch(data[1:])
        elif data[0] == _MORE:
            reply = login.more(data[1:])
        else:
            _strange("a message that is no part of a login")
        if reply is not None:
            connection.write_packet(reply)
    _strange("a login without end")


def _response(connection: Greeted, head: bytes, plugin: str, answer: bytes) -> bytes:
    """Return the message that names user, method, first answer and database."""
    able = connection.server_capabilities
    if connection.user is None:
        msg = "no user is named"
        raise ValueError(msg)
    parts = [head, connection.user.encode(connection.encoding), b"\0"]
    if able & CLIENT.PLUGIN_AUTH_LENENC_CLIENT_DATA:
        parts += [_counted(answer)]
    else:
        parts += [struct.pack("B", len(answer)), answer]
    if connection.db and able & CLIENT.CONNECT_WITH_DB:
        parts += [connection.db.encode(connection.encoding), b"\0"]
    if able & CLIENT.PLUGIN_AUTH:
        parts += [plugin.encode(), b"\0"]
    if able & CLIENT.CONNECT_ATTRS:
        pairs = connection._connect_attrs.items()  # noqa: SLF001 - see docs/adr/0014
        parts += [_counted(b"".join(_counted(one.encode()) for pair in pairs for one in pair))]
    return b"".join(parts)


def _counted(data: bytes) -> bytes:
    size = len(data)
    if size < 251:  # noqa: PLR2004 - the protocol's
        return bytes([size]) + data
    return b"\xfc" + struct.pack("<H", size) + data


class _Login:
    """What was asked so far, and what may be answered now."""

    def __init__(self, connection: Greeted) -> None:
        self._connection = connection
        self._password: bytes = connection.password
        self._plugin = ""
        self._salt = b""
        self._is_switched = False
        self._awaits: tuple[bytes, ...] = ()
        self._methods: dict[str, Callable[[], bytes]] = {
            _NATIVE: lambda: _auth.scramble_native_password(self._password, self._salt),
            _CACHING: self._caching,
            "client_ed25519": lambda: _auth.ed25519_password(self._password, self._salt),
            "sha256_password": self._sha256,
            "mysql_clear_password": lambda: self._shown("in the clear"),
            "dialog": self._dialog,
        }

    def first(self, plugin: str) -> tuple[str, bytes]:
        """Return a method and its answer for the first message, whatever the server proposes.

        What shows the password waits until the server asks for it: the user may log in otherwise.
        """
        self._plugin = plugin if plugin in {_NATIVE, _CACHING} else _NATIVE
        self._salt = self._checked(self._connection.salt)
        return self._plugin, self._methods[self._plugin]()

    def switch(self, data: bytes) -> bytes:
        """Return the answer to a server that wants another method."""
        name, found, salt = data.partition(b"\0")
        if not found or self._is_switched:
            _strange("more than one change of the method, or one without a name")
        self._is_switched = True
        self._plugin = name.decode("ascii", "replace")
        method = self._methods.get(self._plugin)
        if method is None:
            shown = visible(self._plugin[:_SHOWN_NAME])
            msg = f"the server asks for the password by '{shown}', which Rivet does not answer"
            raise SourceAuthError(msg, hint="let the user log in by another method")
        self._awaits = ()
        self._salt = salt
        if self._plugin in {_NATIVE, _CACHING, "sha256_password"}:
            self._salt = self._checked(salt)
        return method()

    def more(self, data: bytes) -> bytes | None:
        """Return the answer to what a method says after its first answer; None for nothing."""
        if data not in self._awaits:
            _strange(f"what {visible(self._plugin[:_SHOWN_NAME])} does not say")
        self._awaits = ()
        return None if data == _FAST_OK else self._sha256()

    def _checked(self, salt: bytes) -> bytes:
        if len(salt) < _SALT_BYTES:
            _strange("no salt for the password")
        return salt[:_SALT_BYTES]

    def _caching(self) -> bytes:
        if not self._password:
            return b""
        self._awaits = (_FAST_OK, _SEND_IT)
        return bytes(_auth.scramble_caching_sha2(self._password, self._salt))

    def _sha256(self) -> bytes:
        """Return the password for eyes that may see it, or for a key that the user trusts."""
        if self._connection.is_private or not self._password:
            return self._password + b"\0"
        key = self._connection.server_public_key
        if key is None:
            self._refuse("encrypted with a key of its own", _KEY_HINT)
        return bytes(_auth.sha2_rsa_encrypt(self._password, self._salt, key))

    def _shown(self, how: str) -> bytes:
        if not self._connection.is_private:
            self._refuse(how, _TLS_HINT)
        return self._password + b"\0"

    def _dialog(self) -> bytes:
        """Answer one question for the password; the salt is the question."""
        answer = self._shown("in the clear")
        if self._salt[1:].rstrip(b"\0") != _PROMPT:
            msg = "the server asks for something else than the password"
            raise SourceAuthError(msg, hint="let the user log in by another method")
        return answer

    def _refuse(self, how: str, hint: str) -> NoReturn:
        plugin = visible(self._plugin[:_SHOWN_NAME])
        msg = f"the server asks for the password {how} ({plugin}), over a connection without TLS"
        raise SourceAuthError(msg, hint=hint)


def _strange(what: str) -> NoReturn:
    raise err.OperationalError(CR.CR_MALFORMED_PACKET, f"the server sent {what}")
