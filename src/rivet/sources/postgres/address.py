"""A source's address as libpq parameters, with the TLS decision made before any byte is sent.

Nothing here connects.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rivet.dial.gate import Protection
from rivet.dial.parameters import completed, protection, targets
from rivet.dial.passwords import know_passwords
from rivet.dial.tlsfiles import check_tls_files
from rivet.errors import ConfigError
from rivet.model.source import TlsMode, TlsOptions
from rivet.redact import redact, visible
from rivet.sources.network import (
    ENCODE_HINT,
    authority_file,
    option_hint,
    refuse_exposed,
    resolved,
    system_authorities,
)

if TYPE_CHECKING:
    from rivet.model.source import SessionSettings, SourceAddress

SCHEMES: Final = ("postgresql", "postgres")
_UNKNOWN_OPTION: Final = re.compile(r'invalid URI query parameter: "(\w+)"')
_SECRETS: Final = ("password", "sslpassword")


def connection_parameters(address: SourceAddress, settings: SessionSettings) -> dict[str, str]:
    """Return the libpq parameters of a connection.

    The `tls:` block beats the URL. A dead peer is noticed within about a minute by keepalives, and
    by `tcp_user_timeout` where the system has it.

    Raises:
        ConfigError: The URL or the service is not valid, or a host beyond this machine would be
            reached without TLS.

    Source:
        PostgreSQL manual, "Database Connection Control Functions", "The Connection Service File".
    """
    given = completed(_given(address))
    if "passfile" in given:
        given["passfile"] = str(resolved(Path(given["passfile"]), address.base_dir))
    know_passwords(given)
    chosen = _tls_parameters(address, given)
    defaults = {
        "keepalives": "1",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",
        "application_name": settings.application_name,
        "connect_timeout": str(max(1, round(settings.connect_timeout_s))),
    }
    whole = {**defaults, **given, **chosen, "client_encoding": "UTF8"}
    check_tls_files(whole)
    return whole


def plaintext_is_accepted(address: SourceAddress) -> bool:
    """Whether the `tls:` block says that everything may go in the clear."""
    return address.tls is not None and address.tls.mode is TlsMode.DISABLE


def _given(address: SourceAddress) -> dict[str, str]:
    if address.url is not None:
        return _parsed(address.url.reveal().strip())
    parts = {
        "host": address.host,
        "port": str(address.port) if address.port is not None else None,
        "user": address.user,
        "password": address.password.reveal() if address.password is not None else None,
        "dbname": address.database,
    }
    return {key: value for key, value in parts.items() if value is not None}


def _parsed(text: str) -> dict[str, str]:
    """Read a URL or a `key=value` string; no message shows a piece of the password."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in SCHEMES:
        msg = f"the URL of a PostgreSQL source starts with postgresql://, not {visible(scheme)}://"
        raise ConfigError(msg)
    if separator:
        _refuse_raw_reserved(rest)
    try:
        parsed = conninfo_to_dict(text)
    except psycopg.ProgrammingError as error:
        detail = visible(redact(str(error).strip()))
        userinfo = rest.rpartition("@")[0] if separator else text
        tokens = re.findall(r'"([^"]*)"', detail)
        is_safe = bool(separator) and all(token not in userinfo for token in tokens)
        if is_safe and (option := _UNKNOWN_OPTION.search(detail)):
            msg = f"the PostgreSQL URL has the option '{option[1]}', which is none of PostgreSQL's"
            raise ConfigError(msg, hint=option_hint(option[1])) from None
        msg = "the PostgreSQL URL is not valid" + (f": {detail}" if is_safe else "")
        raise ConfigError(msg, hint=ENCODE_HINT) from None
    return {key: str(value) for key, value in parsed.items() if value is not None}


def _refuse_raw_reserved(rest: str) -> None:
    """Refuse an unencoded `@` or `/` in the password, which libpq would take for a host."""
    authority, _, tail = rest.partition("/")
    is_port = re.fullmatch(r"(.*:)?\d*", authority.rpartition(",")[2]) is not None
    has_late_userinfo = "@" in tail.partition("?")[0] and ("@" in authority or not is_port)
    if authority.count("@") > 1 or has_late_userinfo:
        msg = "the user or password in the PostgreSQL URL holds an unencoded '@' or '/'"
        raise ConfigError(msg, hint=ENCODE_HINT)


def _tls_parameters(address: SourceAddress, given: dict[str, str]) -> dict[str, str]:
    if address.tls is not None:
        return _from_block(address.tls, given, address.base_dir)
    refuse_exposed(targets(given), protection(given))
    chosen = {} if protection(given) is Protection.UNDECIDED else {"gssencmode": "disable"}
    if "gssencmode" in given:
        chosen = {}
    if "sslrootcert" in given and given["sslrootcert"] != "system":
        chosen["sslrootcert"] = str(resolved(Path(given["sslrootcert"]), address.base_dir))
    return chosen


def _from_block(tls: TlsOptions, given: dict[str, str], base_dir: Path) -> dict[str, str]:
    if tls.mode is TlsMode.DISABLE:
        return {"sslmode": "disable"}
    # Kerberos encryption would satisfy libpq without any certificate being looked at.
    chosen = {"sslmode": tls.mode.value, "gssencmode": "disable"}
    if tls.ca_file is not None:
        chosen["sslrootcert"] = str(authority_file(tls.ca_file, base_dir))
        return chosen
    authority = given.get("sslrootcert", "system")
    if authority != "system":
        chosen["sslrootcert"] = str(resolved(Path(authority), base_dir))
    elif tls.mode is not TlsMode.REQUIRE:
        chosen["sslrootcert"] = _system_authorities(tls.mode)
    return chosen


def _system_authorities(mode: TlsMode) -> str:
    """Return a file of trusted authorities: the user's own for libpq, else the system's."""
    own = Path(os.environ.get("PGSSLROOTCERT") or Path.home() / ".postgresql" / "root.crt")
    if found := system_authorities(own):
        return str(found)
    if mode is TlsMode.VERIFY_FULL:
        return "system"
    msg = f"tls.mode {mode.value} needs the certificate of an authority, and none is installed"
    raise ConfigError(msg, hint="set tls.ca_file to the authority's certificate (PEM)")
