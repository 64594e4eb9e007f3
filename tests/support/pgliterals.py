"""A pool of literals for every type of a PostgreSQL server, home-made ones included.

Every literal is offered to every type, in a table of its own with the values that the type took and
arrays of them.
"""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.databases import PostgresDatabase

MADE_AT_HOME = """
    CREATE DOMAIN word AS varchar(40);
    CREATE DOMAIN always AS text CHECK (value <> '');
    CREATE DOMAIN year_of AS date;
    CREATE DOMAIN bytes AS bytea;
    CREATE DOMAIN grid AS int[] CHECK (pg_catalog.array_ndims(VALUE) = 1);
    CREATE TYPE mood AS ENUM ('', 'a', 'NULL', 'so la', '😀', '{1,2}', '"');
    CREATE TYPE pair AS (a int, b text);
    CREATE TYPE moment AS (at timestamptz, took interval, f float8, raw bytea, day date);
    CREATE TYPE nested AS (p pair, many pair[], m moment);
    CREATE TYPE textspan AS RANGE (subtype = text);
    CREATE TYPE timespan AS RANGE (subtype = time);
    CREATE TYPE instants AS RANGE (subtype = timestamptz);
    CREATE TYPE floats AS RANGE (subtype = float8);
    CREATE FUNCTION tell(pair) RETURNS text LANGUAGE sql AS $$ SELECT 'told'::text $$;
    CREATE CAST (pair AS text) WITH FUNCTION tell(pair);
    CREATE TYPE colon;
    CREATE FUNCTION colon_in(cstring) RETURNS colon AS 'textin' LANGUAGE internal STRICT IMMUTABLE;
    CREATE FUNCTION colon_out(colon) RETURNS cstring
        AS 'textout' LANGUAGE internal STRICT IMMUTABLE;
    CREATE TYPE colon (INPUT = colon_in, OUTPUT = colon_out, LIKE = text, DELIMITER = ':');
    CREATE TYPE semi;
    CREATE FUNCTION semi_in(cstring) RETURNS semi AS 'float8in' LANGUAGE internal STRICT IMMUTABLE;
    CREATE FUNCTION semi_out(semi) RETURNS cstring
        AS 'float8out' LANGUAGE internal STRICT IMMUTABLE;
    CREATE TYPE semi (INPUT = semi_in, OUTPUT = semi_out, LIKE = float8, DELIMITER = ';');
    CREATE FUNCTION shout(semi) RETURNS varchar LANGUAGE sql AS $$ SELECT 'no'::varchar $$;
    CREATE CAST (semi AS varchar) WITH FUNCTION shout(semi);
"""
# What has an array type, so that nothing that only the server's own catalogs use.
TYPES = """
    SELECT t.oid::regtype::text, t.oid::int FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype <> 'p' AND t.typarray <> 0 AND t.typisdefined
      AND n.nspname IN ('pg_catalog', 'public')
      AND NOT (t.typtype = 'c' AND (n.nspname = 'pg_catalog' OR t.typrelid IN (
          SELECT oid FROM pg_catalog.pg_class WHERE relkind <> 'c')))
    ORDER BY t.oid"""


def literals(factor: int) -> list[str]:
    """Return the pool; about 350 literals and 150 more per unit of `factor`."""
    dice = random.Random(12)
    found = [*_EDGES, *itertools.islice(_random(dice), 150 * factor)]
    return list(dict.fromkeys(text for text in found if "\x00" not in text))


def _numbers() -> Iterator[str]:
    for power in (0, 7, 8, 15, 16, 31, 32, 53, 63, 64, 127):
        for step in (-1, 0, 1):
            yield str(2**power + step)
            yield str(-(2**power) + step)
    yield from ("0", "-0", "0.1", "1e15", "1e16", "1e-7", "1e308", "5e-324", "1e-400", "NaN")
    yield from ("Infinity", "-Infinity", "9.99e37", "1.17549435e-38", "0.30000000000000004")
    yield from ("1" * 70, "0." + "3" * 70, "1." + "0" * 20, "-" + "9" * 38, "$1,234.56", "00012")


def _moments() -> Iterator[str]:
    days = (
        "2024-02-29",
        "0001-01-01",
        "0044-03-15 BC",
        "4713-01-01 BC",
        "1900-02-28",
        "1970-01-01",
    )
    days += ("9999-12-31", "10000-01-01", "99999-06-15", "1582-10-10", "infinity", "-infinity")
    times = ("00:00", "23:59:59.999999", "12:34:56.7", "24:00", "01:02:03.000001")
    zones = ("", "+00", "+05:30", "-12", "+14", "-00:44:30", " Europe/Paris")
    yield from days
    yield from (f"{time}{zone}" for time in times for zone in zones)
    for day, time, zone in itertools.product(days[:2] + days[4:8], times, zones[:4]):
        yield f"{day} {time}{zone}"
    yield "2024-03-31 02:30"
    yield "294276-12-31 23:59:59.999999"
    yield from ("0044-03-15 01:02:03.5 BC", "epoch", "5874897-12-31")


def _spans() -> Iterator[str]:
    yield from (
        "1 year 2 mons -3 days",
        "-1 day 02:03:04.5",
        "P1Y2M3DT4H5M6.7S",
        "0",
        "@ 3 hours ago",
    )
    yield from (
        "178000000 years",
        "-178000000 years",
        "2147483647 days",
        "-2147483648 days",
        "1 us",
    )
    yield from (
        "2562047788:00:54.775807",
        "-2562047788:00:54.775808",
        "-0.000001 s",
        "infinity days",
    )
    yield from ("1-2 3 4:05:06", "-1-2 +3 -4:05:06", "2147483647 mons", "-2147483648 mons")


def _shapes() -> Iterator[str]:
    yield from ("(1,2)", "(0.1,1e300)", "((1,2),(3,4))", "[(1,2),(3,4)]", "<(1,2),3>", "{1,2,3}")
    yield from ("((0,0),(1,0),(1,1))", "[(0,0),(1,0)]", "(NaN,Infinity)", "(-0,0)")
    yield from ("[1,5)", "(,)", "empty", "[a,b]", '["a,b","c]")', "[2024-01-15,2024-02-03)", "[,5]")
    yield from (
        "[2024-01-15 12:00+05,infinity)",
        "[12:00,13:00)",
        "{[1,3),[5,7)}",
        "{}",
        "[0.1,0.2]",
    )
    yield from ('(1,"a,b")', "(,)", '(1,"")', '("(1,x)","{""(2,y)"",NULL}","(2024-01-15,,0.1,,)")')
    yield from (
        "(2024-01-15 12:00+05,1 day,0.1,\\x00ff,2024-01-15)",
        "(,,,,)",
        "{1,NULL,3}",
        "{{1},{2}}",
    )
    yield from ("{(,),[2020-01-01,2020-02-01)}", "{[2020-01-01 00:00+05,infinity)}")


def _others() -> Iterator[str]:
    yield from ("t", "f", "true", "no", "10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::ff/64", "::/0")
    yield from ("08:00:2b:01:02:03", "08:00:2b:ff:fe:01:02:03", "10101", "0", "B", "x1F")
    yield from ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "\\x", "\\x00ff", "\\000\\377", "\\\\")
    yield from ("16/B374D848", "0/0", "(0,1)", "(4294967295,65535)", "10:20:10,14,15", "1:1:")
    yield from ("pg_class", "integer", "simple", "public", "now(", "+", "int4pl", "<>", '"C"', "-")
    yield from ("a fat cat", "'a':1A 'cat':2", "a & !b | c:*", "<a/>", "<a>é&amp;</a>", "text only")
    yield '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'
    yield from ("{}", "[]", "null", '"x"', '{"a": [1, 2.50, null]}', '{"a":1,"a":2}', '"\\u00e9"')
    yield from ('"\\ud83d\\ude00"', "1e400", '[{"b":{}}]', "$.a[*] ? (@ > 1)", "$", "lax $.x")


def _texts() -> Iterator[str]:
    yield from ("", " ", "a", "NULL", "null", "é", "😀", "a,b", 'a"b', "a'b", "a\\b", "{a}", "(a)")
    yield from (
        "a\nb",
        "a\tb",
        "\r",
        "\x01",
        "\x7f",
        "\u2028",
        "\uff46\uff55",
        "a:b",
        "a;b",
        "%s",
        "x" * 300,
    )
    yield from ("\ufeff", "e\u0301", "\U0010fffd", " lead", "trail ", "--", "$$", "so la", "{1,2}")


_EDGES = [*_texts(), *_numbers(), *_moments(), *_spans(), *_shapes(), *_others()]


def _random(dice: random.Random) -> Iterator[str]:
    letters = "abcNUL ,:;{}()[]\"'\\%é😀\n\t01.-+"
    while True:
        whole = dice.randint(
            -(2 ** dice.choice((7, 15, 31, 63, 90))), 2 ** dice.choice((7, 31, 63))
        )
        day = f"{dice.randint(1, 9999):04d}-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}"
        clock = f"{dice.randint(0, 23):02d}:{dice.randint(0, 59):02d}:{dice.uniform(0, 59.9):.6f}"
        zone = f"{dice.randint(-12, 14):+03d}"
        low, high = sorted((dice.randint(-(10**6), 10**6), dice.randint(-(10**6), 10**6)))
        text = "".join(dice.choices(letters, k=dice.randint(0, 12)))
        yield str(whole)
        yield str(whole // 2**33)
        yield f"{whole}.{dice.randint(0, 10**9)}"
        yield repr(dice.uniform(-1, 1) * 10.0 ** dice.randint(-300, 300))
        yield day
        yield f"{clock}"
        yield f"{day} {clock}"
        yield f"{day} {clock}{zone}"
        yield f"{dice.randint(-999, 999)} mons {dice.randint(-99, 99)} days {clock}"
        yield f"[{low},{high})"
        yield f"[{day} {clock},)"
        yield f"({low},{json.dumps(text)})"
        yield f"({low}.5,{high}.25)"
        yield text
        yield json.dumps({text: [whole, text, None]}, ensure_ascii=dice.random() < 0.5)
        yield f"\\x{dice.randbytes(dice.randint(0, 9)).hex()}"
        yield f"{dice.randint(0, 255)}.{dice.randint(0, 255)}.3.4/{dice.randint(0, 32)}"
        yield f"{dice.getrandbits(dice.randint(1, 40)):b}"
        yield str(dice.choice(["12:00", "24:00"])) + zone


def fill(database: PostgresDatabase, factor: int) -> dict[str, str]:
    """Make the types and a table per type; return each table's type."""
    database.execute(MADE_AT_HOME, admin=True)
    database.execute("CREATE TABLE pool (n int GENERATED ALWAYS AS IDENTITY, literal text)")
    tables: dict[str, str] = {}
    with database.connect() as connection:
        with connection.cursor() as cursor:
            rows = [(text,) for text in literals(factor)]
            cursor.executemany("INSERT INTO pool (literal) VALUES (%s)", rows)
        for name, oid in connection.execute(TYPES.encode()).fetchall():
            made = f"""
                CREATE FUNCTION take_{oid}(literal text) RETURNS {name} LANGUAGE plpgsql AS $$
                DECLARE taken {name};
                BEGIN taken := literal; RETURN taken;
                EXCEPTION WHEN others THEN RETURN NULL; END $$;
                CREATE TABLE of_{oid} AS
                SELECT n, v, ARRAY[v, NULL, lag(v) OVER (ORDER BY n)]::{name}[] AS l
                FROM (SELECT n, take_{oid}(literal) AS v FROM pool OFFSET 0) AS taken
                WHERE v IS DISTINCT FROM NULL"""
            with connection.transaction(force_rollback=False):
                connection.execute(made.encode())
            tables[f"of_{oid}"] = name
    return tables
