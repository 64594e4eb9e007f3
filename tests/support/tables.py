"""Tables that read the same in every engine, so that parity can be asked of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.engines import EngineUnderTest

_ROWS_PER_INSERT = 500


def make_items(engine: EngineUnderTest, rows: int, table: str = "items") -> None:
    """Create and fill a small table: every third `note` NULL, every fifth empty, prices exact.

    Columns: `id` 1..rows, `name`, `price` decimal(12,2), `made_at`, `note`.
    """
    engine.execute(
        f"CREATE TABLE {table} (id bigint PRIMARY KEY, name text NOT NULL,"
        " price decimal(12,2) NOT NULL, made_at timestamp NOT NULL, note text)"
    )
    for first in range(1, rows + 1, _ROWS_PER_INSERT):
        numbers = range(first, min(first + _ROWS_PER_INSERT, rows + 1))
        engine.execute(f"INSERT INTO {table} VALUES " + ", ".join(map(_item, numbers)))


def _item(number: int) -> str:
    note = "NULL" if number % 3 == 0 else "''" if number % 5 == 0 else f"'note {number} é,\"x\"'"
    day, second = 1 + number % 28, number % 60
    made_at = f"2024-02-{day:02d} 12:30:{second:02d}"
    return f"({number}, 'item {number}', {number // 7}.{number % 100:02d}, '{made_at}', {note})"
