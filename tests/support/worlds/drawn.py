"""Worlds, tables and strategies drawn at random from a number, so that each can be drawn again."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field
from typing import Any, Final

from support.worlds.world import FIRST_SEEN, Row

NAMES: Final = ("tok", "id", "code", "grp", "day", "seen", "amount")
_LETTERS: Final = {
    "": "abcXYZ019 _-%'\"\\",
    "latin1": "abcXYZéÿÄß ",
    "greek": "abcXYZδΩήςΆ",
    "cp1251": "abcXYZжЯёґ№",
    "cp932": "abcXYZあ表ソ漢ｱ",
    "ucs2": "abcXYZ漢ßΩж",
    "utf8mb4": "abcXYZ漢ßΩж😀",
}


@dataclass
class Drawn:
    """One case.

    Attributes:
        settings: Those of the server, database or session, by name.
        traits: Words on the table: what its columns are.
        keys: Keys of the export.
        act: once, twice, resumed, windowed, moving or opened.
    """

    number: int
    engine: str
    random: random.Random
    settings: dict[str, str] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    late: list[Row] = field(default_factory=list)
    keys: dict[str, Any] = field(default_factory=dict)
    act: str = "once"

    def __str__(self) -> str:
        kept = {name: value for name, value in self.traits.items() if value}
        return f"{self.engine} {self.number}: {self.act} {self.keys} of {kept} in {self.settings}"


_SETTINGS: Final = {
    "postgresql": {
        "TimeZone": ("UTC", "'Asia/Kolkata'", "'America/St_Johns'"),
        "DateStyle": ("ISO", "German", "'SQL, DMY'"),
        "IntervalStyle": ("postgres", "iso_8601"),
        "extra_float_digits": ("-15", "0", "3"),
        "bytea_output": ("escape", "hex"),
        "array_nulls": ("off", "on"),
        "default_transaction_isolation": ("serializable", "'read committed'"),
        "default_transaction_read_only": ("on", "off"),
        "default_transaction_deferrable": ("on", "off"),
        "enable_seqscan": ("off", "on"),
        "enable_indexscan": ("off", "on"),
        "enable_bitmapscan": ("off", "on"),
        "enable_sort": ("off", "on"),
        "enable_tidscan": ("off", "on"),
        "synchronize_seqscans": ("on", "off"),
        "min_parallel_table_scan_size": ("0", "'8MB'"),
        "parallel_setup_cost": ("0", "1000"),
        "statement_timeout": ("0", "'5min'"),
        "client_encoding": ("LATIN1", "UTF8"),
        "jit": ("off", "on"),
        "work_mem": ("'64kB'", "'4MB'"),
        "transform_null_equals": ("on", "off"),
        "backslash_quote": ("on", "off"),
        "standard_conforming_strings": ("on", "off"),
    },
    "mysql": {
        "sql_mode": (
            "''",
            "'ANSI'",
            "'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'",
            "'STRICT_ALL_TABLES,NO_ZERO_DATE'",
            "'HIGH_NOT_PRECEDENCE,IGNORE_SPACE,PAD_CHAR_TO_FULL_LENGTH'",
            "'ORACLE'",
        ),
        "time_zone": ("'+00:00'", "'+05:30'", "'-11:00'"),
        "tx_isolation": ("'READ-COMMITTED'", "'REPEATABLE-READ'", "'SERIALIZABLE'"),
        "optimizer_switch": ("'default'", "'mrr=on'", "'index_merge=off'"),
        "lc_time_names": ("'de_DE'", "'en_US'"),
        "sql_auto_is_null": ("1", "0"),
        "div_precision_increment": ("0", "4"),
        "max_sort_length": ("64", "1024"),
    },
    "sqlite": {
        "encoding": ("'UTF-8'", "'UTF-16le'", "'UTF-16be'"),
        "journal_mode": ("wal", "delete", "truncate"),
        "page_size": ("512", "4096", "65536"),
        "auto_vacuum": ("0", "1", "2"),
    },
    "duckdb": {},
}


def draw(engine: str, number: int) -> Drawn:
    """Return the case of a number."""
    dice = random.Random(f"{engine} {number}")
    case = Drawn(number, engine, dice)
    known = _SETTINGS[engine]
    chosen = dice.sample(sorted(known), dice.randint(0, min(5, len(known))))
    case.settings = {name: dice.choice(known[name]) for name in chosen}
    _table(case)
    _strategy(case)
    return case


def _table(case: Drawn) -> None:
    dice, traits = case.random, case.traits
    charsets = {"mysql": [*_LETTERS], "sqlite": ["", "utf8mb4"]}.get(case.engine, ["", "utf8mb4"])
    traits["charset"] = dice.choice(charsets)
    traits["key"] = dice.choice(("primary", "primary", "primary", "unique", "none"))
    traits["code_key"] = dice.random() < 0.7
    # A unique column may hold NULL, however often.
    traits["null_ids"] = traits["key"] != "primary" and dice.random() < 0.4
    traits["id_type"] = dice.choice(("bigint", "bigint", "integer", "decimal(18,0)"))
    traits["folded"] = dice.random() < 0.2
    traits["analyzed"] = dice.choice(("never", "before", "after"))
    traits["gap"] = dice.choice((1, 1, 3, 7, 1000))
    traits["holes"] = dice.random() < 0.2
    traits["view"] = dice.random() < 0.06
    count = dice.choice((0, 1, 2, 9, 40, 40, 60, 60, 90, 150))
    letters = _LETTERS[traits["charset"]]
    first = dice.choice((0, -500, 1, 2_000_000))
    base = FIRST_SEEN + dt.timedelta(days=dice.randint(0, 200))

    def row(n: int) -> Row:
        text = "".join(dice.choice(letters) for _ in range(dice.randint(0, 4)))
        stamp = base + dt.timedelta(microseconds=(n // dice.choice((1, 1, 4))) * 1_000_003)
        is_null = traits["null_ids"] and dice.random() < 0.2
        return (
            n,
            None if is_null else first + n * traits["gap"],
            f"{text}{n:04}".strip() if not traits["folded"] else f"{text.strip()}{n:04}".upper(),
            None if dice.random() < 0.2 else dice.randint(0, 5),
            None if dice.random() < 0.1 else (base + dt.timedelta(days=n % 50)).date(),
            stamp,
            dice.randint(-100, 100),
        )

    case.rows = [row(n) for n in range(count)]
    traits["late"] = dice.choice((1, 5, 30))
    # Behind everything there is: a row without a number or with an equal time is another case.
    later = base + dt.timedelta(days=1)
    case.late = [
        (n, first + n * traits["gap"], f"late{n:05}", 1, None, later + dt.timedelta(seconds=n), 0)
        for n in range(count, count + traits["late"])
    ]


def _tuning(dice: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if dice.random() < 0.5:
        found["max_statement_s"] = dice.choice((0, 0.0001, 0.002))
    if dice.random() < 0.5:
        found["batch_size"] = dice.choice((1, 7, 100))
    return found


def _strategy(case: Drawn) -> None:
    dice, traits = case.random, case.traits
    has_key = traits["key"] != "none" and not traits["null_ids"] and not traits["view"]
    has_text_key = traits["code_key"] and not traits["view"]
    count = max(len(case.rows), 1)
    size = dice.choice((1 + count // 12, 1 + count // 4, count, 1000))
    cut = dice.choice(
        (
            "full",
            "full",
            "range",
            "count",
            "dense",
            "days",
            "itself",
            "key",
            "text",
            "cursor",
            "clock",
            "window",
            "keyset",
        )
    )
    if (cut in {"key", "keyset"} and not has_key) or (cut == "text" and not has_text_key):
        cut = "range"
    if cut == "itself" and (traits["view"] or (traits["key"] == "none" and not traits["code_key"])):
        cut = "full"
    width = size * traits["gap"]
    chunked: dict[str, Any] = {
        "full": {"mode": "full"},
        "range": {"chunk_column": "id", "chunk_size": max(width, 1)},
        "count": {"chunk_column": "id", "chunk_count": dice.randint(1, 9)},
        "dense": {"chunk_column": "grp", "chunk_dense": True, "chunk_size": size},
        "days": {"chunk_column": "day", "chunk_by_days": dice.choice((1, 7, 40))},
        "itself": {"chunk_count": dice.randint(1, 9)},
        "key": {"chunk_by_key": "id", "chunk_size": size},
        "text": {"chunk_by_key": "code", "chunk_size": size},
        "cursor": {"mode": "incremental", "cursor_column": "id"},
        "clock": {"mode": "incremental", "cursor_column": "seen"},
        "window": {"mode": "time_window", "time_column": "day", "days_window": 36_500},
        "keyset": {"chunk_by_key": "id", "chunk_size": size, "keyset_incremental": True},
    }[cut]
    keys = {"mode": "chunked", **chunked}
    case.act = {"cursor": "twice", "clock": "twice", "keyset": "twice", "window": "windowed"}.get(
        cut, "once"
    )
    if keys["mode"] == "chunked" and case.act == "once":
        if dice.random() < 0.5:
            keys["parallel"] = dice.randint(2, 3)
        if dice.random() < 0.15:
            keys["consistency"] = "chunk"
        case.act = dice.choice(("once", "once", "resumed", "moving", "moving"))
    if case.act == "moving" and (case.engine == "duckdb" or _blocks_writers(case)):
        case.act = "once"
    if tuning := _tuning(dice):
        keys["tuning"] = tuning
    case.keys = keys
    if cut == "clock" and case.engine in {"postgresql", "mysql"} and dice.random() < 0.7:
        case.act = "opened"
        traits["zoned"] = case.engine == "mysql" and dice.random() < 0.7
        if case.engine == "mysql" and not traits["zoned"]:
            keys["cursor_zone"] = "UTC"


def _blocks_writers(case: Drawn) -> bool:
    return case.engine == "sqlite" and case.settings.get("journal_mode") != "wal"
