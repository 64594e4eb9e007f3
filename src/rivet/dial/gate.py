"""The TLS gate: one function decides for every connection of every engine, the state's included.

It looks at what will really be dialled, not at what a URL says first. Nothing here connects, and
nothing here knows a driver.

Source:
    OWASP Transport Layer Security Cheat Sheet: no fallback to plaintext that nobody decided on.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Protection", "Target", "exposed", "is_loopback"]


class Protection(Enum):
    """What somebody decided about a connection."""

    TLS = "nothing but the request for TLS is sent before TLS is up"
    ACCEPTED = "plaintext, on purpose"
    UNDECIDED = "nobody has decided"


@dataclass(frozen=True, slots=True)
class Target:
    """One place that a driver would connect to.

    Attributes:
        name: What the user calls it.
        address: A name or an IP address, as it will be dialled; empty is the driver's local socket.
        is_socket: It is a socket of this machine's file system.
    """

    name: str
    address: str
    is_socket: bool = False


def exposed(targets: Iterable[Target], protection: Protection) -> Target | None:
    """Return the first target that must not be dialled, since it is remote and nobody decided.

    Args:
        targets: All that may be dialled.
        protection: What was decided for all of them.
    """
    if protection is not Protection.UNDECIDED:
        return None
    return next(
        (one for one in targets if not (one.is_socket or is_loopback(one.address))),
        None,
    )


def is_loopback(address: str) -> bool:
    """Whether a name or address stays on this machine; a spelling that is not known does not."""
    if not address or address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
