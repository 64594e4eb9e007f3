"""Texts whose bytes are no characters to Unicode: which column and which row, never which value.

A database of SQL_ASCII holds bytes of no encoding. They are received as they are, so that the
kernel tells where they are no UTF-8. The texts of any other encoding the server converts; where it
cannot, it says which bytes those are, and the row is the one behind those that came.

Source:
    PostgreSQL manual, "Character Set Support".
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors, sql

from rivet.errors import FormatError, SourceError
from rivet.redact import visible
from rivet.sources.postgres import types
from rivet.sources.postgres.keytexts import RAW, UNICODE
from rivet.sources.postgres.overrides import wire_form
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg

    from rivet.dial.guarded import Connection
    from rivet.model.columns import Column

__all__ = ["Texts"]

_BYTES: Final = re.compile(r"0x([0-9a-f]{2}(?: 0x[0-9a-f]{2})*)")
_TEXTS: Final = frozenset({types.TEXT, types.VARCHAR, types.BPCHAR, types.NAME, types.JSON})
_ENCODING: Final = "pg_catalog.getdatabaseencoding()"
_HINT: Final = "read the column as bytes: add it to `columns:` with the type `binary`"
_NO_CHARACTER: Final = "holds a character of its character set that Unicode does not have"


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one read.

    Attributes:
        connection: Of the session.
        columns: All columns of the read.
        source: What stands behind FROM.
        ask: Asks for one row in a transaction of its own.
    """

    connection: Connection
    columns: tuple[Column, ...]
    source: str
    ask: Callable[[str], Sequence[Any] | None]

    @property
    def is_raw(self) -> bool:
        """Whether the database's texts have no encoding, and are to be received as they are."""
        return self._encoding == RAW

    @contextmanager
    def named(self, rows_before: Callable[[], int], max_concurrent: int = 1) -> Iterator[None]:
        """Say of a text that the server cannot convert where it is.

        Args:
            rows_before: Tells how many rows have come before it.
            max_concurrent: How many rows the server answers with at a time.

        Raises:
            FormatError: There is such a text.
        """
        try:
            yield
        except (errors.UntranslatableCharacter, errors.CharacterNotInRepertoire) as error:
            if self._encoding in {UNICODE, RAW}:
                raise
            row = rows_before() + 1
            raise self._refusal(error, row, row + max_concurrent - 1) from None

    @property
    def _encoding(self) -> str:
        return self.connection.info.parameter_status("server_encoding") or ""

    def _refusal(self, error: psycopg.Error, first: int, last: int) -> FormatError:
        row = f"row {first}" if first == last else f"one of the rows {first} to {last}"
        names = self._holders(error)
        listed = " or ".join(f"'{visible(name)}'" for name in names)
        where = f"column {listed}, {row}" if names else row
        return FormatError(
            f"{where}: {_NO_CHARACTER}",
            hint=_HINT,
            code="RIVET_FORMAT_UNMAPPED",
            column=names[0] if len(names) == 1 else None,
            row=str(first),
        )

    def _holders(self, error: psycopg.Error) -> list[str]:
        """Return the columns that hold the bytes the server told of; none where that is unknown."""
        texts = [
            column
            for column in self.columns
            if column.mask is None and wire_form(column).code in _TEXTS
        ]
        told = _BYTES.search(error.diag.message_primary or "")
        if len(texts) < 2 or told is None:  # noqa: PLR2004 - there is nothing to choose from
            return [column.name for column in texts]
        value = f"'\\x{told[1].replace(' 0x', '')}'::pg_catalog.bytea"

        def holds(column: Column) -> str:
            name = sql.Identifier(column.source_name).as_string(self.connection)
            data = f"pg_catalog.convert_to({name}::pg_catalog.text, {_ENCODING})"
            there = f"position({value} IN {data}) OPERATOR(pg_catalog.>) 0"
            return f"EXISTS ({select(['1'], self.source)} WHERE {there})"

        try:
            row = self.ask(f"SELECT {', '.join(map(holds, texts))}")
        except SourceError:
            return []
        return [column.name for column, has in zip(texts, row or (), strict=True) if has]
