"""TLS certificates and keys that libpq opens by name: regular files that not everybody can write.

libpq would wait for ever at a named pipe, and connects without a list of revoked certificates that
it cannot read. Whoever can write to the file decides which server is
trusted, so it is refused as ssh refuses a key that others can write.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError
from rivet.openfile import (
    SHARED_HINT,
    FileTooLargeError,
    SharedFileError,
    open_regular,
    read_regular,
)
from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_tls_files"]

# Parameter: its variable, and what libpq takes where neither is set.
_FILES: Final = {
    "sslrootcert": ("PGSSLROOTCERT", "root.crt"),
    "sslcrl": ("PGSSLCRL", "root.crl"),
    "sslcert": ("PGSSLCERT", "postgresql.crt"),
    "sslkey": ("PGSSLKEY", "postgresql.key"),
}
_LIST: Final = "sslcrl"
_MOST_LIST_BYTES: Final = 64 * 1024 * 1024
_NO_FILES: Final = ("system", "engine:")


def check_tls_files(parameters: Mapping[str, str]) -> None:
    """Look at every file of TLS that a connection may open; libpq tells of the most that are wrong.

    Args:
        parameters: libpq's, complete.

    Raises:
        ConfigError: One is no regular file, every user of the machine can write to it, or it is
            wrong and libpq would not mind.

    Source:
        PostgreSQL manual, "SSL Support".
    """
    for key, (variable, usual) in _FILES.items():
        named = parameters.get(key) or os.environ.get(variable)
        if named is not None and named.startswith(_NO_FILES):
            continue
        path = Path(named) if named else _home() / usual
        try:
            os.close(open_regular(path, is_trusted=True))
        except SharedFileError as error:
            msg = f"{key}: {visible(str(path))} is not trusted: {error.strerror}"
            raise ConfigError(msg, hint=SHARED_HINT) from error
        except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError) as error:
            if _is_passed_over(key, named, parameters):
                reason = getattr(error, "strerror", None) or "no such file can be"
                raise _unreadable(key, path, reason) from error
        except OSError as error:
            raise _unreadable(key, path, error.strerror) from error
        else:
            if key == _LIST and parameters.get("sslmode") != "disable":
                _refuse_no_list(path)


def _is_passed_over(key: str, named: str | None, parameters: Mapping[str, str]) -> bool:
    """Whether libpq would connect without what such a file was named for, and say nothing."""
    if parameters.get("sslmode") == "disable":
        return False
    return (key == _LIST and named is not None) or (key == "sslrootcert" and key in parameters)


def _refuse_no_list(path: Path) -> None:
    """Refuse a list of revoked certificates that libpq would pass over.

    Raises:
        ConfigError: It holds none, or is damaged.
    """
    import ssl  # hardly anybody has such a list

    try:
        data = read_regular(path, max_bytes=_MOST_LIST_BYTES, is_trusted=True)
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
        is_list = b"-----BEGIN X509 CRL-----" in data
    except FileTooLargeError as error:
        raise _unreadable(_LIST, path, error.strerror) from error
    except (ssl.SSLError, OSError):
        is_list = False
    if not is_list:
        reason = "it holds no list of revoked certificates"
        raise _unreadable(_LIST, path, reason)


def _unreadable(key: str, path: Path, reason: str | None) -> ConfigError:
    msg = f"{key}: {visible(str(path))} cannot be read: {reason}"
    return ConfigError(msg, hint="give the path of a PEM file")


def _home() -> Path:
    return Path(os.path.expanduser("~")) / ".postgresql"  # noqa: PTH111 - there may be no home
