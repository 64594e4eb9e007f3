"""Rows of the state to values: what is not of its type is damage, never a bug.

Anybody may have written to the store, and a disk may have changed it: each value is looked at
before it is used.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rivet.errors import StateDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rivet.state.database import Row

_WRONG = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class UnreadableRowError(Exception):
    """A row cannot be what Rivet wrote; a database turns it into `StateDamagedError`.

    Attributes:
        table: Its table.
        problem: What is wrong with it.
    """

    def __init__(self, table: str, problem: str = "cannot be read") -> None:
        super().__init__(table)
        self.table = table
        self.problem = problem


@contextmanager
def decoding(table: str) -> Iterator[None]:
    """Take every way a value can be wrong for damage of a row.

    Raises:
        UnreadableRowError: A value of the row is not what it should be.
    """
    try:
        yield
    except _WRONG as error:
        raise UnreadableRowError(table) from error


def written(count: int, table: str) -> None:
    """Make sure that a statement wrote its one row: a rule, a trigger or a view may swallow it.

    Raises:
        UnreadableRowError: It wrote another number of rows.
    """
    if count != 1:
        raise UnreadableRowError(table, "could not be written")


def all_there(found: Sequence[int], expected: range, table: str) -> None:
    """Make sure that every row that was recorded is there, by their numbers in order.

    Raises:
        UnreadableRowError: They are not.
    """
    if list(found) != list(expected):
        raise UnreadableRowError(table, "is missing")


def damaged(location: str, what: str, *, otherwise: str = "") -> StateDamagedError:
    """Return the error for a store that is there and cannot be what Rivet wrote.

    Args:
        location: Of the store.
        what: Is wrong.
        otherwise: What helps where a repair is refused.
    """
    msg = f"the state {location} is damaged: {what}"
    hint = "restore it from a backup, or rebuild it from manifests with `rivet repair --state`"
    return StateDamagedError(msg, hint=hint + otherwise)


def unreadable(
    location: str, error: UnreadableRowError, *, otherwise: str = ""
) -> StateDamagedError:
    """Return the error for a row that cannot be read, or was not written."""
    what = f"a row of its table '{error.table}' {error.problem}"
    return damaged(location, what, otherwise=otherwise)


def text(row: Row, name: str) -> str:
    """Return a value that must be text.

    Raises:
        ValueError: It is not.
    """
    value = row[name]
    if not isinstance(value, str):
        raise ValueError(name)  # noqa: TRY004 - all that is wrong with a row is one kind
    return value


def optional_text(row: Row, name: str) -> str | None:
    """Return a value that is text or NULL.

    Raises:
        ValueError: It is neither.
    """
    return None if row[name] is None else text(row, name)


def number(row: Row, name: str) -> int:
    """Return a value that must be a whole number from 0.

    Raises:
        ValueError: It is not.
    """
    value = row[name]
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(name)
    return value


def real(row: Row, name: str) -> float:
    """Return a value that must be a number.

    Raises:
        ValueError: It is not.
    """
    value = row[name]
    if not isinstance(value, int | float):
        raise ValueError(name)  # noqa: TRY004 - all that is wrong with a row is one kind
    return float(value)


def json_object(value: str) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Raises:
        ValueError: It holds something else, or is no JSON.
    """
    body = json.loads(value)
    if not isinstance(body, dict):
        raise ValueError("object")  # noqa: TRY004, EM101 - never shown
    return body


def json_list(value: str) -> list[Any]:
    """Return the list that a JSON text holds.

    Raises:
        ValueError: It holds something else, or is no JSON.
    """
    body = json.loads(value)
    if not isinstance(body, list):
        raise ValueError("list")  # noqa: TRY004, EM101 - never shown
    return body
