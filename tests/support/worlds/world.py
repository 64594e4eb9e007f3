"""A world under test: its table, its writers, and the plain driver that is the witness."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

Row = tuple[Any, ...]
FIRST_SEEN = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
NAMES = ("id", "code", "grp", "day", "seen", "price", "note")
ROWS = 1_200
_AS_IS = frozenset({int, str, bool, bytes, Decimal, dt.date, type(None)})


class Ask(Protocol):
    """Statements by a plain driver; rows of the last."""

    def __call__(self, statement: str) -> list[Row]: ...


@dataclass(frozen=True)
class Columns:
    """Which column serves which strategy; None where a world has none of the kind."""

    number: str | None = "id"  # whole numbers
    page: str | None = "id"  # a unique key to page by, which grows
    key: str | None = "code"  # another unique key, of text
    group: str | None = "grp"  # few values, many times, NULL too
    day: str | None = "day"
    clock: str | None = "seen"


@dataclass
class World:
    """One table of somebody's.

    Attributes:
        source: The `source:` block.
        ask: Statements of whoever sees all of the table, by the plain driver.
        export: What names the relation, and any other key that every export of it needs.
        columns: Names in the files, in the order of `seen_by_driver`.
        selected: The statement that reads the source raw, in the order of `columns`.
        add: Adds rows by their numbers; None where nobody writes.
        forms: Column to what makes the driver's value the file's, where they differ by nature.
        environment: Variables of the process that exports.
        code_of: The text key of a row by its number.
        around: Entered around every run: traffic of others.
        other: Another connection of whoever writes.
    """

    source: dict[str, Any]
    ask: Ask
    export: dict[str, Any] = field(default_factory=lambda: {"table": "t"})
    columns: tuple[str, ...] = NAMES
    selected: str = f"SELECT {', '.join(NAMES)} FROM t"
    add: Callable[[int, int], None] | None = None
    forms: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    code_of: Callable[[int], str] = lambda n: f"{n * 2654435761 % 2**32:08x}"
    around: Callable[[], AbstractContextManager[None]] | None = None
    other: Callable[[], AbstractContextManager[Ask]] | None = None
    count: int = 0

    def rows_of_source(self) -> list[Row]:
        """Return the rows as the driver reads them, in the form of the files."""
        forms = [self.forms.get(name, plain) for name in self.columns]
        return spelled(self.ask(self.selected), forms)

    def grow(self, count: int) -> None:
        """Add rows behind all others, as somebody else."""
        assert self.add is not None
        self.add(self.count, count)
        self.count += count


def rows(first: int, count: int, code_of: Callable[[int], str]) -> list[Row]:
    """Return rows by number: sparse ids from below zero, NULLs, equal groups, odd texts."""
    notes = ("plain", None, "", "it's", 'a "b"', "x, y;\n z", "\\N", "NULL", " pad ", "%s {}")
    made: list[Row] = []
    for n in range(first, first + count):
        day = dt.date(2024, 1, 30) + dt.timedelta(days=n % 40)
        seen = FIRST_SEEN + dt.timedelta(seconds=n // 2, microseconds=(n % 4) * 250_000)
        made.append(
            (
                n * 7 - 1000 + (n // 400) * 5000,
                code_of(n),
                None if n % 10 < 3 else n % 17,
                None if n % 11 == 0 else day,
                seen,
                None if n % 13 == 0 else Decimal(n % 4001 - 2000) / 4,
                notes[n % len(notes)],
            )
        )
    return made


def literals(found: list[Row], *, zone: str = "") -> str:
    """Return rows as the list behind VALUES; moments in UTC with `zone` appended."""

    def text(value: Any) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, dt.datetime):
            return f"'{value:%Y-%m-%d %H:%M:%S.%f}{zone}'"
        if isinstance(value, int | Decimal):
            return str(value)
        return "'" + str(value).replace("'", "''") + "'"

    return ", ".join(f"({', '.join(map(text, row))})" for row in found)


def spelled(found: list[Row], forms: list[Callable[[Any], Any]]) -> list[Row]:
    """Return rows with each column in its form; one of plain kinds is looked at as a whole."""
    if not found:
        return []
    columns: list[Any] = []
    for form, column in zip(forms, zip(*found, strict=True), strict=True):
        is_plain = form is plain and _AS_IS.issuperset(map(type, column))
        columns.append(column if is_plain else map(form, column))
    return list(zip(*columns, strict=True))


def plain(value: Any) -> Any:
    """Return one spelling of equal values."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, list):
        return tuple(plain(one) for one in value)
    return value


@dataclass(frozen=True)
class Spec:
    """A world before it is made.

    Attributes:
        make: Makes it; a new process may make it again.
        has: Which columns strategies may go by.
        refused: Strategy to the code of the error it is refused with.
        without: Strategies that have no meaning here.
        is_for_lines: Whether only lines of guarantees.yaml are about it, and no strategy runs.
    """

    engine: str
    name: str
    make: Callable[[Any], AbstractContextManager[World]]
    has: Columns = field(default_factory=Columns)
    refused: dict[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    is_for_lines: bool = False


WORLDS: dict[str, Spec] = {}


def world(
    engine: str,
    name: str,
    *,
    has: Columns | None = None,
    refused: dict[str, str] | None = None,
    without: tuple[str, ...] = (),
    is_for_lines: bool = False,
) -> Callable[[Callable[[Any], AbstractContextManager[World]]], Any]:
    """Register a world under `<engine>: <name>`."""

    def keep(make: Callable[[Any], AbstractContextManager[World]]) -> Any:
        full = f"{engine}: {name}"
        assert full not in WORLDS
        unfit = frozenset(without)
        WORLDS[full] = Spec(
            engine, name, make, has or Columns(), refused or {}, unfit, is_for_lines
        )
        return make

    return keep
