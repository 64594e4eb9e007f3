"""The settings of a session on MySQL or MariaDB: what is pinned, what stays the server's, and why.

A statement that a user wrote, and a view, mean what they mean to every other client: the parser's
flags in `sql_mode`, `group_concat_max_len`, `lc_time_names` and the like stay. Pinned is what exact
reading rests on: TIMESTAMP is sent in the session's `time_zone`, a limit cuts every result short,
an instant in `system_versioning_asof` shows old rows, and two modes change values that are stored.
Where the server's own differs, a user's statement does not mean what it did, which is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pymysql.err import MySQLError

from rivet.errors import ConfigError, SourceError
from rivet.redact import visible
from rivet.sources.mysql.faults import error_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Ask = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]

__all__ = ["CHARACTER_SET", "SORTED_BYTES", "UTC", "ServerSettings", "choose", "pin", "read_back"]

CHARACTER_SET: Final = "utf8mb4"
"""The one in which every text is sent."""
UTC: Final = "+00:00"
SORTED_BYTES: Final = 65_536
"""How many bytes of a text count where rows are sorted; the server's own 1,024 mix long keys up."""
_SORT_BUFFER: Final = 2 * 1024 * 1024  # it has to hold fifteen rows
_ALL_ROWS: Final = 18_446_744_073_709_551_615
_PINNED: Final[dict[str, object]] = {
    "time_zone": UTC,
    "sql_select_limit": _ALL_ROWS,
    "character_set_results": CHARACTER_SET,
    "sql_auto_is_null": 0,
    "max_sort_length": SORTED_BYTES,
}
_MODES: Final = "sql_mode"
# CHAR with blanks that nobody stored; '' as NULL, in the bounds of Rivet's own conditions too.
_DROPPED_MODES: Final = ("PAD_CHAR_TO_FULL_LENGTH", "EMPTY_STRING_IS_NULL")
_HARMLESS_MODE: Final = "NO_ENGINE_SUBSTITUTION"
_HISTORY: Final = "system_versioning_asof"
_PRESENT: Final = "DEFAULT"
_NAMES_OF_UTC: Final = frozenset(
    {"+00:00", "-00:00", "utc", "uct", "gmt", "zulu", "universal", "etc/utc", "etc/uct", "etc/gmt"}
)
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?\Z")
_UNKNOWN_ZONE: Final = 1298
_ZONE_HINT: Final = "write an offset such as '+09:00', or load the server's tables of zones"
_NAME_HINT: Final = "see the server's manual for its name and values, or remove it"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server's own settings were before Rivet's, as far as they change what SQL means.

    Attributes:
        time_zone: Its zone; the machine's where it says SYSTEM.
        modes: The flags of `sql_mode`.
        select_limit: The most rows of a result.
        is_auto_null: `sql_auto_is_null`.
        history: `system_versioning_asof`; None on MySQL.
        chosen: Names that the user has set on purpose, in small letters.
        zone: The session's zone now.
    """

    time_zone: str
    modes: frozenset[str]
    select_limit: int
    is_auto_null: bool
    history: str | None
    chosen: frozenset[str]
    zone: str = UTC

    @property
    def is_utc(self) -> bool:
        """Whether TIMESTAMP values are sent in UTC."""
        return _is_utc(self.zone)

    def note(self, what: str) -> str | None:
        """Return what a statement means otherwise than to other clients of this server, by name.

        Args:
            what: The statement, such as `the query`.
        """
        found = []
        if not _is_utc(self.time_zone) and "time_zone" not in self.chosen:
            zone = visible(self.time_zone)
            found.append(f"time_zone (the server's is {zone}: NOW() and DATE(ts) mean UTC here)")
        dropped = sorted(self.modes & set(_DROPPED_MODES))
        if dropped and _MODES not in self.chosen:
            found.append(f"sql_mode (without {', '.join(dropped)})")
        if self.select_limit != _ALL_ROWS:
            found.append(f"sql_select_limit (the server's is {self.select_limit:,}; none here)")
        if self.is_auto_null:
            found.append("sql_auto_is_null (off here)")
        if self.history not in {None, _PRESENT} and _HISTORY not in self.chosen:
            found.append(f"{_HISTORY} (the present here)")
        if not found:
            return None
        way = "`source.session` sets them on purpose"
        return f"{what} is read under other settings than the server's: {'; '.join(found)}; {way}"


def pin(ask: Ask, variables: Mapping[str, str], *, is_mariadb: bool, lock_s: int) -> None:
    """Put what exact reading needs in force, in one statement, and keep what was there before."""
    chosen = {name.lower() for name in variables}
    parts = [
        "@rivet_zone = IF(@@time_zone = 'SYSTEM', @@system_time_zone, @@time_zone)",
        "@rivet_modes = @@sql_mode",
        "@rivet_limit = @@sql_select_limit",
        "@rivet_null = @@sql_auto_is_null",
    ]
    if "sort_buffer_size" not in chosen:
        size = f"CAST(GREATEST(@@sort_buffer_size, {_SORT_BUFFER}) AS UNSIGNED)"
        parts.append(f"SESSION sort_buffer_size = {size}")
    values: list[object] = []
    if is_mariadb:
        parts.append(f"@rivet_history = @@{_HISTORY}")
        parts += [] if _HISTORY in chosen else [f"SESSION {_HISTORY} = DEFAULT"]
    if _MODES not in chosen:
        modes = "@@sql_mode"
        for dropped in _DROPPED_MODES:
            modes = f"REPLACE({modes}, '{dropped}', '{_HARMLESS_MODE}')"
        parts.append(f"SESSION {_MODES} = {modes}")
    for name, value in {**_PINNED, "lock_wait_timeout": lock_s}.items():
        if name not in chosen:
            parts.append(f"SESSION {name} = %s")
            values.append(value)
    ask(f"SET {', '.join(parts)}", values)


def choose(ask: Ask, variables: Mapping[str, str], place: str) -> None:
    """Set what the user chose by name.

    Raises:
        ConfigError: The server does not take one.
    """
    for name, text in variables.items():
        value = _value(text)
        try:
            ask(f"SET SESSION {name} = %s", [value])
        except MySQLError as error:
            msg = f"{place} does not take `source.session.{visible(name)}`"
            hint = _ZONE_HINT if error_number(error) == _UNKNOWN_ZONE else _NAME_HINT
            raise ConfigError(msg, hint=hint) from error


def _value(text: str) -> int | float | str:
    found = _NUMBER.match(text)
    if not found:
        return text
    return float(text) if found[1] else int(text)


def read_back(
    ask: Ask, variables: Mapping[str, str], place: str, *, is_mariadb: bool
) -> ServerSettings:
    """Check that the settings are in force, for a proxy may swallow a SET.

    Raises:
        SourceError: One is not.
    """
    chosen = frozenset(name.lower() for name in variables)
    pinned = {name: value for name, value in _PINNED.items() if name not in chosen}
    history = f"@@{_HISTORY}" if is_mariadb else "NULL"
    listed = ["@rivet_zone", "@rivet_modes", "@rivet_limit", "@rivet_null"]
    listed += ["@rivet_history" if is_mariadb else "NULL", "@@SESSION.time_zone"]
    listed += [history, "@@SESSION.sql_mode"]
    listed += [f"@@SESSION.{name}" for name in pinned]
    ((zone, modes, limit, null, before, now, present, kept, *found),) = ask(
        f"SELECT {', '.join(listed)}", ()
    )
    lost = [
        name
        for (name, value), one in zip(pinned.items(), found, strict=True)
        if str(one).lower() != str(value).lower()
    ]
    if _MODES not in chosen and set(_DROPPED_MODES) & set(str(kept).split(",")):
        lost.append(_MODES)
    if is_mariadb and _HISTORY not in chosen and str(present) != _PRESENT:
        lost.append(_HISTORY)
    if lost or None in {zone, modes, limit}:
        name = lost[0] if lost else _MODES
        msg = f"{place} did not take the setting {name}, on which exact values depend"
        raise SourceError(msg, hint="connect to the server itself, not through a proxy")
    return ServerSettings(
        time_zone=str(zone),
        modes=frozenset(str(modes).split(",")),
        select_limit=int(limit),
        is_auto_null=bool(int(null or 0)),
        history=None if before is None else str(before),
        chosen=chosen,
        zone=str(now),
    )


def _is_utc(zone: str) -> bool:
    return zone.lower() in _NAMES_OF_UTC
