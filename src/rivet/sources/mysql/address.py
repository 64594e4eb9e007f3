"""A source's address as connection parameters, with the TLS decision made before any byte is sent.

Nothing here connects.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from rivet.errors import ConfigError
from rivet.model.source import TlsMode, TlsOptions
from rivet.openfile import SHARED_HINT, SharedFileError, read_regular
from rivet.redact import Secret, visible
from rivet.sources.network import (
    ENCODE_HINT,
    authority_file,
    option_hint,
    refuse_plaintext,
    resolved,
    system_authorities,
)

if TYPE_CHECKING:
    from rivet.model.source import SourceAddress

SCHEMES: Final = ("mysql", "mariadb")
_PORT: Final = 3306
_KEY_BYTES: Final = 64 * 1024
_SSL_MODES: Final[dict[str, TlsMode | None]] = {
    "disabled": TlsMode.DISABLE,
    "preferred": None,
    "required": TlsMode.REQUIRE,
    "verify_ca": TlsMode.VERIFY_CA,
    "verify_identity": TlsMode.VERIFY_FULL,
}
_CHARSETS: Final = frozenset({"utf8mb4", "utf8"})


@dataclass(frozen=True, slots=True)
class Parameters:
    """Where a server is and how to be let in; its repr shows no secret.

    Attributes:
        host: Name or address; `localhost` for a socket.
        port: TCP port.
        socket: Path of a local socket, which then is used instead of host and port.
        user: None is the driver's own default.
        password: None is none.
        database: The one to be in; None is none.
        tls: None where nobody has decided, which only a local server may have.
    """

    host: str
    port: int
    socket: str | None
    user: str | None
    password: Secret | None
    database: str | None
    tls: TlsOptions | None

    @property
    def place(self) -> str:
        """How messages name the server."""
        at = self.socket or f"{self.host}:{self.port}"
        return visible(f"MySQL at {at}" + (f"/{self.database}" if self.database else ""))


def connection_parameters(address: SourceAddress) -> Parameters:
    """Return the parameters of a connection; the `tls:` block beats the URL.

    Raises:
        ConfigError: The URL is not valid, or a host beyond this machine would be reached without
            anybody having decided about TLS.
    """
    found = _of_url(address) if address.url is not None else _of_fields(address)
    if found.tls is None and found.socket is None:
        refuse_plaintext([found.host])
    return found


def _of_fields(address: SourceAddress) -> Parameters:
    host = address.host or "localhost"
    is_socket = host.startswith("/")
    return Parameters(
        host="localhost" if is_socket else host,
        port=address.port or _PORT,
        socket=host if is_socket else None,
        user=address.user,
        password=address.password,
        database=address.database,
        tls=address.tls,
    )


def _of_url(address: SourceAddress) -> Parameters:
    text = address.url.reveal().strip() if address.url is not None else ""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.partition("+")[0].lower() not in SCHEMES:
        msg = "the URL of a MySQL source starts with mysql:// or mariadb://"
        raise ConfigError(msg, hint="write mysql://user:password@host:3306/database")
    authority, _, tail = rest.partition("?")[0].partition("/")
    has_late_userinfo = "@" in tail or ("@" in rest and ("@" not in authority or "#" in authority))
    if authority.count("@") > 1 or has_late_userinfo:
        msg = "the user or password in the MySQL URL holds an unencoded '@' or '/'"
        raise ConfigError(msg, hint=ENCODE_HINT)
    try:
        parts = urlsplit(f"mysql://{rest}")
        host, port = parts.hostname, parts.port
        options = dict(
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
            if parts.query
            else ()
        )
    except ValueError:
        # The parser's own message may hold a piece of the password.
        msg = "the MySQL URL is not valid"
        raise ConfigError(msg, hint=ENCODE_HINT) from None
    password = None if parts.password is None else unquote(parts.password)
    tls, socket = _options(options, address)
    return Parameters(
        host=unquote(host) if host else "localhost",
        port=port or _PORT,
        socket=socket,
        user=unquote(parts.username) if parts.username else None,
        password=None if password is None else Secret(password),
        database=unquote(parts.path.lstrip("/")) or None,
        tls=tls,
    )


def _options(
    options: dict[str, str], address: SourceAddress
) -> tuple[TlsOptions | None, str | None]:
    """Read the few options a URL may have; returns TLS and the socket."""
    given = {key.lower().replace("-", "_"): value for key, value in options.items()}
    mode_text = given.pop("ssl_mode", None)
    authority = given.pop("ssl_ca", None)
    socket = given.pop("unix_socket", None) or given.pop("socket", None)
    charset = given.pop("charset", "utf8mb4")
    if given or charset.lower() not in _CHARSETS:
        stray = next(iter(given), "charset")
        name = next(one for one in options if one.lower().replace("-", "_") == stray)
        msg = f"the MySQL URL has the option '{visible(name)}', which Rivet does not take"
        known = "a URL may have ssl-mode, ssl-ca, unix_socket and charset=utf8mb4"
        raise ConfigError(msg, hint=option_hint(name, otherwise=known))
    if address.tls is not None:
        return address.tls, socket
    if mode_text is not None and mode_text.lower() not in _SSL_MODES:
        msg = f"ssl-mode={visible(mode_text)} in the MySQL URL is not a mode"
        raise ConfigError(msg, hint=f"use one of: {', '.join(mode.upper() for mode in _SSL_MODES)}")
    mode = _SSL_MODES[mode_text.lower()] if mode_text is not None else None
    if mode is None and authority is not None:
        mode = TlsMode.VERIFY_CA
    if mode is None:
        return None, socket
    return TlsOptions(mode, Path(authority) if authority else None), socket


def public_key(address: SourceAddress) -> bytes | None:
    """Return the server's public key (PEM) that the user trusts; None where none is named.

    Raises:
        ConfigError: The file cannot be read, or holds no such key.
    """
    if address.server_public_key is None:
        return None
    path = resolved(address.server_public_key, address.base_dir)
    hint = "give the server's public key (PEM), such as public_key.pem of its data folder"
    try:
        data = read_regular(path, max_bytes=_KEY_BYTES, is_trusted=True)
    except OSError as error:
        msg = f"source.server_public_key: {visible(str(path))} cannot be used: {error.strerror}"
        is_shared = isinstance(error, SharedFileError)
        raise ConfigError(msg, hint=SHARED_HINT if is_shared else hint) from error
    if b"-----BEGIN PUBLIC KEY-----" not in data:
        msg = f"source.server_public_key: {visible(str(path))} holds no public key"
        raise ConfigError(msg, hint=hint)
    return data


def tls_context(tls: TlsOptions, base_dir: Path) -> ssl.SSLContext | None:
    """Return what a protected connection is checked by; None where it is not to be protected.

    Raises:
        ConfigError: There is no file of authorities.
    """
    if tls.mode is TlsMode.DISABLE:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.mode is TlsMode.VERIFY_FULL
    if tls.mode is TlsMode.REQUIRE:
        context.verify_mode = ssl.CERT_NONE
        return context
    given = tls.ca_file
    file = authority_file(given, base_dir) if given is not None else system_authorities()
    if file is None:
        msg = f"tls.mode {tls.mode.value} needs the certificate of an authority, none is installed"
        raise ConfigError(msg, hint="set tls.ca_file to the authority's certificate (PEM)")
    try:
        context.load_verify_locations(cafile=file)
    except (ssl.SSLError, OSError) as error:
        msg = f"tls.ca_file: {file} holds no certificate that can be read"
        raise ConfigError(msg, hint="give the authority's certificate (PEM)") from error
    return context
