"""libpq's parameters made whole: what the service and the environment add, and where they lead.

The service file and the variables that decide about a connection are read here and not by libpq,
so that the TLS gate sees every host that would be dialled. Nothing here connects.
"""

from __future__ import annotations

import os
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.dial.gate import Protection, Target
from rivet.errors import ConfigError
from rivet.openfile import SHARED_HINT, SharedFileError, read_regular
from rivet.redact import register_secret, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HIDDEN", "PROTECTED", "attempts", "completed", "protection", "target", "targets"]

PROTECTED: Final = frozenset({"require", "verify-ca", "verify-full"})
"""The values of `sslmode` under which libpq sends nothing in the clear."""

HIDDEN: Final = ("PGSERVICE", "PGTZ", "PGDATESTYLE")
"""Variables that libpq must not see: the first is followed here, the others are the role's."""

_MOST_SERVICE_BYTES: Final = 1024 * 1024
_VARIABLES: Final = {
    "PGHOST": "host",
    "PGHOSTADDR": "hostaddr",
    "PGPORT": "port",
    "PGSSLMODE": "sslmode",
    "PGGSSENCMODE": "gssencmode",
    "PGREQUIREAUTH": "require_auth",
    "PGCHANNELBINDING": "channel_binding",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
    "PGLOADBALANCEHOSTS": "load_balance_hosts",
}


def completed(given: Mapping[str, str]) -> dict[str, str]:
    """Return parameters with those of the service and the environment that decide where they lead.

    What is given beats the service, and the service beats the environment. No `service` is left.

    Raises:
        ConfigError: The service cannot be read or is not defined.

    Source:
        PostgreSQL manual, "The Connection Service File" and "Environment Variables".
    """
    whole = dict(given)
    service = whole.pop("service", None) or os.environ.get("PGSERVICE")
    if service:
        whole = {**_service_parameters(service), **whole}
    for variable, key in _VARIABLES.items():
        if key not in whole and (value := os.environ.get(variable)):
            whole[key] = value
    return whole


def protection(parameters: Mapping[str, str]) -> Protection:
    """Return what `sslmode` decides, of parameters that are complete."""
    is_protected = parameters.get("sslmode") in PROTECTED
    return Protection.TLS if is_protected else Protection.UNDECIDED


def targets(parameters: Mapping[str, str]) -> list[Target]:
    """Return every place that libpq would dial, of parameters that are complete.

    Source:
        PostgreSQL manual, "Specifying Multiple Hosts": `hostaddr` rules where it is not empty.
    """
    return [target(one) for one in attempts(parameters)]


def attempts(parameters: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the parameters of one host each, in the order to try them; no name is looked up."""
    hosts = parameters.get("host", "").split(",")
    addresses = parameters.get("hostaddr", "").split(",")
    ports = parameters.get("port", "").split(",")
    count = max(len(hosts), len(addresses))
    if len(ports) == 1:
        ports *= count
    tried = zip_longest(hosts, addresses, ports, fillvalue="")
    return [
        {**parameters, "host": host, "hostaddr": address, "port": port}
        for host, address, port in tried
    ]


def target(parameters: Mapping[str, str]) -> Target:
    """Return the place that parameters of one host lead to."""
    host, address = parameters.get("host", ""), parameters.get("hostaddr", "")
    is_socket = not address and (not host or host.startswith(("/", "@")))
    return Target(host or address, address or host, is_socket=is_socket)


def _service_parameters(name: str) -> dict[str, str]:
    """Read one section of the user's or the system's service file."""
    user_file = os.environ.get("PGSERVICEFILE") or str(Path.home() / ".pg_service.conf")
    candidates = [Path(user_file)]
    if directory := os.environ.get("PGSYSCONFDIR"):
        candidates.append(Path(directory) / "pg_service.conf")
    candidates.append(Path("/etc/postgresql-common/pg_service.conf"))
    for path in candidates:
        try:
            text = read_regular(path, max_bytes=_MOST_SERVICE_BYTES, is_trusted=True).decode()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            msg = f"the service file {visible(str(path))} cannot be read: {reason}"
            is_shared = isinstance(error, SharedFileError)
            hint = SHARED_HINT if is_shared else "make it a readable file, or unset PGSERVICEFILE"
            raise ConfigError(msg, hint=hint) from error
        if (found := _section(text, name)) is not None:
            register_secret(found.get("password", ""))
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
