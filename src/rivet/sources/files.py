"""What the engines that read a file share: which file an address names, and that it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import ConfigError, SourceAuthError, SourceError
from rivet.openfile import NotRegularFileError, check_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from rivet.model.source import SourceAddress

__all__ = ["check_file", "database_path"]


def database_path(address: SourceAddress, *, scheme: str, title: str) -> Path:
    """Return the absolute path an address names; the file need not exist.

    Args:
        address: `<scheme>:///relative/to/the/config`, `<scheme>:////absolute`, `<scheme>:path`, or
            the path in `database`.
        scheme: The URL's, such as `sqlite`.
        title: What messages call the engine.

    Raises:
        ConfigError: It names no file, or a database in memory.
    """
    given = _given_path(address, scheme, title)
    if not given or given.startswith((":memory:", "file:")):
        msg = f"the {title} source names no database file"
        raise ConfigError(msg, hint=f"write url: {scheme}:///path/to/file.db")
    return (address.base_dir / given).absolute()


def _given_path(address: SourceAddress, scheme: str, title: str) -> str:
    if address.url is None:
        return address.database or ""
    url = address.url.reveal()
    given, colon, rest = url.partition(":")
    if not colon or given.lower() != scheme:
        msg = f"the URL of a {title} source must begin with {scheme}:"
        raise ConfigError(msg, hint=f"write url: {scheme}:///path/to/file.db")
    if not rest.startswith("//"):
        return rest
    host, slash, path = rest[2:].partition("/")
    if host or not slash:
        msg = f"the URL of a {title} source has a host, or too few slashes"
        raise ConfigError(
            msg, hint=f"write {scheme}:///relative/file.db or {scheme}:////absolute/file.db"
        )
    return path


def check_file(path: Path, *, logs: Iterable[str]) -> None:
    """Make sure that a file is there and may be read, and that its logs do not block a reader.

    Args:
        path: The database.
        logs: What its engine adds to the name for files that it opens beside it by itself.

    Raises:
        SourceError: It is not there, or is a folder; a log is a named pipe or a device.
        SourceAuthError: It may not be read.
    """
    try:
        check_regular(path)
    except FileNotFoundError as error:
        msg = f"no database file at {path}"
        hint = "check the path; relative paths start at the folder of the configuration"
        name, mark, _ = path.name.partition("?")
        if mark and path.with_name(name).exists():
            msg = f"the URL of the database file {path.with_name(name)} has options behind a '?'"
            hint = "remove them: a file's URL has none; a schema stands in `table: schema.name`"
        raise SourceError(msg, hint=hint) from error
    except NotRegularFileError as error:
        msg = f"{path} is no database file: {error.strerror}"
        raise SourceError(msg, hint="name the file itself") from error
    except PermissionError as error:
        msg = f"the database file {path} may not be read"
        raise SourceAuthError(msg, hint="check the permissions of the file") from error
    except OSError as error:
        msg = f"the database file {path} cannot be opened: {error.strerror}"
        raise SourceError(msg, hint="check the path") from error
    for ending in logs:
        log = path.with_name(path.name + ending)
        try:
            check_regular(log)
        except NotRegularFileError as error:
            msg = f"{log} is no log of the database beside it: {error.strerror}"
            raise SourceError(msg, hint="move it away") from error
        except OSError:
            continue  # mostly there is none; of the others the engine itself tells
