"""Access to a store: variables that hold secrets, endpoints without TLS, metadata services."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from rivet.errors import ConfigError
from rivet.redact import register_secret

__all__ = ["StoreOptions", "answers", "may_use", "plain_remarks", "secret_of"]

_PATIENCE_S: Final = 1.0


class StoreOptions(BaseModel):
    """Keys that the destinations of all object stores have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bucket: str = Field(min_length=1)
    prefix: str = ""
    endpoint: str | None = None
    allow_anonymous: bool = False
    allow_http: bool = False
    oneshot_budget_mb: int | None = None


def secret_of(variable: str, place: str) -> str:
    """Return the secret that a variable holds, which no message repeats from here on.

    Args:
        variable: Its name, as the destination has it.
        place: The destination, for messages.

    Raises:
        ConfigError: It is not set, or empty.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        msg = f"{place}: the variable {variable} is not set"
        raise ConfigError(msg, hint=f"set {variable}, or remove the key that names it")
    register_secret(value)
    return value


def may_use(endpoint: str | None, place: str, *, allow_http: bool) -> bool:
    """Whether an endpoint is spoken to without TLS; None is the provider's own.

    Raises:
        ConfigError: It is no address, or it would be, and is neither of this machine nor allowed.
    """
    if endpoint is None:
        return False
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        msg = f"{place}: `endpoint` is not an address such as https://store.example.com"
        raise ConfigError(msg, hint="write it with http:// or https://, and without a password")
    if parts.scheme == "https":
        return False
    if not allow_http and not is_loopback(parts.hostname):
        msg = f"{place}: {parts.hostname} would be spoken to without TLS"
        raise ConfigError(msg, hint="write https://, or set `allow_http: true` on the destination")
    return True


def plain_remarks(endpoint: str | None) -> tuple[str, ...]:
    """Return what is to be said of an endpoint of another machine that is spoken to without TLS."""
    parts = urlsplit(endpoint or "")
    if parts.scheme != "http" or is_loopback(parts.hostname or ""):
        return ()
    return (f"rows go to {parts.hostname} without TLS, as `allow_http` says",)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def answers(host: str, port: int) -> bool:
    """Whether something listens there within a second, such as a metadata service of a cloud."""
    try:
        socket.create_connection((host, port), timeout=_PATIENCE_S).close()
    except OSError:
        return False
    return True
