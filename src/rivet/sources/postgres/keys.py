"""Keys of PostgreSQL tables: which there are, and how values of them are written.

The one place where a value is put into a statement as text: COPY takes no parameters, so psycopg
renders it on the live connection, and a cast says its type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from rivet.errors import InternalError
from rivet.model.relation import Key
from rivet.sources.postgres import types
from rivet.sources.postgres.asked import asked, asked_row
from rivet.sources.postgres.keytexts import UNICODE, Encoding
from rivet.sources.postgres.moments import key_text
from rivet.sources.postgres.nativetypes import resolve_types
from rivet.sources.postgres.nullness import NEVER_NULL, WEAK
from rivet.sources.postgres.read import DIALECT
from rivet.sources.seek import no_column, no_order, null_test

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from rivet.model.relation import TableFacts
    from rivet.sources.postgres.catalog import FoundTable, NativeColumn
    from rivet.sources.postgres.nativetypes import NativeType

# Without modifiers: a cast to varchar(3) would cut the value.
_CASTS: Final = {
    types.INT2: "int2",
    types.INT4: "int4",
    types.INT8: "int8",
    types.OID: "oid",
    types.NUMERIC: "numeric",
    types.TEXT: "text",
    types.VARCHAR: "text",
    types.BPCHAR: "bpchar",
    types.UUID: "uuid",
    types.DATE: "date",
    types.TIME: "time",
    types.TIMESTAMP: "timestamp",
    types.TIMESTAMPTZ: "timestamptz",
    types.BYTEA: "bytea",
}
_SENT: Final = {
    types.DATE: "date_send",
    types.TIMESTAMP: "timestamp_send",
    types.TIMESTAMPTZ: "timestamptz_send",
    types.BYTEA: "byteasend",
}
# An offset stands behind the date, whose day looks like one; words are zones, or no date at all.
ZONED: Final = re.compile(r"\A\d+-\d\d-\d\d(?!\d).*?[+-]\d\d|[Zz]\Z|[A-Za-z/_]{3}")
_TEXTS: Final = frozenset({types.TEXT, types.VARCHAR, types.BPCHAR})
_MOMENTS: Final = frozenset({types.DATE, types.TIMESTAMP, types.TIMESTAMPTZ})
_HAS_INFINITE_NUMBERS: Final = 140000
_WHOLE: Final = frozenset({types.INT2, types.INT4, types.INT8})
# Compared as text it would have another order; its own operators are where the type is.
_CITEXT: Final = "citext"
_TID_RANGES: Final = 140000

_KEYS: Final = f"""
    WITH {WEAK}
    SELECT array_agg(a.attname::text ORDER BY k.place), bool_and({NEVER_NULL}),
           i.indisunique, array_agg(a.atttypid::bigint ORDER BY k.place)
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_am m ON m.oid = x.relam AND m.amname = 'btree'
    CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k(number, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    WHERE i.indrelid = %(oid)s AND i.indisvalid AND k.place <= i.indnkeyatts
      AND i.indpred IS NULL AND i.indexprs IS NULL
    GROUP BY i.indexrelid, i.indisprimary, i.indisunique
    ORDER BY i.indisprimary DESC, count(*), i.indexrelid"""  # noqa: S608
_STATISTICS: Final = """
    SELECT attname, correlation, CASE WHEN attname = ANY (%s) AND bounds IS NOT NULL THEN ARRAY(
        SELECT pg_catalog.encode(pg_catalog.convert_to(value, %s), 'hex')
        FROM unnest(bounds) WITH ORDINALITY AS u (value, place) ORDER BY place) ELSE bounds END
    FROM (SELECT attname::text, correlation, inherited, CASE WHEN attname = ANY (%s) THEN (ARRAY[
        pg_catalog.set_config('TimeZone', 'UTC', true),
        pg_catalog.set_config('DateStyle', 'ISO', true),
        pg_catalog.set_config('bytea_output', 'hex', true), histogram_bounds::text,
        pg_catalog.set_config('TimeZone', was.zone, true),
        pg_catalog.set_config('DateStyle', was.dates, true),
        pg_catalog.set_config('bytea_output', was.bytes, true)])[4]::text[] END AS bounds
    FROM pg_catalog.pg_stats, (
        SELECT current_setting('TimeZone') AS zone, current_setting('DateStyle') AS dates,
               current_setting('bytea_output') AS bytes OFFSET 0) AS was
    WHERE schemaname = %s AND tablename = %s AND correlation IS NOT NULL OFFSET 0) AS found
    ORDER BY inherited"""
_BLOCKS: Final = """
    SELECT max(pg_catalog.pg_relation_size(c.oid)) FILTER (WHERE c.relkind <> 'f')
               / current_setting('block_size')::bigint, bool_or(c.relkind = 'f')
    FROM pg_catalog.pg_class c
    WHERE c.relkind IN ('r', 'm', 'f') AND (c.oid = %(oid)s OR c.oid IN (
        SELECT relid FROM pg_catalog.pg_partition_tree(%(oid)s) WHERE isleaf
      UNION
        SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = %(oid)s))"""


def with_keys(
    connection: psycopg.Connection[Any], table: FoundTable, facts: TableFacts
) -> TableFacts:
    """Return the facts with the table's keys, how their values spread, and what is indexed."""
    rows = asked(connection, _KEYS, {"oid": table.oid})
    known = _known(connection, {code for row in rows for code in row[3]})
    encoding = Encoding.of(connection)
    single = {row[0][0]: known[row[3][0]] for row in rows if row[2] and len(row[0]) == 1}
    texts = [name for name, native in single.items() if encoding and _is_text(native)]
    name = encoding.name if encoding else UNICODE
    wanted = (texts, name, list(single), table.schema, table.name)
    found = asked(connection, _STATISTICS, wanted)
    correlations: dict[str, float] = {row[0]: row[1] for row in found}
    quantiles = {row[0]: tuple(row[2]) for row in found if row[2]}
    if encoding:
        quantiles |= {one: tuple(map(encoding.key_text, quantiles.get(one, ()))) for one in texts}
    unique = [
        (is_never_null, tuple(columns), [known[code] for code in codes])
        for columns, is_never_null, is_unique, codes in rows
        if is_unique and all(_cast(known[code]) for code in codes)
    ]
    keys = tuple(
        Key(
            columns,
            is_integer=len(found) == 1 and found[0].code in _WHOLE,
            correlation=correlations.get(columns[0]),
        )
        for is_never_null, columns, found in unique
        if is_never_null
    )
    nullable = tuple(columns for is_never_null, columns, _ in unique if not is_never_null)
    indexed = tuple(dict.fromkeys(row[0][0] for row in rows))
    return replace(facts, keys=keys, nullable_keys=nullable, indexed=indexed, quantiles=quantiles)


def _known(connection: psycopg.Connection[Any], codes: set[int]) -> dict[int, NativeType]:
    """Return the base types of the columns of keys: a domain orders as what it rests on."""
    listed = sorted(codes)
    found = resolve_types(connection, [(code, -1) for code in listed], [""] * len(listed))
    return dict(zip(listed, found, strict=True))


def _cast(native: NativeType) -> str | None:
    """Return the type that a bound is cast to; None where there is no order to cut by."""
    if native.is_array:
        return None
    if native.name == _CITEXT:
        return native.written
    cast = _CASTS.get(native.code)
    return None if cast is None else f"pg_catalog.{cast}"


def _is_text(native: NativeType) -> bool:
    """Whether its values are texts, of the database's encoding."""
    return native.code in _TEXTS or native.name == _CITEXT


def blocks_of(connection: psycopg.Connection[Any], table: FoundTable) -> int | None:
    """Return how many blocks the largest file of a table has; None where ranges cannot be read.

    The rows of a foreign part lie in the blocks of another server, in an instant of its own.
    """
    if table.kind not in {"r", "p", "m"} or connection.info.server_version < _TID_RANGES:
        return None
    row = asked_row(connection, _BLOCKS, {"oid": table.oid})
    return None if row is None or row[0] is None or row[1] else int(row[0])


@dataclass(frozen=True, slots=True)
class KeySpelling:
    """How conditions on one relation are written, see `sources/seek.py`.

    Attributes:
        misjudged: Columns that the planner may wrongly take to hold no NULL.
    """

    connection: psycopg.Connection[Any]
    types: Mapping[str, NativeType]
    has_blocks: bool
    misjudged: frozenset[str]
    has_row_values: bool = True

    @classmethod
    def of(
        cls,
        connection: psycopg.Connection[Any],
        natives: tuple[NativeColumn, ...],
        *,
        has_blocks: bool,
    ) -> KeySpelling:
        """Return the spelling for a relation with these columns."""
        misjudged = {one.name for one in natives if one.nullable and one.is_believed}
        found = {one.name: one.type for one in natives}
        return cls(connection, found, has_blocks, frozenset(misjudged))

    def column(self, name: str) -> str:
        """Return the quoted column."""
        self._cast(name)
        return DIALECT.identifier(name)

    def null_test(self, name: str, expression: str, *, is_null: bool) -> str:
        """Return the test, in words that the planner has no opinion on where it may be wrong."""
        if name in self.misjudged:
            count = f"pg_catalog.num_nulls({expression})"
            return f"{count} OPERATOR(pg_catalog.=) {int(is_null)}"
        return null_test(expression, is_null=is_null)

    def text(self, name: str, expression: str) -> str:
        """Return the value as text; of moments and bytes their bytes, which follow no setting."""
        if encoding := self._encoding(name):
            return encoding.sent(expression)
        if send := _SENT.get(self.types[name].code):
            return f"pg_catalog.encode(pg_catalog.{send}({expression}), 'hex')"
        return f"{expression}::pg_catalog.text"

    def texts(self, names: Sequence[str], row: Sequence[Any]) -> tuple[str, ...]:
        """Return the key texts of a row of `text`."""
        return tuple(
            encoding.key_text(value)
            if (encoding := self._encoding(name))
            else key_text(self.types[name].code, str(value))
            for name, value in zip(names, row, strict=True)
        )

    def value(self, name: str, text: str) -> str:
        """Return the literal, rendered by the driver, of the column's own type.

        A year comes first and has four digits, so that no DateStyle takes it for a day; an instant
        without its zone is one of UTC, whatever the session's is.
        """
        cast = self._cast(name)
        if cast.endswith("timestamptz") and not ZONED.search(text):
            text = f"{text.removesuffix(' BC')}+00{' BC' if text.endswith(' BC') else ''}"
        if self.types[name].code == types.OID and text.startswith("-"):
            text = "0"  # PostgreSQL takes a negative one for a large one
        encoding = self._encoding(name)
        literal = encoding.value(text) if encoding else None
        literal = literal or sql.Literal(text).as_string(self.connection)
        return f"{literal}::{cast}"

    def narrowed(self, name: str, lower: str | None, upper: str | None) -> str:  # noqa: ARG002
        """Return nothing: comparisons are on the columns themselves."""
        return ""

    def extremes(self, name: str) -> tuple[str, ...]:
        """Return NaN and the infinities, which are neither numbers nor moments."""
        cast = self._cast(name)
        code = self.types[name].code
        words: tuple[str, ...] = ()
        if code in _MOMENTS:
            words = ("infinity", "-infinity")
        elif code == types.NUMERIC:
            has_infinite = self.connection.info.server_version >= _HAS_INFINITE_NUMBERS
            words = ("NaN", "Infinity", "-Infinity") if has_infinite else ("NaN",)
        return tuple(f"'{word}'::{cast}" for word in words)

    def sign(self, name: str, sign: str) -> str:
        """Return the operator of the column's own type, by its schema.

        A schema that stands before pg_catalog in a search_path may hold another of its name.
        """
        return f"OPERATOR({self._cast(name).rpartition('.')[0]}.{sign})"

    def is_multiple(self, number: str, step: int) -> str:
        """Return the condition, by the server's own function and operator."""
        return f"pg_catalog.mod({number}, {step}) OPERATOR(pg_catalog.=) 0"

    def blocks(self, lower: str | None, upper: str | None) -> str:
        """Return a range of row places; the server reads only those blocks."""
        if not self.has_blocks:
            msg = "only a table can be read by its blocks"
            raise InternalError(msg)
        bounds = [("<", upper)] if upper is not None else []
        bounds = [(">=", lower or "0"), *bounds]
        return " AND ".join(
            f"ctid OPERATOR(pg_catalog.{sign}) '({int(block)},0)'::pg_catalog.tid"
            for sign, block in bounds
        )

    def _encoding(self, name: str) -> Encoding | None:
        """Return the encoding of a column's texts; None where they need none."""
        return Encoding.of(self.connection) if _is_text(self.types[name]) else None

    def _cast(self, name: str) -> str:
        native = self.types.get(name)
        if native is None:
            raise no_column(name, self.types)
        cast = _cast(native)
        if cast is None:
            raise no_order(name, native.spelling)
        return cast
