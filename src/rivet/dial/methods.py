"""Which ways to authenticate a PostgreSQL server may ask for, by the state of the connection.

A server asks and libpq answers, so what may be answered is told to libpq before it connects. A
password is never sent as it is, nor as an MD5 digest, where others could read along; and a login
that asks for one must end with the server's own proof (docs/adr/0029).

Source:
    PostgreSQL manual, "Database Connection Control Functions", `require_auth`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.dial.gate import Protection, Target
from rivet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNASKED", "rules"]

UNASKED: Final = "none"
"""libpq's word for a server that asks for nothing."""

_SAFE: Final = ("scram-sha-256", "gss", "sspi")
_READABLE: Final = ("password", "md5")
_KNOWN: Final = (*_SAFE, *_READABLE, UNASKED, "oauth")


def rules(parameters: Mapping[str, str], target: Target, protection: Protection) -> list[str]:
    """Return the values of `require_auth` to try, most likely one first.

    A server that asks for nothing is let in by a try of its own: allowed together with others,
    it would let a server stop in the middle of SCRAM.

    Args:
        parameters: Of one host; `require_auth` can take methods away, and never adds one.
        target: Where they lead.
        protection: Whether TLS is certain.

    Raises:
        ConfigError: `require_auth` or `channel_binding` cannot be kept.
    """
    is_private = protection is Protection.TLS or target.is_socket
    allowed = (*_SAFE, *(_READABLE if is_private else ()), UNASKED)
    kept = [name for name in allowed if name in _wished(parameters.get("require_auth", ""))]
    if not kept:
        where = "this connection" if is_private else "a connection without TLS"
        msg = f"require_auth: none of its methods may be used on {where}"
        raise ConfigError(msg, hint=f"allow one of: {', '.join(allowed)}; or set tls.mode")
    if protection is Protection.TLS and parameters.get("channel_binding") == "disable":
        msg = "channel_binding=disable would let a server be impersonated behind its TLS"
        raise ConfigError(msg, hint="leave it out, or use prefer or require")
    asked = ",".join(name for name in kept if name != UNASKED)
    order = [asked] if asked else []
    if UNASKED in kept:
        order.insert(len(order) if _has_password(parameters) else 0, UNASKED)
    return order


def _wished(text: str) -> set[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        return set(_KNOWN)
    if all(word.startswith("!") for word in words):
        return set(_KNOWN) - {word[1:] for word in words}
    return {word for word in words if not word.startswith("!")}


def _has_password(parameters: Mapping[str, str]) -> bool:
    if parameters.get("password") or os.environ.get("PGPASSWORD"):
        return True
    file = parameters.get("passfile") or os.environ.get("PGPASSFILE")
    return Path(file or Path.home() / ".pgpass").is_file()
