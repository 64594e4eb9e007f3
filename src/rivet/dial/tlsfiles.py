"""TLS certificates and keys that libpq opens by name: regular files that not everybody can write.

libpq would wait for ever at a named pipe. Whoever can write to the file decides which server is
trusted, so it is refused as ssh refuses a key that others can write.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError
from rivet.openfile import SHARED_HINT, SharedFileError, open_regular
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
_NO_FILES: Final = ("system", "engine:")


def check_tls_files(parameters: Mapping[str, str]) -> None:
    """Look at every file of TLS that a connection may open; libpq tells of one that is missing.

    Args:
        parameters: libpq's, complete.

    Raises:
        ConfigError: One is no regular file, or every user of the machine can write to it.

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
        except (FileNotFoundError, NotADirectoryError, PermissionError, ValueError):
            continue
        except OSError as error:
            msg = f"{key}: {visible(str(path))} cannot be read: {error.strerror}"
            raise ConfigError(msg, hint="give the path of a PEM file") from error


def _home() -> Path:
    return Path(os.path.expanduser("~")) / ".postgresql"  # noqa: PTH111 - there may be no home
