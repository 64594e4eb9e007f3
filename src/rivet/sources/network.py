"""What the engines behind a network share: who is local, and when TLS may be left out.

Nothing here connects, and nothing here knows a driver.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.dial.gate import Protection, Target, exposed
from rivet.errors import ConfigError
from rivet.openfile import SHARED_HINT, SharedFileError, open_regular
from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AUTHORITY_HINT",
    "DECIDE_HINT",
    "ENCODE_HINT",
    "authority_file",
    "is_local",
    "no_tls_hint",
    "option_hint",
    "refuse_exposed",
    "refuse_plaintext",
    "resolved",
    "system_authorities",
]

DECIDE_HINT: Final = (
    "add `tls: {mode: verify-full}` to the source (or `tls: {mode: disable}` to send everything in "
    "the clear on purpose)"
)
ENCODE_HINT: Final = (
    "percent-encode user and password in the URL ('@' is %40, '/' is %2F, '%' is %25), or give "
    "host, user and password_env instead of a URL"
)

AUTHORITY_HINT: Final = (
    "set tls.ca_file to the certificate of the authority that signed the server's: `tls: {mode: "
    "verify-full, ca_file: FILE}` in the source"
)

_SCHEMA_OPTIONS: Final = frozenset({"schema", "currentschema", "searchpath"})
_USUAL_AUTHORITIES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


def is_local(host: str) -> bool:
    """Whether a host is this machine: a socket, `localhost` or a loopback address."""
    return exposed([_target(host)], Protection.UNDECIDED) is None


def no_tls_hint(host: str) -> str:
    """Return what to do about a server that was asked for TLS and has none."""
    if is_local(host):
        return (
            "set `tls: {mode: disable}` in the source, which is meant for a server on this "
            "machine; or switch TLS on at the server"
        )
    return (
        "switch TLS on at the server; `tls: {mode: disable}` in the source sends everything in "
        "the clear on purpose"
    )


def option_hint(name: str, *, otherwise: str = "remove it") -> str:
    """Return what to do about an option of a URL that its engine does not know."""
    is_schema = name.lower().replace("_", "") in _SCHEMA_OPTIONS
    named = "remove it, and write the schema in the export: `table: schema.name`"
    return named if is_schema else otherwise


def refuse_plaintext(hosts: Iterable[str]) -> None:
    """Refuse hosts beyond this machine where nobody has decided about TLS.

    Raises:
        ConfigError: One of them is not local; the hint has both ways to decide.
    """
    refuse_exposed([_target(host) for host in hosts], Protection.UNDECIDED)


def refuse_exposed(targets: Iterable[Target], protection: Protection) -> None:
    """Refuse targets that the TLS gate keeps closed.

    Raises:
        ConfigError: One of them; the hint has both ways to decide.
    """
    remote = exposed(targets, protection)
    if remote is None:
        return
    is_resolved = remote.name != remote.address
    where = f"'{visible(remote.name)}'" + (f" ({visible(remote.address)})" if is_resolved else "")
    msg = f"TLS is required to reach {where}, and no TLS mode is set"
    raise ConfigError(
        msg,
        hint=DECIDE_HINT,
        host=remote.name,
    )


def _target(host: str) -> Target:
    return Target(host, host, is_socket=host.startswith(("/", "@")))


def authority_file(path: Path, base_dir: Path) -> Path:
    """Return the file of `tls.ca_file`.

    Raises:
        ConfigError: There is none.
    """
    found = resolved(path, base_dir)
    hint = "give the path of the authority's certificate (PEM)"
    try:
        os.close(open_regular(found, is_trusted=True))
    except FileNotFoundError as error:
        msg = f"tls.ca_file: there is no file {found}"
        raise ConfigError(msg, hint=hint) from error
    except OSError as error:
        msg = f"tls.ca_file: {found} cannot be used: {error.strerror}"
        is_shared = isinstance(error, SharedFileError)
        raise ConfigError(msg, hint=SHARED_HINT if is_shared else hint) from error
    return found


def system_authorities(*own: Path) -> Path | None:
    """Return a file of trusted authorities: one's own, else the system's, else None."""
    usual = ssl.get_default_verify_paths().cafile
    candidates = (*own, *([Path(usual)] if usual else []), *map(Path, _USUAL_AUTHORITIES))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def resolved(path: Path, base_dir: Path) -> Path:
    """Return a path of the configuration, which starts at its folder."""
    return base_dir / path.expanduser()
