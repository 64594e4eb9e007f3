"""The server's warnings on a statement that was read: what it says was cut or changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from pymysql.connections import Connection

__all__ = ["TOO_LONG", "warnings_of"]

TOO_LONG: Final = 1301
"""A function's result is longer than max_allowed_packet, and NULL."""
# A division by zero is NULL by the standard, and what else there is changes no value. The server's
# own texts hold values.
_TOLD: Final = {
    1260: "GROUP_CONCAT cut a text at `group_concat_max_len`, which `source.session` can raise",
    1264: "a number out of range became the nearest one of its type",
    1265: "a value was cut to fit its type",
    1292: "a text that is no number, date or time in whole was taken for a part of it, or for NULL",
    1300: "bytes that are no text in their character set became NULL or a question mark",
    TOO_LONG: "a function's result longer than `max_allowed_packet` became NULL",
    1366: "a value that is not of its type was changed",
    1411: "a text that is no date or time became NULL",
    1441: "a date behind the last one became NULL",
    1916: "a number too large for its type was changed",
    1917: "a value was cut to fit its type",
    1918: "a text that is no number in whole was taken for a part of it",
    1977: "a character that the wanted character set lacks became a question mark",
}


def warnings_of(connection: Connection[Any], count: int) -> dict[int, str]:
    """Return what the server says became of values in the statement before, by number.

    Args:
        connection: It has run nothing since.
        count: How many warnings there are; the server lists the first ones only.
    """
    numbers = [int(number) for _, number, _ in ask(connection, "SHOW WARNINGS")]
    found = {number: f"the server says: {_TOLD[number]}" for number in numbers if number in _TOLD}
    if count > len(numbers):
        found[0] = f"the server has {count:,} warnings on a statement and lists {len(numbers)}"
    return found
