"""The database's own text of a value: what its output function prints, never a cast to text.

A cast may print something else (`inet` gains a mask, `xml` keeps a declaration of an encoding that
is not the file's, a composite type may have a cast of its own), and what an output function prints
may follow settings of the session. Those settings belong to the user, whose views and queries mean
something by them, so they are Rivet's own only while one value is printed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from psycopg import errors, sql

from rivet.errors import ConfigError
from rivet.redact import redact, visible
from rivet.sources.postgres import types
from rivet.sources.sql import select

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

    from rivet.sources.postgres.catalog import NativeColumn
    from rivet.sources.postgres.nativetypes import NativeType

__all__ = ["Printing", "printings", "set_chosen", "settings_of"]

OURS: Final = {
    "TimeZone": "UTC",
    "DateStyle": "ISO",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}
"""Settings under which a value is printed, whatever the session's are."""

_ZONE, _DATES, _INTERVALS, _BYTES, _DIGITS = OURS
_EVERY: Final = tuple(OURS)
_FOLLOWS: Final[dict[int, tuple[str, ...]]] = {
    types.DATE: (_DATES,),
    types.TIMESTAMP: (_DATES,),
    types.TIMESTAMPTZ: (_ZONE, _DATES),
    types.INTERVAL: (_INTERVALS,),
    types.BYTEA: (_BYTES,),
    types.FLOAT4: (_DIGITS,),
    types.FLOAT8: (_DIGITS,),
    # point, lseg, path, box, polygon, line, circle
    **dict.fromkeys((600, 601, 602, 603, 604, 628, 718), (_DIGITS,)),
    # tsrange, daterange and their multiranges
    **dict.fromkeys((3908, 3912, 4533, 4535), (_DATES,)),
    # tstzrange and its multirange
    **dict.fromkeys((3910, 4534), (_ZONE, _DATES)),
}
_NO_LIST: Final = '{{""}}'
# bool, "char", name, text, xml, cidr, inet, bpchar, varchar: pg_cast has an entry to varchar.
_CAST_OTHERWISE: Final = frozenset({16, 18, 19, 25, 142, 650, 869, 1042, 1043})
_SAME_AS_UTC: Final = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu"})


@dataclass(frozen=True, slots=True)
class Printing:
    """How values of one type are printed.

    Attributes:
        is_plain: A cast to varchar is the output function: a built-in type without such a cast in
            `pg_cast`, so that only a superuser could make it another.
        settings: Name, and literal of the session's own value, of each setting that the text
            follows and that is not Rivet's already.
        is_array: The values are arrays of that type.
        postgis: Schema and type as SQL, where PostGIS makes WKB of the values.
    """

    is_plain: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    is_array: bool = False
    postgis: tuple[str, str] = ("", "")

    def text(self, expression: str) -> str:
        """Return the text of an expression, which must be a column or as cheap as one.

        A row of NULLs is not NULL itself, which `IS NOT NULL` would say; this test does not look
        into rows.
        """
        if not self.settings and self.is_plain:
            return f"{expression}::pg_catalog.varchar"
        value = f"pg_catalog.format('%s', {expression})"
        if self.settings:
            # Elements of an array are evaluated in their order.
            before = [_set(name, f"'{OURS[name]}'") for name, _ in self.settings]
            after = [_set(name, own) for name, own in self.settings]
            value = f"(ARRAY[{', '.join([*before, value, *after])}])[{len(before) + 1}]"
        return f"CASE WHEN {expression} IS DISTINCT FROM NULL THEN {value} END"

    def texts(self, expression: str) -> str:
        """Return an array of the texts of an array's elements; of another shape as `_each`."""
        if not self.settings and self.is_plain:
            return f"{expression}::pg_catalog.varchar[]"
        return _each(expression, self.text("_rivet_one"), "text")

    def wkb(self, expression: str) -> str:
        """Return the well-known binary (WKB) of a geometry, with every dimension it has.

        A domain is cast to its type: another function of that name may take the domain itself.
        """
        schema, name = self.postgis
        return f"{schema}.st_asbinary({expression}::{schema}.{name})"

    def wkbs(self, expression: str) -> str:
        """Return an array of the WKB of an array's elements; of another shape as `_each`."""
        return _each(expression, self.wkb("_rivet_one"), "bytea")


@dataclass(frozen=True, slots=True)
class _Own:
    """The session's own values, asked for once they are needed."""

    connection: psycopg.Connection[Any]
    found: dict[str, str] = field(default_factory=dict)

    def differing(self, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
        if not self.found:
            self.found.update(settings_of(self.connection))
        return tuple(
            (name, _literal(self.connection, value))
            for name in names
            if not _is_ours(name, value := self.found[name])
        )


def printings(
    connection: psycopg.Connection[Any], natives: Iterable[NativeColumn], wanted: set[str]
) -> Mapping[str, Printing]:
    """Return how the wanted columns are printed; asks for settings only where one follows them."""
    own = _Own(connection)

    def printing(kind: NativeType) -> Printing:
        names = _follows(kind)
        return Printing(
            _is_plain(kind),
            own.differing(names) if names else (),
            kind.is_array,
            (kind.postgis, kind.name) if kind.postgis else ("", ""),
        )

    return {native.name: printing(native.type) for native in natives if native.name in wanted}


def settings_of(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return the session's own values of the settings that texts follow."""
    listed = ", ".join(f"pg_catalog.current_setting('{name}')" for name in OURS)
    row = connection.execute(f"SELECT {listed}".encode()).fetchone()
    return dict(zip(OURS, row or (), strict=True))


def set_chosen(connection: psycopg.Connection[Any], chosen: Mapping[str, str]) -> None:
    """Put the settings that the user chose in force until the transaction ends.

    Raises:
        ConfigError: The server refused one.
    """
    calls = ", ".join(
        f"pg_catalog.set_config({_literal(connection, name)}, {_literal(connection, value)}, true)"
        for name, value in chosen.items()
    )
    try:
        connection.execute(f"SELECT {calls}".encode())
    except (
        errors.UndefinedObject,
        errors.InvalidParameterValue,
        errors.InvalidName,
        errors.InsufficientPrivilege,
        errors.CantChangeRuntimeParam,
    ) as error:
        detail = visible(redact(error.diag.message_primary or type(error).__name__))
        msg = f"the server does not take the settings of `source.session`: {detail}"
        raise ConfigError(msg, hint="correct the name or the value, or remove it") from error


def _each(expression: str, of_one: str, kind: str) -> str:
    """Return an array of what is made of an array's elements, each of them `_rivet_one`.

    An array of another shape than a list's stays one, so that it is refused where it is read.
    """
    # Not in FROM, where an array of rows would become a table of their fields.
    elements = f"(SELECT pg_catalog.unnest({expression}) AS _rivet_one) AS _rivet_list"
    made = select([of_one], elements)
    return (
        f"CASE WHEN {expression} IS NULL THEN NULL"
        f" WHEN pg_catalog.cardinality({expression}) = 0 THEN '{{}}'::pg_catalog.{kind}[]"
        f" WHEN pg_catalog.array_ndims({expression}) = 1"
        f" AND pg_catalog.array_lower({expression}, 1) = 1 THEN ARRAY({made})"
        f" ELSE '{_NO_LIST}'::pg_catalog.{kind}[] END"
    )


def _literal(connection: psycopg.Connection[Any], text: str) -> str:
    return sql.Literal(text).as_string(connection)


def _is_plain(kind: NativeType) -> bool:
    is_built_in = kind.code < types.FIRST_OF_OTHERS and kind.type_kind in {"b", "r", "m"}
    return is_built_in and kind.code not in _CAST_OTHERWISE


def _follows(kind: NativeType) -> tuple[str, ...]:
    """Return the settings that the text of a type may follow.

    Whatever is made of other types may hold each of them. A base type of an extension is likely
    to hold numbers or bytes, hardly moments: to print it under a zone of ours costs much on most
    servers, where digits and bytes are printed in full already.
    """
    if kind.code in _FOLLOWS:
        return _FOLLOWS[kind.code]
    if kind.type_kind == "b" and kind.code >= types.FIRST_OF_OTHERS:
        return (_BYTES, _DIGITS)
    is_made_of_others = kind.type_kind in {"c", "n", "p"}
    is_range = kind.type_kind in {"r", "m"} and kind.code >= types.FIRST_OF_OTHERS
    return _EVERY if is_made_of_others or is_range else ()


def _is_ours(name: str, value: str) -> bool:
    if name == _ZONE:
        return value in _SAME_AS_UTC
    if name == _DATES:
        return value.partition(",")[0].upper() == "ISO"
    if name == _DIGITS:
        return int(value) >= 1
    return value == OURS[name]


def _set(name: str, literal: str) -> str:
    return f"pg_catalog.set_config('{name}', {literal}, true)"
