"""What the engines behind a network share: who is local, and when TLS may be left out.

Nothing here connects, and nothing here knows a driver.
"""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError
from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ENCODE_HINT",
    "authority_file",
    "is_local",
    "refuse_plaintext",
    "resolved",
    "system_authorities",
]

ENCODE_HINT: Final = (
    "percent-encode user and password in the URL ('@' is %40, '/' is %2F, '%' is %25), or give "
    "host, user and password_env instead of a URL"
)

_USUAL_AUTHORITIES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


def is_local(host: str) -> bool:
    """Whether a host is this machine: a socket, `localhost` or a loopback address."""
    if not host or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_plaintext(hosts: Iterable[str]) -> None:
    """Refuse hosts beyond this machine where nobody has decided about TLS.

    Raises:
        ConfigError: One of them is not local; the hint has both ways to decide.
    """
    remote = next((host for host in hosts if not is_local(host)), None)
    if remote is not None:
        msg = f"TLS is required to reach '{visible(remote)}', and no TLS mode is set"
        raise ConfigError(
            msg,
            hint="add `tls: {mode: verify-full}` to the source (or `tls: {mode: disable}` to send "
            "everything in the clear on purpose)",
            host=remote,
        )


def authority_file(path: Path, base_dir: Path) -> Path:
    """Return the file of `tls.ca_file`.

    Raises:
        ConfigError: There is none.
    """
    found = resolved(path, base_dir)
    if not found.is_file():
        msg = f"tls.ca_file: there is no file {found}"
        raise ConfigError(msg, hint="give the path of the authority's certificate (PEM)")
    return found


def system_authorities(*own: Path) -> Path | None:
    """Return a file of trusted authorities: one's own, else the system's, else None."""
    usual = ssl.get_default_verify_paths().cafile
    candidates = (*own, *([Path(usual)] if usual else []), *map(Path, _USUAL_AUTHORITIES))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def resolved(path: Path, base_dir: Path) -> Path:
    """Return a path of the configuration, which starts at its folder."""
    return base_dir / path.expanduser()
