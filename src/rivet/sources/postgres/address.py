"""A source's address as libpq parameters, with the TLS decision made before any byte is sent.

Pure but for reading the connection service file. Nothing here connects.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from rivet.errors import ConfigError
from rivet.model.source import TlsMode, TlsOptions
from rivet.openfile import read_regular
from rivet.redact import redact, register_secret, visible
from rivet.sources.network import (
    ENCODE_HINT,
    authority_file,
    refuse_plaintext,
    resolved,
    system_authorities,
)

if TYPE_CHECKING:
    from rivet.model.source import SessionSettings, SourceAddress

SCHEMES: Final = ("postgresql", "postgres")
_MOST_SERVICE_BYTES: Final = 1024 * 1024
_PROTECTED: Final = frozenset({"require", "verify-ca", "verify-full"})
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
    given = _given(address)
    service = given.pop("service", None) or os.environ.get("PGSERVICE")
    if service:
        given = {**_service_parameters(service), **given}
    for key in _SECRETS:
        register_secret(given.get(key, ""))
    if "passfile" in given:
        given["passfile"] = str(resolved(Path(given["passfile"]), address.base_dir))
    chosen = _tls_parameters(address, given)
    defaults = {
        "keepalives": "1",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": "60000",
        "application_name": settings.application_name,
        # libpq takes 1 for 2, and 0 for no limit
        "connect_timeout": str(max(2, round(settings.connect_timeout_s))),
    }
    return {**defaults, **given, **chosen, "client_encoding": "UTF8"}


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
        msg = "the PostgreSQL URL is not valid" + (f": {detail}" if is_safe else "")
        raise ConfigError(msg, hint=ENCODE_HINT) from None
    return {key: str(value) for key, value in parsed.items() if value is not None}


def _refuse_raw_reserved(rest: str) -> None:
    """Refuse an unencoded `@` or `/` in the password, which libpq would take for a host."""
    authority, _, tail = rest.partition("/")
    is_port = re.fullmatch(r"(.*:)?\d*", authority.rpartition(",")[2]) is not None
    has_late_userinfo = "@" not in authority and "@" in tail.partition("?")[0] and not is_port
    if authority.count("@") > 1 or has_late_userinfo:
        msg = "the user or password in the PostgreSQL URL holds an unencoded '@' or '/'"
        raise ConfigError(msg, hint=ENCODE_HINT)


def _service_parameters(name: str) -> dict[str, str]:
    """Read one section of the user's or the system's service file.

    The section is resolved here and not by libpq, so that the TLS decision sees its host.
    """
    user_file = os.environ.get("PGSERVICEFILE") or str(Path.home() / ".pg_service.conf")
    candidates = [Path(user_file)]
    if directory := os.environ.get("PGSYSCONFDIR"):
        candidates.append(Path(directory) / "pg_service.conf")
    candidates.append(Path("/etc/postgresql-common/pg_service.conf"))
    for path in candidates:
        try:
            text = read_regular(path, max_bytes=_MOST_SERVICE_BYTES).decode()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            msg = f"the service file {path} cannot be read: {type(error).__name__}"
            raise ConfigError(msg) from error
        if (found := _section(text, name)) is not None:
            return found
    msg = f"service '{visible(name)}' is not defined in {', '.join(map(str, candidates))}"
    raise ConfigError(msg, hint="add the section, or set PGSERVICEFILE to the file that has it")


def _section(text: str, name: str) -> dict[str, str] | None:
    found: dict[str, str] | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            if found is not None:
                break
            found = {} if line == f"[{name}]" else None
        elif found is not None:
            key, separator, value = line.partition("=")
            if not separator or key == "service" or key.startswith("ldap"):
                msg = f"service '{visible(name)}' holds a line that is not 'parameter=value'"
                raise ConfigError(msg)
            found.setdefault(key, value)
    return found


def _tls_parameters(address: SourceAddress, given: dict[str, str]) -> dict[str, str]:
    if address.tls is not None:
        return _from_block(address.tls, given, address.base_dir)
    mode = given.get("sslmode") or os.environ.get("PGSSLMODE", "")
    if mode not in _PROTECTED:
        refuse_plaintext(_hosts(given))
    if "sslrootcert" in given and given["sslrootcert"] != "system":
        return {"sslrootcert": str(resolved(Path(given["sslrootcert"]), address.base_dir))}
    return {}


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


def _hosts(given: dict[str, str]) -> list[str]:
    """Return every host that libpq would contact; an empty one is the local socket."""
    for key, variable in (("hostaddr", "PGHOSTADDR"), ("host", "PGHOST")):
        value = given.get(key) or os.environ.get(variable)
        if value:
            return value.split(",")
    return [""]
