"""Passwords that libpq finds by itself, made known so that no text shows them.

libpq takes a password from PGPASSWORD or from a password file, and Rivet never sees it; a server
may say it all the same. Nothing here decides anything.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError
from rivet.openfile import FileTooLargeError, NotRegularFileError, read_regular
from rivet.redact import register_secret, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["know_passwords"]

_GIVEN: Final = ("password", "sslpassword")
_MOST_BYTES: Final = 1024 * 1024
_FIELDS: Final = 5


def know_passwords(parameters: Mapping[str, str]) -> None:
    """Let `redact` know every password that a connection may be made with.

    A file that cannot be read, or a device, is none: libpq leaves it out as well, and says so. It
    waits for ever at a named pipe, and reads a very large file to its end.

    Raises:
        ConfigError: The password file is larger than 1 MB, or something else than a file.

    Source:
        PostgreSQL manual, "The Password File".
    """
    for key in _GIVEN:
        register_secret(parameters.get(key, ""))
    if parameters.get("password"):
        return
    if variable := os.environ.get("PGPASSWORD"):
        register_secret(variable)
        return
    named = parameters.get("passfile") or os.environ.get("PGPASSFILE")
    path = Path(named or os.path.expanduser("~/.pgpass"))  # noqa: PTH111 - there may be no home
    try:
        text = read_regular(path, max_bytes=_MOST_BYTES).decode("utf-8", "replace")
    except (FileTooLargeError, NotRegularFileError) as error:
        if path.is_char_device():
            return
        msg = f"the password file {visible(str(path))} cannot be used: {error.strerror}"
        raise ConfigError(msg, hint="name another in PGPASSFILE, or give the password") from error
    except (OSError, ValueError):
        return
    for line in text.splitlines():
        if not line.startswith("#"):
            register_secret(_password_of(line))


def _password_of(line: str) -> str:
    """Return the fifth field of a line; a backslash takes the meaning from what follows it."""
    fields, characters = [""], iter(line)
    for character in characters:
        if character == "\\":
            fields[-1] += next(characters, "")
        elif character == ":" and len(fields) < _FIELDS:
            fields.append("")
        else:
            fields[-1] += character
    return fields[-1] if len(fields) == _FIELDS else ""
