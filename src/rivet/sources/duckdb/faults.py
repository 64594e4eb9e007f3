"""DuckDB's errors as Rivet's: by class, and by text only where the class says too little."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa

from rivet.errors import (
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceUnavailableError,
)
from rivet.redact import cleanse, foreign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STATEMENT_HINT: Final = "check the names and the SQL of the export, then run it again"
_VALUE_HINT: Final = "a value does not fit the expression that reads it; change that one"
_MEMORY_HINT: Final = "the query needs more memory than Rivet allows; read less with one statement"
_FILE_HINT: Final = "a query may read the tables of this database only"
_BY_CLASS: Final[tuple[tuple[str, type[SourceError], str], ...]] = (
    ("InterruptException", SourceInterruptedError, "run it again"),
    ("OutOfMemoryException", SourceError, _MEMORY_HINT),
    ("PermissionException", SourceQueryError, _FILE_HINT),
    ("ConversionException", SourceQueryError, _VALUE_HINT),
    ("OutOfRangeException", SourceQueryError, _VALUE_HINT),
    ("TypeMismatchException", SourceQueryError, _VALUE_HINT),
    ("ParserException", SourceQueryError, _STATEMENT_HINT),
    ("BinderException", SourceQueryError, _STATEMENT_HINT),
    ("CatalogException", SourceQueryError, _STATEMENT_HINT),
    ("InvalidInputException", SourceQueryError, _STATEMENT_HINT),
)
# The Arrow stream has lost the class, and keeps the first words of the message.
_BY_WORDS: Final = {
    "INTERRUPT": "InterruptException",
    "Out of Memory": "OutOfMemoryException",
    "Conversion": "ConversionException",
    "Out of Range": "OutOfRangeException",
    "Invalid Input": "ConversionException",
}
_QUOTED: Final = re.compile(r"'[^']*'?|\"[^\"]*\"?")
_HOLDER: Final = re.compile(r"PID (\d+)")


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Raise DuckDB's errors as Rivet's.

    Args:
        action: What was being done, such as `reading orders`; starts the message.

    Raises:
        SourceError: Or one of its classes.
    """
    try:
        yield
    except duckdb.Error as error:
        told = _source_error(type(error).__name__, str(error), action)
        cleanse(error)
        raise told from error
    except (pa.ArrowException, OSError) as error:
        text = str(error)
        name = next((found for words, found in _BY_WORDS.items() if words in text), "")
        raise _source_error(name, text, action) from None


def _source_error(name: str, text: str, action: str) -> SourceError:
    first = text.strip().splitlines()[0] if text.strip() else name
    found = next((fault for fault in _BY_CLASS if fault[0] == name), None)
    cls, hint = found[1:] if found else (SourceError, "check the database file")
    if hint == _VALUE_HINT:
        head, colon, rest = _QUOTED.sub("'...'", first).partition(": ")
        first = f"{head}: '...'" if colon and "value" in rest else f"{head}{colon}{rest}"
    return cls(f"{action}: {foreign(first)}", hint=hint)


def open_error(error: Exception, path: Path) -> SourceError:
    """Return Rivet's error for a file that could not be opened."""
    text = str(error)
    if "lock" in text.lower():
        holder = _HOLDER.search(text)
        who = f"process {holder[1]}" if holder else "another process"
        msg = f"the database file {path} is held by {who}, which may write to it"
        return SourceUnavailableError(msg, hint="try again when that process has closed it")
    if "different configuration" in text:
        msg = f"the database file {path} is open in this process with other settings"
        return SourceUnavailableError(msg, hint="close that connection first")
    if "not a valid DuckDB database" in text:
        msg = f"{path} is not a DuckDB database file"
        return SourceError(msg, hint="check the path and `source.type`")
    first = foreign(text.strip().splitlines()[0]) if text.strip() else "unknown error"
    return SourceError(f"the database file {path} cannot be opened: {first}", hint="check the file")
